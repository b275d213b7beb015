// What one purse has spent in its present period, and what is held for requests that run. A charge is dated by the
// start of its attempt, as in the ledger, so that both always say the same.

import type { BudgetPeriod } from '#core/admission.ts'

/** The present period of a budget: half-open, epoch ms. */
export interface PeriodSpan {
  readonly startMs: number
  readonly endMs: number
}

/** The period around an instant; never asked for `rolling`. */
export type PeriodClock = (period: BudgetPeriod, atMs: number) => PeriodSpan

/** A rolling period is kept in so many parts; a part is forgotten when its last moment is too old. */
const ROLLING_PARTS = 1_440

export class BudgetMeter {
  readonly period: BudgetPeriod
  readonly #spanOf: PeriodClock
  #span: PeriodSpan = { startMs: 0, endMs: 0 }
  #spent = 0n
  #held = 0n
  /** Of a rolling period: spent by part, in order of time. */
  readonly #parts = new Map<number, bigint>()
  readonly #partMs: number

  constructor(period: BudgetPeriod, spanOf: PeriodClock) {
    this.period = period
    this.#spanOf = spanOf
    this.#partMs = period.kind === 'rolling' ? Math.max(1_000, Math.ceil(period.lengthMs / ROLLING_PARTS)) : 0
  }

  /** Nano, in the period around `nowMs`. */
  spent(nowMs: number): bigint {
    this.#move(nowMs)
    return this.#spent
  }

  get held(): bigint {
    return this.#held
  }

  hold(amountNano: bigint): void {
    this.#held += amountNano
  }

  release(amountNano: bigint): void {
    this.#held -= amountNano
  }

  /** Money spent at `atMs`; what belongs to an earlier period no longer counts. */
  charge(amountNano: bigint, atMs: number, nowMs: number): void {
    this.#move(nowMs)
    if (this.period.kind === 'rolling') {
      if (this.#partEndMs(this.#partOf(atMs)) <= nowMs - this.period.lengthMs) return
      const part = this.#partOf(atMs)
      this.#parts.set(part, (this.#parts.get(part) ?? 0n) + amountNano)
      this.#spent += amountNano
    } else if (atMs >= this.#span.startMs) this.#spent += amountNano
  }

  /** When the period ends, epoch ms; null: never, or always a little. */
  resetAtMs(nowMs: number): number | null {
    this.#move(nowMs)
    return Number.isFinite(this.#span.endMs) && this.period.kind !== 'rolling' ? this.#span.endMs : null
  }

  /** Milliseconds until `amountNano` fits by time alone; null: time does not help. */
  waitMs(amountNano: bigint, limitNano: bigint, nowMs: number): number | null {
    this.#move(nowMs)
    if (amountNano > limitNano) return null
    if (this.period.kind === 'life') return null
    if (this.period.kind !== 'rolling') return this.#span.endMs - nowMs
    let spent = this.#spent
    for (const [part, amount] of [...this.#parts].sort(([left], [right]) => left - right)) {
      spent -= amount
      if (spent + amountNano <= limitNano) return this.#partEndMs(part) + this.period.lengthMs - nowMs
    }
    return null
  }

  #move(nowMs: number): void {
    if (this.period.kind === 'life') return
    if (this.period.kind === 'rolling') return this.#forget(nowMs - this.period.lengthMs)
    // A clock that steps back stays in the period that has begun.
    if (nowMs < this.#span.endMs) return
    this.#span = this.#spanOf(this.period, nowMs)
    this.#spent = 0n
  }

  #forget(beforeMs: number): void {
    for (const [part, amount] of this.#parts) {
      if (this.#partEndMs(part) > beforeMs) continue
      this.#parts.delete(part)
      this.#spent -= amount
    }
  }

  #partOf(atMs: number): number {
    return Math.floor(atMs / this.#partMs)
  }

  #partEndMs(part: number): number {
    return (part + 1) * this.#partMs
  }
}
