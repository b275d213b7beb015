// Rounding of many amounts that must come to the rounded sum of all: largest remainders.

/** Elements that are worked on before others may have their turn: about 2 ms. */
const STEP = 2_000
/** A remainder in 32 bits and an index in 20 fit into a number, by which machines sort fast. */
const REMAINDERS = 2n ** 32n
const INDEXES = 2 ** 20

/**
 * Exact amounts `numerators[i] / denominator`, each rounded down or up by less than one so that together they are their
 * sum, rounded half up. Those with the largest remainders (to 32 bits) go up; of equal ones the first. At most a million.
 * Yields now and then, so that nobody has to wait for it.
 */
export function* roundingTogether(
  numerators: readonly bigint[],
  denominator: bigint,
): Generator<void, bigint[]> {
  const rounded: bigint[] = []
  const order = new Float64Array(numerators.length)
  let sum = 0n
  let floors = 0n
  for (const [index, numerator] of numerators.entries()) {
    const floor = floorDivide(numerator, denominator)
    const remainder = Number(((numerator - floor * denominator) * REMAINDERS) / denominator)
    order[index] = remainder * INDEXES + (INDEXES - 1 - index)
    rounded.push(floor)
    sum += numerator
    floors += floor
    if (index % STEP === STEP - 1) yield
  }
  const left = Number(divideRounded(sum, denominator) - floors)
  order.sort()
  for (const place of left === 0 ? [] : order.subarray(-left)) {
    const index = INDEXES - 1 - (place % INDEXES)
    rounded[index] = (rounded[index] ?? 0n) + 1n
  }
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
