import { describe, expect, test } from 'vitest'
import type { PriceEntry } from '#core/price.ts'
import { rate } from '#pricing/rate.ts'
import { decideUnpriced, type UnpricedCase } from '#pricing/unpriced.ts'
import { finderOf, priceOf, termsOf, usageOf } from './prices.ts'

describe('a request whose price is not known', () => {
  const decide = (rest: Partial<UnpricedCase<bigint>>) =>
    decideUnpriced({ rule: 'deny', underBudget: true, known: [], ...rest })

  test.each<[string, Partial<UnpricedCase<bigint>>, object]>([
    ['is denied under a budget', {}, { kind: 'deny' }],
    ['is sent and flagged without a budget', { underBudget: false }, { kind: 'allow_flagged' }],
    ['is sent and flagged where that is the rule', { rule: 'allow_flagged' }, { kind: 'allow_flagged' }],
    [
      'is bounded by what is known of like models',
      { rule: 'bound', known: [3n, 9n, 5n] },
      { kind: 'bound', known: [3n, 9n, 5n] },
    ],
    ['is denied where nothing bounds it', { rule: 'bound' }, { kind: 'deny' }],
  ])('%s', (_title, rest, expected) => {
    expect(decide(rest)).toEqual(expected)
  })
})

describe('a model on machines of our own', () => {
  const usage = usageOf(1000, 100)

  test.each<[string, Partial<PriceEntry>, bigint | null]>([
    ['by tokens', { tiers: [{ input: '1', output: '2' }] }, 1_200_000n],
    [
      'by the seconds of its GPUs',
      { unit: 'per_gpu_second', gpus: 2, tiers: [{ price: '0.002' }] },
      6_000_000n,
    ],
    ['at zero on purpose', { tiers: [{ input: '0', output: '0' }] }, 0n],
  ])('costs what it is priced at %s', (_title, entry, expected) => {
    const timed = { ...usage, other: { gpuMs: 1500 } }
    expect(rate(priceOf(entry), timed, termsOf())?.amountNano).toBe(expected)
  })

  test('without a price is unknown, not free', () => {
    expect(finderOf([])('m')).toBeNull()
  })

  test('at zero says so line by line', () => {
    const cost = rate(priceOf({ tiers: [{ input: '0', output: '0' }] }), usage, termsOf())
    expect(cost?.lines).toEqual([
      { item: 'input', quantity: 1000, price: '0', amount: '0' },
      { item: 'output', quantity: 100, price: '0', amount: '0' },
    ])
  })
})
