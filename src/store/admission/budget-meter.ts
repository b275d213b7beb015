// What one purse has spent in its present period. A charge is dated by the start of its attempt, as in the ledger, so
// that both always say the same.

import type { BudgetPeriod } from '#core/admission.ts'
import { type PeriodSpan, periodAt } from './periods.ts'

/** A rolling period is kept in so many parts; a part is forgotten when its last moment is too old. */
const ROLLING_PARTS = 1_440

/** An amount of the ledger, and when it was spent at the latest. */
export interface DatedAmount {
  readonly amountNano: bigint
  readonly atMs: number
}

export class BudgetMeter {
  readonly period: BudgetPeriod
  #isSeeded = false
  #span: PeriodSpan
  #spent = 0n
  /** Of a rolling period: spent by part, about in order of time. */
  readonly #parts = new Map<number, bigint>()
  readonly #partMs: number

  constructor(period: BudgetPeriod, nowMs: number) {
    this.period = period
    this.#span = periodAt(period, nowMs)
    this.#partMs = period.kind === 'rolling' ? Math.max(1_000, Math.ceil(period.lengthMs / ROLLING_PARTS)) : 0
  }

  /** False until the ledger has said what was spent before. */
  get isSeeded(): boolean {
    return this.#isSeeded
  }

  /** Nano, in the period around `nowMs`. */
  spent(nowMs: number): bigint {
    this.#move(nowMs)
    return this.#spent
  }

  /** What the ledger says of the time before; charges of this purse's own time stay. */
  seed(amounts: readonly DatedAmount[], nowMs: number): void {
    this.#isSeeded = true
    for (const { amountNano, atMs } of amounts) this.charge(amountNano, atMs, nowMs)
  }

  /** What the ledger says of all time. */
  reseed(amounts: readonly DatedAmount[], nowMs: number): void {
    this.#spent = 0n
    this.#parts.clear()
    this.seed(amounts, nowMs)
  }

  /** Money spent at `atMs`; what belongs to an earlier period no longer counts. */
  charge(amountNano: bigint, atMs: number, nowMs: number): void {
    this.#move(nowMs)
    if (this.period.kind !== 'rolling') {
      if (atMs >= this.#span.startMs) this.#spent += amountNano
      return
    }
    const part = Math.floor(atMs / this.#partMs)
    if (this.#partEndMs(part) <= nowMs - this.period.lengthMs) return
    this.#parts.set(part, (this.#parts.get(part) ?? 0n) + amountNano)
    this.#spent += amountNano
  }

  /** When the period ends, epoch ms; null: never, or a little at every moment. */
  resetAtMs(nowMs: number): number | null {
    this.#move(nowMs)
    return this.period.kind === 'life' || this.period.kind === 'rolling' ? null : this.#span.endMs
  }

  /** Milliseconds until `amountNano` fits by time alone; null: time does not help. */
  waitMs(amountNano: bigint, limitNano: bigint, nowMs: number): number | null {
    this.#move(nowMs)
    if (amountNano > limitNano || this.period.kind === 'life') return null
    if (this.period.kind !== 'rolling') return this.#span.endMs - nowMs
    let spent = this.#spent
    for (const [part, amount] of [...this.#parts].sort(([left], [right]) => left - right)) {
      spent -= amount
      if (spent + amountNano <= limitNano) return this.#partEndMs(part) + this.period.lengthMs - nowMs
    }
    return null
  }

  #move(nowMs: number): void {
    if (this.period.kind === 'rolling') return this.#forget(nowMs - this.period.lengthMs)
    // A clock that steps back stays in the period that has begun.
    if (nowMs < this.#span.endMs) return
    this.#span = periodAt(this.period, nowMs)
    this.#spent = 0n
  }

  /** Stops at the first part that is young enough: an old one behind it counts a little longer. */
  #forget(beforeMs: number): void {
    for (const [part, amount] of this.#parts) {
      if (this.#partEndMs(part) > beforeMs) return
      this.#parts.delete(part)
      this.#spent -= amount
    }
  }

  #partEndMs(part: number): number {
    return (part + 1) * this.#partMs
  }
}
