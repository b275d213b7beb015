// How likely something bad is that comes in spells: failures, refusals. A distribution over four rates, which jumps
// and comes back, so that two failures in a row weigh more than two in an hour.

import { wasSetBack } from './clock.ts'

const RATES = [0.003, 0.03, 0.3, 0.93]
const USUAL = [0.9, 0.075, 0.01, 0.015]
const RETURN_MS = 240_000
const ADVANCE_MS_MIN = 100

export class Odds {
  readonly #weights = Float64Array.from(USUAL)
  #atMs = Number.NEGATIVE_INFINITY
  #expected = 0

  constructor() {
    this.#sum()
  }

  /** P(the next one is bad). */
  expected(nowMs: number): number {
    this.#advance(nowMs)
    return this.#expected
  }

  observe(isBad: boolean, nowMs: number): void {
    this.#advance(nowMs)
    let total = 0
    for (let state = 0; state < RATES.length; state++) {
      const rate = RATES[state] ?? 0
      const weight = (this.#weights[state] ?? 0) * (isBad ? rate : 1 - rate)
      this.#weights[state] = weight
      total += weight
    }
    for (let state = 0; state < RATES.length; state++)
      this.#weights[state] = (this.#weights[state] ?? 0) / total
    this.#sum()
  }

  #advance(nowMs: number): void {
    if (this.#atMs === Number.NEGATIVE_INFINITY || wasSetBack(this.#atMs, nowMs)) this.#atMs = nowMs
    const elapsedMs = nowMs - this.#atMs
    if (elapsedMs < ADVANCE_MS_MIN) return
    this.#atMs = nowMs
    const returned = 1 - Math.exp(-elapsedMs / RETURN_MS)
    for (let state = 0; state < RATES.length; state++) {
      const weight = this.#weights[state] ?? 0
      this.#weights[state] = weight + ((USUAL[state] ?? 0) - weight) * returned
    }
    this.#sum()
  }

  #sum(): void {
    let sum = 0
    for (let state = 0; state < RATES.length; state++)
      sum += (this.#weights[state] ?? 0) * (RATES[state] ?? 0)
    this.#expected = sum
  }
}
