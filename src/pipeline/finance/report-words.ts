// What a report for finance is asked and what it says.

import { GatewayError } from '#core/errors.ts'
import type { UsageBucket, UsageGroup, UsageTotals } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'

export type ReportGroup = UsageGroup | 'cost_centre' | 'contract_number'

export interface ReportQuery {
  readonly groupBy: readonly ReportGroup[]
  readonly bucket: UsageBucket | null
  readonly where: readonly { readonly by: ReportGroup; readonly values: readonly string[] }[]
  readonly timeZone: string
  /** Half-open, epoch ms; null: unbounded. */
  readonly fromMs: number | null
  readonly toMs: number | null
  /** `PROVIDER/MODEL`: what the same tokens would have cost there; null: not asked for. */
  readonly baseline: string | null
  /** Whether it is said what caches saved. */
  readonly cacheSavings: boolean
  /** Whether amounts are rounded to a hundredth of the currency's unit. */
  readonly toCents: boolean
}

/** Book currency; absent: the configuration does not speak of it. */
export interface FinanceAmounts {
  readonly netNano?: Nano
  readonly vatNano?: Nano
  readonly chargeNano?: Nano
}

export interface ReportTotals extends UsageTotals, FinanceAmounts {}

export interface ReportRow extends ReportTotals {
  /** One value per entry of `groupBy`, in its order. */
  readonly group: readonly string[]
  /** Start of the bucket, epoch ms; null without buckets. */
  readonly bucketMs: number | null
}

export interface Report {
  readonly rows: readonly ReportRow[]
  readonly total: ReportTotals
}

export function isBooked(by: ReportGroup): by is 'cost_centre' | 'contract_number' {
  return by === 'cost_centre' || by === 'contract_number'
}

export function noBaseline(target: string, why: string): GatewayError {
  return new GatewayError('invalid_request', `\`baseline\` ${why}; found "${target.slice(0, 100)}"`, {
    param: 'baseline',
  })
}
