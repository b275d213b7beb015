// Time per output token of one target: a discounted mean and spread of its logarithm.

import { normalCdf } from './normal.ts'

/** Fewer tokens say more about the network than about the model. */
const TOKENS_MIN = 4
const SAMPLES_MAX = 12
/** What comes all in one read took some time too. */
const DURATION_MS_MIN = 1

export class SpeedModel {
  samples = 0
  #mean: number
  #variance = 0.06

  constructor(tokensPerSecond: number) {
    this.#mean = Math.log(1000 / tokensPerSecond)
  }

  learn(outputTokens: number, durationMs: number): void {
    if (outputTokens < TOKENS_MIN) return
    const log = Math.log(Math.max(durationMs, DURATION_MS_MIN) / (outputTokens - 1))
    this.samples++
    const residual = log - this.#mean
    this.#mean += residual / Math.min(this.samples, SAMPLES_MAX)
    if (this.samples === 1) return
    const square = Math.min(residual * residual, 9 * this.#variance)
    this.#variance = Math.max(0.001, this.#variance + 0.04 * (square - this.#variance))
  }

  tokensPerSecond(): number {
    return 1000 / Math.exp(this.#mean)
  }

  /** P(an output token takes at most so long on average). */
  chance(tpotMs: number): number {
    const spread = Math.sqrt(this.#variance * (1 + 1 / Math.max(this.samples, 1)))
    return normalCdf((Math.log(tpotMs) - this.#mean) / spread)
  }
}
