// How answers scatter around a target's level: on the logarithm of their time, as observed, beside a shape that is
// assumed while little has been. Real noise is neither normal nor alike everywhere: queues and cold starts give it modes.

import { normalCdf } from './normal.ts'

/** On the logarithm; from a quarter to 20 times of what is usual. */
const FROM = -1.4
export const NOISE_STEP = 0.07
const BINS = 64
/** Assumed of stragglers: they take 1.8 to 13 times as long, evenly on the logarithm. */
const TAIL_FROM = 0.6
const TAIL_TO = 2.6
/** Answers that the assumed shape counts for against the observed ones, of which so many are remembered. */
const ASSUMED_WEIGHT = 40
/** Of answers that straggle where none has been seen to: a single late one is to be no slow-down. */
const TAIL_MIN = 0.005
const KEPT = 0.999
const DENSITY_FLOOR = 1e-4

export class Noise {
  /** Of the assumed shape: standard deviation of the logarithm, and the share of stragglers. */
  sigma = 0.3
  tail = 0.015
  readonly #counts = new Float64Array(BINS)
  #count = 0
  /** P(log ratio ≤ FROM + index × NOISE_STEP). */
  readonly #cdf = new Float64Array(BINS + 1)
  #isStale = true

  /** P(log ratio ≤ x) of one answer. */
  cdf(x: number): number {
    const place = (x - FROM) / NOISE_STEP
    if (place <= 0) return 0
    if (place >= BINS) return 1
    const table = this.#table()
    const bin = place | 0
    const from = table[bin] ?? 0
    return from + ((table[bin + 1] ?? 1) - from) * (place - bin)
  }

  density(x: number): number {
    const place = (x - FROM) / NOISE_STEP
    if (place < 1 || place >= BINS - 1) return DENSITY_FLOOR
    const table = this.#table()
    // Over two bins, the nearer one counting more: the steps of a histogram are none of the noise's.
    const bin = (place - 0.5) | 0
    const lower = (table[bin + 1] ?? 0) - (table[bin] ?? 0)
    const upper = (table[bin + 2] ?? 0) - (table[bin + 1] ?? 0)
    return (lower + (upper - lower) * (place - 0.5 - bin)) / NOISE_STEP + DENSITY_FLOOR
  }

  /** Σ weight × P(log ratio ≤ x − level), for levels of twice the step apart from `fromLevel` on. */
  chanceBelow(weights: Float64Array, count: number, fromLevel: number, x: number): number {
    const table = this.#table()
    const place = (x - fromLevel - FROM) / NOISE_STEP
    let bin = Math.floor(place)
    const between = place - bin
    let sum = 0
    for (let level = 0; level < count && bin >= 0; level++, bin -= 2) {
      const weight = weights[level] ?? 0
      if (weight < WEIGHT_MIN) continue
      if (bin >= BINS) sum += weight
      else {
        const from = table[bin] ?? 0
        sum += weight * (from + ((table[bin + 1] ?? 1) - from) * between)
      }
    }
    return sum
  }

  /** `trust`: how sure it is that the residual is noise and no change of level. */
  learn(residual: number, trust: number, samples: number): void {
    const rate = trust / Math.min(30 + samples, 200)
    const isStraggler = residual > Math.max(3 * this.sigma, TAIL_FROM)
    this.tail += rate * ((isStraggler ? 1 : 0) - this.tail)
    this.tail = Math.min(0.2, Math.max(TAIL_MIN, this.tail))
    if (!isStraggler) {
      const variance = this.sigma * this.sigma
      const square = Math.min(residual * residual, 9 * variance)
      this.sigma = Math.sqrt(Math.max(0.0064, variance + 2 * rate * (square - variance)))
    }
    this.#observe(residual, trust)
    this.#isStale = true
  }

  #observe(residual: number, trust: number): void {
    const counts = this.#counts
    for (let bin = 0; bin < BINS; bin++) counts[bin] = (counts[bin] ?? 0) * KEPT
    this.#count = this.#count * KEPT + trust
    const place = Math.min(BINS - 1.001, Math.max(0, (residual - FROM) / NOISE_STEP - 0.5))
    const bin = place | 0
    counts[bin] = (counts[bin] ?? 0) + trust * (1 - place + bin)
    counts[bin + 1] = (counts[bin + 1] ?? 0) + trust * (place - bin)
  }

  #table(): Float64Array {
    if (!this.#isStale) return this.#cdf
    this.#isStale = false
    const all = ASSUMED_WEIGHT + this.#count
    let observed = 0
    for (let edge = 0; edge <= BINS; edge++) {
      const x = FROM + edge * NOISE_STEP
      const near = (1 - this.tail) * normalCdf(x / this.sigma) + this.tail * straggling(x)
      const share = (ASSUMED_WEIGHT * near + observed) / all
      this.#cdf[edge] = (1 - TAIL_MIN) * share + TAIL_MIN * straggling(x)
      observed += this.#counts[edge] ?? 0
    }
    return this.#cdf
  }
}

/** P(log ratio ≤ x) of those that straggle. */
function straggling(x: number): number {
  return x <= TAIL_FROM ? 0 : x >= TAIL_TO ? 1 : (x - TAIL_FROM) / (TAIL_TO - TAIL_FROM)
}

/** Lighter levels do not change a chance by what matters. */
const WEIGHT_MIN = 3e-5
