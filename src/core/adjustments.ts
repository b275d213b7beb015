// Corrections of money that is booked already. Rows of attempts never change; an adjustment beside them says what was
// wrong, by how much, why and who says so.

import type { AttemptRow } from './ledger.ts'
import type { Nano } from './money.ts'

/**
 * `rerate`: a corrected price. `late`: it came after its month was closed. `reconcile`: the vendor's bill is right.
 * `manual`: anything else.
 */
export const ADJUSTMENT_REASONS = ['rerate', 'late', 'reconcile', 'manual'] as const
export type AdjustmentReason = (typeof ADJUSTMENT_REASONS)[number]

/** Counts in usage under its key, tags, user, model and target at `bookedAtMs`, apart from cost. */
export interface AdjustmentRow {
  /** Whoever makes it says it, so that one sent twice counts once. */
  readonly id: string
  readonly timeMs: number
  /** Where reports count it: the instant of what it corrects, or one in a month that is still open. */
  readonly bookedAtMs: number
  /** `YYYY-MM` of that instant, in the time zone of the books. */
  readonly month: string
  /** The attempt that it corrects; null: none by itself, see `day`. */
  readonly requestId: string | null
  readonly attempt: number | null
  /** `YYYY-MM-DD`: the day of `target` that it corrects, where it is not one attempt. */
  readonly day: string | null
  /** As of the attempt; '' and {} where nothing is named. */
  readonly key: string
  readonly tags: Readonly<Record<string, string>>
  readonly user: string | null
  readonly model: string
  readonly target: string
  /** Signed, book currency: what is added to cost. */
  readonly amountNano: Nano
  readonly currency: string
  /** Signed, as the vendor bills it. */
  readonly nativeNano: Nano
  readonly nativeCurrency: string
  readonly reason: AdjustmentReason
  readonly author: string
  readonly note: string
  /** What the money was by before and after; null: it is not about a price. */
  readonly priceVersionOld: string | null
  readonly priceVersionNew: string | null
  /** Of a late attempt: when it began, which is what budgets go by. Rows of before this was kept lack it. */
  readonly startedAtMs?: number
}

/** Which attempt an adjustment is of. */
export function ofAttempt({
  requestId,
  attempt,
  key,
  tags,
  user,
  model,
  target,
}: AttemptRow): Pick<
  AdjustmentRow,
  'requestId' | 'attempt' | 'day' | 'key' | 'tags' | 'user' | 'model' | 'target'
> {
  return { requestId, attempt, day: null, key, tags, user, model, target }
}

/** Adjustments that say all of this; null: any. */
export interface AdjustmentFilter {
  readonly requestId: string | null
  readonly month: string | null
  readonly reason: AdjustmentReason | null
  readonly target: string | null
}

export const EVERY_ADJUSTMENT: AdjustmentFilter = Object.freeze({
  requestId: null,
  month: null,
  reason: null,
  target: null,
})

export interface AdjustmentQuery {
  readonly limit: number
  readonly cursor: string | null
  readonly filter?: AdjustmentFilter
}

/** Newest first. With a filter a page may be short, even empty, before the last one. */
export interface AdjustmentPage {
  readonly rows: readonly AdjustmentRow[]
  readonly nextCursor: string | null
}

export function showsAdjustment(row: AdjustmentRow, filter: AdjustmentFilter): boolean {
  return (
    (filter.requestId === null || filter.requestId === row.requestId) &&
    (filter.month === null || filter.month === row.month) &&
    (filter.reason === null || filter.reason === row.reason) &&
    (filter.target === null || filter.target === row.target)
  )
}

/** Where adjustments are made. */
export interface Corrections {
  /** All or none, durable then; returns how many were not there yet. */
  adjust(rows: readonly AdjustmentRow[]): Promise<number>
  /** `YYYY-MM` of the months that never change any more. */
  closedMonths(): Promise<ReadonlySet<string>>
}
