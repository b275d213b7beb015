// The normal distribution from tables: decisions read it hundreds of times each.

const REACH = 6
const STEPS_PER_UNIT = 64
const LAST = 2 * REACH * STEPS_PER_UNIT

const CDF = new Float64Array(LAST + 2)
const DENSITY = new Float64Array(LAST + 2)
for (let index = 0; index <= LAST + 1; index++) {
  const z = index / STEPS_PER_UNIT - REACH
  CDF[index] = cdf(z)
  DENSITY[index] = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)
}

/** Abramowitz and Stegun 26.2.17; its error is below 1e-7. */
function cdf(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z))
  const polynomial =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  const upper = (Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)) * polynomial
  return z >= 0 ? 1 - upper : upper
}

function read(table: Float64Array, z: number): number {
  const place = (z + REACH) * STEPS_PER_UNIT
  const index = place | 0
  const from = table[index] ?? 0
  return from + ((table[index + 1] ?? 0) - from) * (place - index)
}

/** P(Z ≤ z). */
export function normalCdf(z: number): number {
  if (z <= -REACH) return 0
  return z >= REACH ? 1 : read(CDF, z)
}

export function normalDensity(z: number): number {
  return z <= -REACH || z >= REACH ? 0 : read(DENSITY, z)
}
