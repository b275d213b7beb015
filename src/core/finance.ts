// What finance says of usage: tax, what teams are charged, whom costs are booked to. Shares and prices are integers.

import type { Micro } from './money.ts'

export interface Tax {
  /** Whether costs hold it already. */
  readonly isIncluded: boolean
  readonly rate: Micro
}

/** Book currency per million tokens. */
export interface ChargePrice {
  readonly input: Micro
  readonly cachedInput: Micro
  readonly output: Micro
}

export interface Charge {
  /** A share of the cost on top of it. */
  readonly markup: Micro
  /** By model, `PROVIDER/MODEL`, `PROVIDER/*` or `*`. */
  readonly prices: ReadonlyMap<string, ChargePrice>
}

/** Empty: none is given. */
export interface Booked {
  readonly costCentre: string
  readonly contractNumber: string
}

export interface TeamFinance extends Booked {
  /** null: usage is charged at cost. */
  readonly charge: Charge | null
}

export interface FinanceSettings {
  /** null: reports do not speak of tax. */
  readonly tax: Tax | null
  /** Of providers that have their own. */
  readonly taxOf: ReadonlyMap<string, Tax>
  /** `timeZone` null: the books'. */
  readonly organisations: ReadonlyMap<string, Booked & { readonly timeZone: string | null }>
  /** What a team does not say for itself is its organisation's. */
  readonly teams: ReadonlyMap<string, TeamFinance>
  readonly alerts: {
    /** null: they stand in the log and in the admin API alone. */
    readonly webhook: string | null
    readonly allowPrivate: boolean
  }
}

/** What one unit is in micro. */
const WHOLE = 1_000_000n

/** The part of a sum that is not tax, as an exact fraction `[numerator, denominator]`. */
export function netShare({ isIncluded, rate }: Tax): readonly [bigint, bigint] {
  return isIncluded ? [WHOLE, WHOLE + rate] : [1n, 1n]
}
