import fc from 'fast-check'
import { expect, test } from 'vitest'
import { divideRounded, roundingTogether } from '#core/shares.ts'

function roundTogether(numerators: readonly bigint[], denominator: bigint): bigint[] {
  const steps = roundingTogether(numerators, denominator)
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  return step.value
}

test.each<[string, bigint[], bigint, bigint[]]>([
  ['thirds of a cent go to the first', [333n, 333n, 334n], 1000n, [0n, 0n, 1n]],
  ['of equal remainders the first goes up', [5n, 5n], 10n, [1n, 0n]],
  ['half of all goes up', [5n], 10n, [1n]],
  ['refunds go down', [-15n, 5n], 10n, [-1n, 0n]],
  ['nothing is nothing', [], 10n, []],
])('%s', (_, numerators, denominator, expected) => {
  expect(roundTogether(numerators, denominator)).toEqual(expected)
})

test('parts come to the rounded sum, each less than one from what it is', () => {
  const amounts = fc.array(fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }), { maxLength: 40 })
  fc.assert(
    fc.property(amounts, fc.bigInt({ min: 1n, max: 10n ** 9n }), (numerators, denominator) => {
      const parts = roundTogether(numerators, denominator)
      const sum = numerators.reduce((total, numerator) => total + numerator, 0n)
      expect(parts.reduce((total, part) => total + part, 0n)).toBe(divideRounded(sum, denominator))
      for (const [index, part] of parts.entries()) {
        const off = (numerators[index] ?? 0n) - part * denominator
        expect(off > -denominator && off < denominator).toBe(true)
      }
    }),
    { seed: 20_261_101 },
  )
})

test('gives way to others while it works on many', () => {
  const steps = roundingTogether(
    Array.from({ length: 10_000 }, (_, index) => BigInt(index)),
    7n,
  )
  let yields = 0
  while (steps.next().done !== true) yields++
  expect(yields).toBe(5)
})
