// Re-rating: past attempts under corrected prices. What is asked, and what comes of it.

import type { AdjustmentRow } from './adjustments.ts'
import type { ReportProgress, RequestDetail } from './ledger.ts'
import type { Nano } from './money.ts'

/** Attempts that say all of this; null: any. */
export interface PastFilter {
  /** Half-open, of the attempt's start. */
  readonly fromMs: number | null
  readonly toMs: number | null
  readonly provider: string | null
  /** As the client asked for it. */
  readonly model: string | null
  readonly target: string | null
  readonly key: string | null
}

export interface RerateJob {
  readonly filter: PastFilter
  readonly author: string
  readonly note: string
  readonly nowMs: number
  readonly timeZone: string
  readonly closedMonths: readonly string[]
}

export interface PriceChange {
  /** The price's version; null: none was known. */
  readonly old: string | null
  readonly new: string
  attempts: number
  oldNano: Nano
  newNano: Nano
}

export interface DayChange {
  /** `YYYY-MM-DD` in the books' zone. */
  readonly day: string
  attempts: number
  differenceNano: Nano
}

export interface RerateSummary {
  /** Attempts that the filter shows and that have ended. */
  attempts: number
  /** Whose cost changes. */
  changed: number
  /** Of these, such that had no price before. */
  firstPriced: number
  /** Of all, such whose usage is an estimate of ours: re-rated as they stand. */
  estimated: number
  /** No price is known of them now; they stay as they are. */
  withoutPrice: number
  /** They do not keep what their price hangs on; they stay as they are. */
  unrated: number
  /** Of those that a price is known of, with what was added to them before. */
  oldNano: Nano
  newNano: Nano
  byPrice: PriceChange[]
  byDay: DayChange[]
  currency: string
}

/** A request with what was added to its attempts before. */
export interface PastRequest extends RequestDetail {
  readonly adjustments: readonly AdjustmentRow[]
}

export interface RerateAsk {
  readonly filter: PastFilter
  /** False: nothing is written, and what would be is said. */
  readonly apply: boolean
  readonly author: string
  readonly note: string
  /** Entries as under `prices:` of the configuration, over those that are there; null: as they are now. */
  readonly prices: Readonly<Record<string, unknown>> | null
}

export interface RerateOutcome extends RerateSummary {
  /** Adjustments that were written; null: none was to be. */
  readonly applied: number | null
  /** There is more to change than one run writes: run it again. */
  readonly isPartial: boolean
}

export type Rerate = (ask: RerateAsk, onProgress: ReportProgress) => Promise<RerateOutcome>
