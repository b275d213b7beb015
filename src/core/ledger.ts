// Rows of the ledger and the contract of the places that keep them.

import type { AdjustmentPage, AdjustmentQuery, AdjustmentRow } from './adjustments.ts'
import type { AttemptRole, Decision } from './decision.ts'
import type { FailureKind } from './errors.ts'
import type { Nano } from './money.ts'
import type { MonthBook } from './month-close.ts'
import type { PriceItemName } from './price.ts'
import type { Valuation, Values } from './tariff.ts'
import type { EstimateError, TokenUsage, UsageDoubt, UsageSource } from './usage.ts'

export type AttemptOutcome =
  /** Booked when it was sent, not ended yet. */
  | 'open'
  | 'success'
  /** The client left; what had been used is booked. */
  | 'cancelled'
  /** The process died while it ran. */
  | 'interrupted'
  | FailureKind

/** What a line of a bill is for. */
export type CostItem =
  | 'input'
  | 'cached_input'
  | 'cache_write'
  | 'output'
  | 'audio_input'
  | 'image_input'
  | 'audio_output'
  | 'image'
  | 'character'
  | 'utf8_byte'
  | 'second'
  | 'hour'
  | 'gpu_second'
  | 'video'
  | 'voice'
  | 'call'
  | PriceItemName
  /** What the contract takes off the lines before it; negative. */
  | 'discount'
  /** What a balance pays of the lines before it; negative. */
  | 'free_quota'
  | 'package'
  /** No price is known: what a budget held is charged. */
  | 'bound'

/** One line of a bill: `quantity × price = amount`, in native currency. */
export interface CostLine {
  readonly item: CostItem
  readonly quantity: number
  /** Decimal string, per unit of the price: a million tokens, an image, ten thousand characters … */
  readonly price: string
  /** Decimal string to twelve places. */
  readonly amount: string
  /** The balance that paid, by its id; absent: none did. */
  readonly balance?: string
}

export interface Cost {
  /** Book currency. */
  readonly amountNano: Nano
  readonly currency: string
  /** As the vendor bills it. */
  readonly nativeNano: Nano
  readonly nativeCurrency: string
  readonly lines: readonly CostLine[]
  /** Which row of which list priced it. */
  readonly priceVersion: string
}

/** The start of a cost's `priceVersion` where no price was known and a budget was charged what it had held. */
export const UNPRICED_VERSION = 'unpriced'

/** Whether no price was known. */
export function isUnpriced(cost: Cost | null): boolean {
  return cost === null || cost.priceVersion.startsWith(UNPRICED_VERSION)
}

/** One upstream call. */
export interface AttemptRow {
  readonly requestId: string
  /** 1, 2, … within the request. */
  readonly attempt: number
  readonly role: AttemptRole
  /** The virtual key's name, never the key. */
  readonly key: string
  readonly tags: Readonly<Record<string, string>>
  /** Who the client says is behind its request (`user` of the body, clipped); null: it does not. */
  readonly user: string | null
  /** The model the client asked for. */
  readonly model: string
  /** `PROVIDER/MODEL` of the configuration. */
  readonly target: string
  /** The model that the answer names; it decides the price. */
  readonly responseModel: string | null
  readonly upstreamRequestId: string | null
  readonly outcome: AttemptOutcome
  readonly httpStatus: number
  readonly usage: TokenUsage
  readonly usageSource: UsageSource
  /** null: the count is the upstream's last word. */
  readonly estimateError: EstimateError | null
  /** What in the upstream's usage could not be so; null: nothing. */
  readonly usageDoubt: UsageDoubt | null
  /** null: no price was known (`unpriced`) and nothing was charged; never a silent zero. */
  readonly cost: Cost | null
  readonly startedAtMs: number
  readonly ttftMs: number | null
  readonly durationMs: number
}

export const REQUEST_OUTCOMES = ['open', 'success', 'refused', 'failed', 'cancelled', 'interrupted'] as const
export type RequestOutcome = (typeof REQUEST_OUTCOMES)[number]

/** One request of a client, written at its end. */
export interface RequestRow {
  readonly id: string
  readonly timeMs: number
  readonly key: string | null
  readonly tags: Readonly<Record<string, string>>
  /** As of its attempts. */
  readonly user: string | null
  readonly model: string | null
  readonly api: string
  readonly stream: boolean
  /** HTTP status that the client got; 0 when it left before one. */
  readonly status: number
  readonly outcome: RequestOutcome
  /** Our error code, null on success. */
  readonly error: string | null
  readonly attempts: number
  readonly costNano: Nano | null
  readonly currency: string
  readonly durationMs: number
  readonly decision: Decision | null
}

export type LedgerRow =
  /** `lateAtMs`: its month was closed before; it counts then, and its money is an adjustment. */
  | { readonly kind: 'attempt'; readonly row: AttemptRow; readonly lateAtMs?: number }
  | { readonly kind: 'request'; readonly row: RequestRow }
  | { readonly kind: 'adjustment'; readonly row: AdjustmentRow }

/** Rows of one instance in order; `(instance, epoch, firstSequence + i)` names row i for ever. */
export interface LedgerBatch {
  readonly instance: string
  readonly epoch: number
  readonly firstSequence: number
  readonly rows: readonly LedgerRow[]
  /** The sequence of its last row, where it is known without a look at them. */
  readonly last?: number
}

/** `team` and `organisation` are tags of a row, `provider` is the first part of its target. */
export const USAGE_GROUPS = ['model', 'key', 'target', 'provider', 'team', 'organisation', 'user'] as const
export type UsageGroup = (typeof USAGE_GROUPS)[number] | `tag:${string}`

export const USAGE_BUCKETS = ['hour', 'day', 'month'] as const
export type UsageBucket = (typeof USAGE_BUCKETS)[number]

/** Usage of which `by` has one of these values. */
export interface UsageFilter {
  readonly by: UsageGroup
  readonly values: readonly string[]
}

export interface UsageQuery {
  readonly groupBy: readonly UsageGroup[]
  readonly bucket: UsageBucket | null
  /** All of them must be so; absent: everything. */
  readonly where?: readonly UsageFilter[]
  /**
   * Whose hours, days and months; absent: Asia/Shanghai. Where they begin within an hour of UTC, stores that have no
   * rows count that hour to the bucket that it begins in.
   */
  readonly timeZone?: string
  /** What else usage is worth; absent: nothing is asked. */
  readonly valuation?: Valuation
  /** Half-open, epoch ms; null: unbounded. Stores of rollups round outward to whole hours. */
  readonly fromMs: number | null
  readonly toMs: number | null
}

/** What stands between list price and cost, in the books' currency. */
export interface AmountSums {
  /** What contracts take off. */
  readonly discountNano: Nano
  /** What balances pay. */
  readonly freeQuotaNano: Nano
  readonly packageNano: Nano
}

/** List price = `costNano` and all of `AmountSums`. */
export interface UsageTotals extends AmountSums {
  readonly requests: number
  readonly attempts: number
  readonly inputTokens: number
  readonly cachedInputTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly costNano: Nano
  /** Corrections of what was booked, beside it; signed. */
  readonly adjustmentNano: Nano
  /** Attempts whose usage is our estimate. */
  readonly estimatedAttempts: number
  /** Attempts with no known price. */
  readonly unpricedAttempts: number
  /** Where the query has a valuation. */
  readonly values?: Values
}

export interface UsageRow extends UsageTotals {
  /** One value per entry of `groupBy`, in its order. */
  readonly group: readonly string[]
  /** Start of the bucket, epoch ms; null without buckets. */
  readonly bucketMs: number | null
}

/** The order of a report: by bucket, then by group. */
export function compareUsageRows(
  left: Pick<UsageRow, 'bucketMs' | 'group'>,
  right: Pick<UsageRow, 'bucketMs' | 'group'>,
): number {
  if (left.bucketMs !== right.bucketMs) return (left.bucketMs ?? 0) - (right.bucketMs ?? 0)
  for (const [index, value] of left.group.entries()) {
    const other = right.group[index] ?? ''
    if (value !== other) return value < other ? -1 : 1
  }
  return 0
}

export interface UsageReport {
  readonly rows: readonly UsageRow[]
  readonly total: UsageTotals
}

/** Hears how much of a report is done, 0 to 1. */
export type ReportProgress = (share: number) => void

/** Rows of requests that say all of this; null: any. `target`: one of its attempts went there. */
export interface RequestFilter {
  readonly key: string | null
  readonly model: string | null
  readonly target: string | null
  readonly outcome: RequestOutcome | null
  /** Half-open, epoch ms. */
  readonly fromMs: number | null
  readonly toMs: number | null
}

export interface RequestQuery {
  readonly limit: number
  readonly cursor: string | null
  readonly filter?: RequestFilter
}

/** With a filter a page may be short, even empty, before the last one. */
export interface RequestPage {
  readonly rows: readonly RequestRow[]
  readonly nextCursor: string | null
  /** Only what this instance knows by itself: the store that all share does not answer. */
  readonly isPartial?: true
}

export interface RequestDetail {
  readonly request: RequestRow
  readonly attempts: readonly AttemptRow[]
}

/** What attempts that began in one hour used of a balance. */
export interface BalanceUsed {
  readonly id: string
  /** Start of an hour of UTC, epoch ms. */
  readonly hourMs: number
  /** Whole but for seconds, which go to the millisecond. */
  readonly quantity: number
}

/** Why a report is not made, in words for who asked. */
export class ReportError extends Error {
  readonly reason: 'unsupported' | 'too_large' | 'too_slow' | 'busy' | 'gone'

  constructor(reason: ReportError['reason'], message: string) {
    super(message)
    this.name = 'ReportError'
    this.reason = reason
  }
}

/** A place that keeps rows and answers questions about them: memory, SQLite, Redis. */
export interface LedgerStore {
  /** Applies a batch; a row that was applied before is skipped, so a batch may be sent again after a time-out. */
  apply(batch: LedgerBatch): Promise<void>
  /** However long it takes, nothing else waits for it. @throws ReportError when it cannot be had */
  usage(query: UsageQuery, onProgress?: ReportProgress): Promise<UsageReport>
  /** Newest first. @throws RangeError when the cursor is none of ours. */
  requests(query: RequestQuery): Promise<RequestPage>
  request(id: string): Promise<RequestDetail | null>
  /** Newest first. @throws RangeError when the cursor is none of ours. */
  adjustments(query: AdjustmentQuery): Promise<AdjustmentPage>
  /** All that was ever used of balances; never pruned, as a quota is not given twice. */
  balances(): Promise<readonly BalanceUsed[]>
  /** Where months are closed; absent: not here. */
  readonly months?: MonthBook
  close(): Promise<void>
}

/** The instance's own durable outbox. Calls queue; one write per turn of the event loop makes them all durable. */
export interface Journal {
  /**
   * Books an attempt, and with the first one its request, as open. `written` runs when that is durable, or cannot
   * be made so for now: the upstream is called only then.
   */
  open(request: RequestRow, attempt: AttemptRow, written: (error: Error | null) => void): void
  /** Ends an attempt that was opened. */
  attempt(row: AttemptRow): void
  /** Ends a request, after its attempts. `committed` runs when all of it is durable: the client sees the end only then. */
  request(row: RequestRow, committed: (error: Error | null) => void): void
  readonly pendingRows: number
}
