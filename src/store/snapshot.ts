// All that a ledger counts, at one moment: by it one store is made anew from another.

import type { AdjustmentRow } from '#core/adjustments.ts'
import type { UsageTotals } from '#core/ledger.ts'
import type { ClosedMonth } from '#core/month-close.ts'

export interface LedgerSnapshot {
  /** By the start of the hour (epoch ms), by `seriesText`. */
  readonly hours: ReadonlyMap<number, ReadonlyMap<string, UsageTotals>>
  /** By `INSTANCE:EPOCH`: the last row that is counted. */
  readonly marks: ReadonlyMap<string, number>
  readonly balances: readonly { readonly id: string; readonly hourMs: number; readonly milli: number }[]
  /** Those that are listed, all of them counted. */
  readonly adjustments: readonly AdjustmentRow[]
}

/** And what else a store must have before anybody writes to it. */
export interface FoundingSnapshot extends LedgerSnapshot {
  readonly months: readonly { readonly closed: ClosedMonth; readonly table: string | null }[]
}
