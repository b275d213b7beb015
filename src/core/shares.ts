// Rounding of many amounts that must come to the rounded sum of all: largest remainders.

/**
 * Exact amounts `numerators[i] / denominator`, each rounded down or up by less than one so that together they are their
 * sum, rounded half up. Those with the largest remainders go up; of equal ones the first.
 */
export function roundTogether(numerators: readonly bigint[], denominator: bigint): bigint[] {
  const sum = numerators.reduce((total, numerator) => total + numerator, 0n)
  const rounded = numerators.map((numerator) => floorDivide(numerator, denominator))
  const floors = rounded.reduce((total, part) => total + part, 0n)
  const left = Number(floorDivide(2n * sum + denominator, 2n * denominator) - floors)
  const byRemainder = numerators
    .map((numerator, index) => ({ index, remainder: numerator - (rounded[index] ?? 0n) * denominator }))
    .sort((a, b) => (a.remainder === b.remainder ? a.index - b.index : a.remainder > b.remainder ? -1 : 1))
  for (const { index } of byRemainder.slice(0, left)) rounded[index] = (rounded[index] ?? 0n) + 1n
  return rounded
}

/** Half up, also below zero. */
export function divideRounded(numerator: bigint, denominator: bigint): bigint {
  return floorDivide(2n * numerator + denominator, 2n * denominator)
}

function floorDivide(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator
  return numerator < 0n && quotient * denominator !== numerator ? quotient - 1n : quotient
}
