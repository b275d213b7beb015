// Chance that depends on names only: the same seed, request, target and purpose give the same number to every policy,
// whatever was drawn before.

/** What a draw is for; two purposes of one attempt are independent. */
export const DRAW = {
  noise: 1,
  mode: 2,
  tail: 3,
  tailSize: 4,
  failure: 5,
  failureKind: 6,
  failureAge: 7,
  storm: 8,
  retryAfter: 9,
  cache: 10,
  speed: 11,
  shift: 12,
  load: 13,
  trace: 14,
  outage: 15,
} as const

export type Draw = (typeof DRAW)[keyof typeof DRAW]

/** A number in (0, 1), never an end. */
export function draw(seed: number, first: number, second: number, third: number, purpose: Draw): number {
  let hash = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b)
  hash = stir(hash, first)
  hash = stir(hash, second)
  hash = stir(hash, third)
  hash = stir(hash, purpose)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  hash ^= hash >>> 16
  return ((hash >>> 0) + 0.5) / 4_294_967_296
}

/** One word of MurmurHash3. */
function stir(hash: number, value: number): number {
  let word = Math.imul(value, 0xcc9e2d51)
  word = (word << 15) | (word >>> 17)
  const mixed = hash ^ Math.imul(word, 0x1b873593)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** A stream of numbers in (0, 1) for policies that choose by chance. */
export function randomStream(seed: number): () => number {
  let count = 0
  return () => {
    count += 1
    return draw(seed, count, 0, 0, DRAW.trace)
  }
}

/** Acklam's rational approximation: relative error below 1.2e-9. */
export function normalQuantile(share: number): number {
  if (share < 0.02425) return tailQuantile(share)
  if (share > 1 - 0.02425) return -tailQuantile(1 - share)
  const q = share - 0.5
  const r = q * q
  const top =
    (((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r -
      30.66479806614716) *
      r +
      2.506628277459239) *
    q
  const bottom =
    ((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r -
      13.28068155288572) *
      r +
    1
  return top / bottom
}

function tailQuantile(share: number): number {
  const q = Math.sqrt(-2 * Math.log(share))
  const top =
    ((((-0.007784894002430293 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) *
      q +
      4.374664141464968) *
      q +
    2.938163982698783
  const bottom =
    (((0.007784695709041462 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416) * q +
    1
  return top / bottom
}

/** Abramowitz and Stegun 26.2.17: absolute error below 7.5e-8. */
export function normalShare(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z))
  const series =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  const upper = 0.3989422804014327 * Math.exp(-0.5 * z * z) * series
  return z >= 0 ? 1 - upper : upper
}
