// Rates between currencies as functions of time: which one holds at an instant. What they are is in the configuration.

import type { Micro } from './money.ts'

export interface DatedRate {
  /** Book units per unit of the currency. */
  readonly rate: Micro
  /** Included; -Infinity: since ever. */
  readonly fromMs: number
  /** Excluded; Infinity: for ever. */
  readonly toMs: number
  /** Its start as the configuration writes it; null: none. */
  readonly since: string | null
}

/** By currency; the intervals of one currency do not overlap. */
export type FxRates = ReadonlyMap<string, readonly DatedRate[]>

/** null: no rate is known for that instant. */
export function rateAt(fx: FxRates, currency: string, atMs: number): DatedRate | null {
  for (const dated of fx.get(currency) ?? []) if (dated.fromMs <= atMs && atMs < dated.toMs) return dated
  return null
}
