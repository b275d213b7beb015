// What a ledger counts, as it is carried from one store into another.

import type { UsageTotals } from '#core/ledger.ts'

/** Counters of one hour, by `seriesText`. */
export interface CarriedHour {
  /** Start of the hour, epoch ms. */
  readonly hourMs: number
  readonly sums: ReadonlyMap<string, UsageTotals>
}

export interface CarriedBalance {
  readonly id: string
  readonly hourMs: number
  /** Thousandths. */
  readonly milli: number
}
