// What one request within the SLO is worth: declared, or found by dual ascent so that the attainment is met. What
// cannot be reached is reported, and not paid for.

import type { Slo } from '#core/settings.ts'

/** In mean costs of a request at its cheapest target. */
const START = 5
const LEAST = 0.05
const MOST = 20
/**
 * Each decision moves the worth by its distance from the aim. Its own chance is taken, not the outcome: that is known
 * at once, and varies less. What outcomes were better or worse than promised is added, averaged.
 */
const STEP = 0.05
const RATE = 0.01
const SAMPLES_MIN = 200
/** Where nothing costs anything, any worth finds the quickest. */
const FREE_COST = 1e-6
/** The last point of what is reachable is the dearest. */
const SPARED = 0.01

export interface WorthState {
  /** Of one request within, book currency. */
  readonly value: number
  readonly isDeclared: boolean
  /** Share of requests that were within, of late. */
  readonly attained: number
  /** The same, had cost been no matter. */
  readonly reachable: number
  /** The attainment cannot be met now, whatever it may cost. */
  readonly isUnreachable: boolean
}

export class Worth {
  #multiple = START
  #meanCost = 0
  #decided = 0
  #ended = 0
  #attained = 0
  #reachable = 0
  /** Attained beyond what had been promised. */
  #surplus = 0

  value(slo: Slo): number {
    return slo.value === 'auto' ? this.#multiple * (this.#meanCost || FREE_COST) : slo.value
  }

  /** `leastCost`: of the cheapest able target that costs anything; 0: none does. `bestChance`: of the surest. */
  requested(leastCost: number, bestChance: number): void {
    this.#decided++
    this.#reachable += (bestChance - this.#reachable) * Math.max(RATE, 1 / this.#decided)
    if (leastCost > 0) this.#meanCost += (leastCost - this.#meanCost) * Math.max(RATE, 1 / this.#decided)
  }

  /** The chance of what was chosen first for a request. */
  chose(chance: number, slo: Slo): void {
    const aim = this.#isUnreachable(slo) ? Math.max(0, this.#reachable - SPARED) : slo.attainment
    this.#multiple *= Math.exp(STEP * (aim - chance - this.#surplus))
    this.#multiple = Math.min(MOST, Math.max(LEAST, this.#multiple))
  }

  ended(isWithin: boolean, promised: number): void {
    this.#ended++
    const outcome = isWithin ? 1 : 0
    this.#attained += (outcome - this.#attained) * Math.max(RATE, 1 / this.#ended)
    this.#surplus += (outcome - promised - this.#surplus) * (RATE / 2)
  }

  state(slo: Slo): WorthState {
    return {
      value: this.value(slo),
      isDeclared: slo.value !== 'auto',
      attained: this.#attained,
      reachable: this.#reachable,
      isUnreachable: this.#isUnreachable(slo),
    }
  }

  #isUnreachable(slo: Slo): boolean {
    return this.#decided >= SAMPLES_MIN && this.#reachable + this.#surplus - SPARED < slo.attainment
  }
}
