// How slow a target is now, against what is usual for it: a distribution over the logarithm of that factor, on a
// grid. Levels drift, jump and come back; answers and the silence of those that are waited for are both evidence.

import { wasSetBack } from './clock.ts'
import { NOISE_STEP, type Noise } from './noise.ts'
import { normalDensity } from './normal.ts'

const BINS = 41
const STEP = 2 * NOISE_STEP
const ZERO_BIN = 12
/** The last one: it takes requests and never answers. */
const HANG_BIN = BINS - 1
/** exp(-1.68) to exp(3.78): from a fifth to 44 times of what is usual. */
const LEVELS = Float64Array.from({ length: BINS }, (_, bin) =>
  bin === HANG_BIN ? Number.POSITIVE_INFINITY : (bin - ZERO_BIN) * STEP,
)
/** Up to a third slower than usual. */
const USUAL_BINS = 2
const SLOWEST = (HANG_BIN - ZERO_BIN) * STEP

/** Drift of a factor whose spread is about 0.22 over five minutes (ROUTING.md 2c). */
const DRIFT_PER_MS = 3.2e-7
/** A level is forgotten in about this time: slow-downs and outages last minutes. */
export const RETURN_MS = 300_000
/** Shares of time in which targets are slow or hang; jumps there come at this over RETURN_MS. */
const SLOW_SHARE = 0.06
const HANG_SHARE = 0.02
const ADVANCE_MS_MIN = 100

/** Requests that never answer while the target is well. */
const STUCK_SHARE = 0.003

const USUAL = usual()

function usual(): Float64Array {
  const weights = LEVELS.map((level) => normalDensity(level / 0.3))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const slowBins = LEVELS.filter((level) => level > 0.5).length - 1
  return weights.map((weight, bin) => {
    if (bin === HANG_BIN) return HANG_SHARE
    const slow = (LEVELS[bin] ?? 0) > 0.5 ? SLOW_SHARE / slowBins : 0
    return ((1 - SLOW_SHARE - HANG_SHARE) * weight) / total + slow
  })
}

export class LevelFilter {
  readonly weights = new Float64Array(BINS)
  #advancedAtMs = Number.NEGATIVE_INFINITY

  constructor() {
    // Before anything is known, the usual time itself is a guess.
    let total = 0
    for (let bin = 0; bin < BINS; bin++) {
      const weight = normalDensity((LEVELS[bin] ?? 0) / 0.6)
      this.weights[bin] = weight
      total += weight
    }
    for (let bin = 0; bin < BINS; bin++) this.weights[bin] = (this.weights[bin] ?? 0) / total
  }

  /** What may have changed since. */
  advance(nowMs: number): void {
    const isFirst = this.#advancedAtMs === Number.NEGATIVE_INFINITY
    if (isFirst || wasSetBack(this.#advancedAtMs, nowMs)) this.#advancedAtMs = nowMs
    const elapsedMs = nowMs - this.#advancedAtMs
    if (elapsedMs < ADVANCE_MS_MIN) return
    this.#advancedAtMs = nowMs
    this.#drift(Math.min((DRIFT_PER_MS * elapsedMs) / (2 * STEP * STEP), 2))
    const returned = 1 - Math.exp(-elapsedMs / RETURN_MS)
    const { weights } = this
    for (let bin = 0; bin < BINS; bin++) {
      const weight = weights[bin] ?? 0
      weights[bin] = weight + ((USUAL[bin] ?? 0) - weight) * returned
    }
  }

  #drift(share: number): void {
    const { weights } = this
    for (let left = share; left > 0; left -= 0.25) {
      const move = Math.min(left, 0.25)
      let before = weights[0] ?? 0
      for (let bin = 0; bin < HANG_BIN; bin++) {
        const here = weights[bin] ?? 0
        const after = bin + 1 < HANG_BIN ? (weights[bin + 1] ?? here) : here
        weights[bin] = here + move * (before - 2 * here + after)
        before = here
      }
    }
  }

  /** An answer: `logRatio` against the time expected with a cache hit, `missLogRatio` against that without. */
  observe(logRatio: number, missLogRatio: number, hitShare: number, noise: Noise): void {
    const { weights } = this
    let total = 0
    for (let bin = 0; bin < BINS; bin++) {
      const level = LEVELS[bin] ?? 0
      let likelihood = (1 - hitShare) * noise.density(missLogRatio - level)
      if (hitShare > 0) likelihood += hitShare * noise.density(logRatio - level)
      const weight = (weights[bin] ?? 0) * likelihood
      weights[bin] = weight
      total += weight
    }
    for (let bin = 0; bin < BINS; bin++) weights[bin] = (weights[bin] ?? 0) / total
  }

  /** That it hangs has become so many times as likely. */
  suspectHang(times: number): void {
    const { weights } = this
    const hung = (weights[HANG_BIN] ?? 0) * times
    const total = 1 - (weights[HANG_BIN] ?? 0) + hung
    for (let bin = 0; bin < HANG_BIN; bin++) weights[bin] = (weights[bin] ?? 0) / total
    weights[HANG_BIN] = hung / total
  }

  mean(): number {
    return meanLevel(this.weights)
  }
}

export function meanLevel(weights: Float64Array): number {
  let sum = 0
  for (let bin = 0; bin < HANG_BIN; bin++) sum += (weights[bin] ?? 0) * (LEVELS[bin] ?? 0)
  return sum + (weights[HANG_BIN] ?? 0) * SLOWEST
}

/** Weighs `weights` by one request that has waited for `logRatio` times the expected and has no answer. */
export function weighSilence(weights: Float64Array, logRatio: number, noise: Noise): void {
  let total = 0
  for (let bin = 0; bin < BINS; bin++) {
    const silent = (1 - noise.cdf(logRatio - (LEVELS[bin] ?? 0))) * (1 - STUCK_SHARE) + STUCK_SHARE
    const weight = (weights[bin] ?? 0) * silent
    weights[bin] = weight
    total += weight
  }
  for (let bin = 0; bin < BINS; bin++) weights[bin] = (weights[bin] ?? 0) / total
}

/** P(log ratio ≤ x) over levels and noise. */
export function chanceBelow(weights: Float64Array, x: number, noise: Noise): number {
  return noise.chanceBelow(weights, HANG_BIN, LEVELS[0] ?? 0, x)
}

/** P(it takes requests and never answers). */
export function hangShare(weights: Float64Array): number {
  return weights[HANG_BIN] ?? 0
}

/** P(no slower than usual, to what noise allows). */
export function asUsual(weights: Float64Array): number {
  let sum = 0
  for (let bin = 0; bin <= ZERO_BIN + USUAL_BINS; bin++) sum += weights[bin] ?? 0
  return sum
}

/** P(level > x): what noise does to that matters little far from the usual. */
export function massAbove(weights: Float64Array, x: number): number {
  let sum = 0
  const first = Math.max(0, ZERO_BIN + Math.ceil(x / STEP))
  for (let bin = Math.min(first, HANG_BIN); bin < BINS; bin++) sum += weights[bin] ?? 0
  return sum
}
