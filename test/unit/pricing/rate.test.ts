import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Micro, parseDecimal, roundToNano } from '#core/money.ts'
import type { PriceEntry, PriceTier } from '#core/price.ts'
import type { TokenUsage } from '#core/usage.ts'
import { estimateNano, rate } from '#pricing/rate.ts'
import { dollarsAt, NOON_MS, priceOf, termsOf, usageOf } from './prices.ts'

function linesOf(tier: PriceTier, usage: TokenUsage, thinking = false) {
  const cost = rate(priceOf({ tiers: [tier] }), usage, termsOf({ thinking }))
  return cost?.lines.map(({ item, quantity, price }) => `${quantity} ${item} at ${price}`)
}

describe('the lines of a bill', () => {
  test('say tokens, price and amount, and sum to the cost', () => {
    const tier = { input: '0.80', cached_input: '0.16', cache_write: '1', output: '2' }
    const usage = usageOf(1000, 10, { cachedInputTokens: 300, cacheWriteTokens: 200 })
    expect(rate(priceOf({ tiers: [tier] }), usage, termsOf())).toEqual({
      amountNano: 668_000n,
      currency: 'CNY',
      nativeNano: 668_000n,
      nativeCurrency: 'CNY',
      lines: [
        { item: 'input', quantity: 500, price: '0.8', amount: '0.0004' },
        { item: 'cached_input', quantity: 300, price: '0.16', amount: '0.000048' },
        { item: 'cache_write', quantity: 200, price: '1', amount: '0.0002' },
        { item: 'output', quantity: 10, price: '2', amount: '0.00002' },
      ],
      priceVersion: 'vendor/m',
    })
  })

  test.each<[string, PriceTier, TokenUsage, boolean, string[]]>([
    [
      'take the input price for cached tokens and writes that have none',
      { input: '1', output: '2' },
      usageOf(100, 0, { cachedInputTokens: 30, cacheWriteTokens: 20 }),
      false,
      ['50 input at 1', '30 cached_input at 1', '20 cache_write at 1'],
    ],
    [
      'take the price of an explicit cache for its hits',
      { input: '1', cached_input: '0.2', cached_input_explicit: '0.1' },
      usageOf(100, 0, { cachedInputTokens: 100, explicitCache: true }),
      false,
      ['100 cached_input at 0.1'],
    ],
    [
      'take the implicit price for explicit hits that have none of their own',
      { input: '1', cached_input: '0.2' },
      usageOf(100, 0, { cachedInputTokens: 100, explicitCache: true }),
      false,
      ['100 cached_input at 0.2'],
    ],
    [
      'take the thinking price for the whole output while thinking is on',
      { input: '1', output: '2', thinking_output: '8' },
      usageOf(0, 100, { reasoningTokens: 60 }),
      true,
      ['100 output at 8'],
    ],
    [
      'take the plain price while thinking is off, whatever came of it',
      { input: '1', output: '2', thinking_output: '8' },
      usageOf(0, 100, { reasoningTokens: 60 }),
      false,
      ['100 output at 2'],
    ],
    [
      'take the one output price where thinking has none',
      { output: '2' },
      usageOf(0, 100, { reasoningTokens: 60 }),
      true,
      ['100 output at 2'],
    ],
    [
      'leave out what the row does not bill',
      { input: '0.5' },
      usageOf(100, 100),
      false,
      ['100 input at 0.5'],
    ],
    [
      'name what is free',
      { input: '0', output: '0' },
      usageOf(1, 2),
      false,
      ['1 input at 0', '2 output at 0'],
    ],
  ])('%s', (_title, tier, usage, thinking, expected) => {
    expect(linesOf(tier, usage, thinking)).toEqual(expected)
  })

  test('are never negative when an upstream counts more cached tokens than input', () => {
    expect(linesOf({ input: '1', cached_input: '0.2' }, usageOf(10, 0, { cachedInputTokens: 30 }))).toEqual([
      '30 cached_input at 0.2',
    ])
  })

  test('cost nothing when nothing was used', () => {
    expect(rate(priceOf(), usageOf(0, 0), termsOf())).toMatchObject({ amountNano: 0n, lines: [] })
  })

  test('are rounded once, on their sum', () => {
    // 1 × 0.0003 + 1 × 0.0003 = 600 pico: each line alone would round down to nothing.
    const price = priceOf({ tiers: [{ input: '0.0003', output: '0.0003' }] })
    expect(rate(price, usageOf(1, 1), termsOf())?.nativeNano).toBe(1n)
  })
})

describe('tiers', () => {
  const tiers = [
    { input_tokens_up_to: 32_000, output_tokens_up_to: 200, input: '1', output: '1' },
    { input_tokens_up_to: 32_000, input: '2', output: '2' },
    { input_tokens_up_to: 128_000, input: '3', output: '3' },
  ]

  test.each([
    [32_000, 200, '1'],
    [32_000, 201, '2'],
    [32_001, 200, '3'],
    [32_001, 201, '3'],
    [128_000, 1, '3'],
    [128_001, 1, '3'],
    [0, 0, undefined],
  ])('%i tokens in and %i out are priced whole by one row', (input, output, expected) => {
    const cost = rate(priceOf({ tiers }), usageOf(input, output), termsOf())
    expect(new Set(cost?.lines.map((line) => line.price))).toEqual(
      new Set(expected === undefined ? [] : [expected]),
    )
  })

  test('count cached and written tokens as input', () => {
    const usage = usageOf(32_001, 1, { cachedInputTokens: 32_000 })
    expect(rate(priceOf({ tiers }), usage, termsOf())?.lines[0]?.price).toBe('3')
  })

  test('say so in the version past the last limit', () => {
    const versionAt = (input: number) => rate(priceOf({ tiers }), usageOf(input, 1), termsOf())?.priceVersion
    expect(versionAt(128_000)).toBe('vendor/m')
    expect(versionAt(128_001)).toBe('vendor/m;past_last_limit')
  })
})

describe('currencies', () => {
  const price = priceOf({ currency: 'USD', tiers: [{ input: '0.25', output: '2' }] })

  test('are converted at the rate of the books, the native amount kept', () => {
    const cost = rate(price, usageOf(1000, 0), termsOf({ fx: dollarsAt('7.1') }))
    expect(cost).toMatchObject({
      amountNano: 1_775_000n,
      currency: 'CNY',
      nativeNano: 250_000n,
      nativeCurrency: 'USD',
    })
  })

  test('without a rate leave the cost unknown', () => {
    expect(rate(price, usageOf(1000, 0), termsOf())).toBeNull()
  })

  test('are converted at the rate of the instant, which the version names', () => {
    const october = Date.parse('2026-10-01T00:00:00+08:00')
    const fx = new Map([
      [
        'USD',
        [
          { rate: 7_200_000n as Micro, fromMs: october, toMs: october + 1000, since: '2026-10-01' },
          { rate: 7_100_000n as Micro, fromMs: Number.NEGATIVE_INFINITY, toMs: october, since: null },
        ],
      ],
    ])
    const costAt = (atMs: number) => rate(price, usageOf(1000, 0), termsOf({ fx, atMs }))
    expect(costAt(october - 1)).toMatchObject({ amountNano: 1_775_000n, priceVersion: 'vendor/m;fx=7.1' })
    expect(costAt(october)).toMatchObject({
      amountNano: 1_800_000n,
      nativeNano: 250_000n,
      priceVersion: 'vendor/m;fx=7.2@2026-10-01',
    })
    expect(costAt(october + 1000)).toBeNull()
  })

  test('need no rate when they are the books’ own', () => {
    const terms = termsOf({ currency: 'USD', fx: dollarsAt('7.1') })
    expect(rate(price, usageOf(1000, 0), terms)?.amountNano).toBe(250_000n)
  })
})

describe('estimates', () => {
  const tiers = [
    { input_tokens_up_to: 100, input: '1', output: '2' },
    { input: '3', output: '4', thinking_output: '9' },
  ]

  test.each([
    [100, 10, false, null, 120_000n],
    [101, 10, false, null, 343_000n],
    [101, 10, true, null, 393_000n],
    [100, 10, false, 7_100_000n as Micro, 852_000n],
  ])('of %i tokens in and %i out, thinking %s, at rate %s', (input, output, thinking, exchange, expected) => {
    expect(estimateNano(priceOf({ tiers }), input, output, NOON_MS, thinking, exchange)).toBe(expected)
  })
})

const decimal = fc
  .bigInt({ min: 0n, max: 200_000_000n })
  .map((micro) => `${micro / 1_000_000n}.${String(micro % 1_000_000n).padStart(6, '0')}`)
const tokens = fc.nat(2_000_000)
const anyTier: fc.Arbitrary<PriceTier> = fc.record(
  {
    input: decimal,
    output: decimal,
    cached_input: decimal,
    cached_input_explicit: decimal,
    cache_write: decimal,
    thinking_output: decimal,
  },
  { requiredKeys: ['input', 'output'] },
)
const anyUsage: fc.Arbitrary<TokenUsage> = fc
  .record({ fresh: tokens, cached: tokens, written: tokens, output: tokens, explicit: fc.boolean() })
  .map(({ fresh, cached, written, output, explicit }) =>
    usageOf(fresh + cached + written, output, {
      cachedInputTokens: cached,
      cacheWriteTokens: written,
      ...(explicit ? { explicitCache: true } : {}),
    }),
  )

describe('for any price and usage', () => {
  test('the lines are tokens times price, and their rounded sum is the cost', () => {
    fc.assert(
      fc.property(anyTier, anyUsage, fc.boolean(), (tier, usage, thinking) => {
        const cost = rate(priceOf({ tiers: [tier] }), usage, termsOf({ thinking }))
        const amounts = cost?.lines.map((line) => parseDecimal(line.amount, 12)) ?? []
        const products = cost?.lines.map((line) => parseDecimal(line.price, 6) * BigInt(line.quantity))
        expect(amounts).toEqual(products)
        expect(cost?.nativeNano).toBe(roundToNano(amounts.reduce((sum, amount) => sum + amount, 0n) as never))
        const inputLines = cost?.lines.filter((line) => line.item !== 'output') ?? []
        expect(inputLines.reduce((sum, line) => sum + line.quantity, 0)).toBe(usage.inputTokens)
      }),
    )
  })

  test('one token more never costs less within a tier', () => {
    fc.assert(
      fc.property(anyTier, anyUsage, fc.constantFrom('inputTokens', 'outputTokens'), (tier, usage, part) => {
        const price = priceOf({ tiers: [tier] })
        const cost = rate(price, usage, termsOf())?.amountNano ?? 0n
        const more = rate(price, { ...usage, [part]: usage[part] + 1 }, termsOf())?.amountNano ?? -1n
        expect(cost).toBeGreaterThanOrEqual(0n)
        expect(more).toBeGreaterThanOrEqual(cost)
      }),
    )
  })

  test('an estimate is the cost of the same tokens without a cache', () => {
    const anyEntry: fc.Arbitrary<Partial<PriceEntry>> = fc
      .tuple(anyTier, anyTier, fc.integer({ min: 1, max: 1000 }))
      .map(([narrow, wide, bound]) => ({ tiers: [{ ...narrow, input_tokens_up_to: bound }, wide] }))
    fc.assert(
      fc.property(anyEntry, fc.nat(2000), tokens, fc.boolean(), (entry, input, output, thinking) => {
        const price = priceOf(entry)
        const cost = rate(price, usageOf(input, output), termsOf({ thinking }))
        expect(estimateNano(price, input, output, NOON_MS, thinking, null)).toBe(cost?.amountNano)
      }),
    )
  })
})
