import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Micro } from '#core/money.ts'
import type { PriceEntry } from '#core/price.ts'
import { readPrice } from '#pricing/price.ts'
import { createQuote, type QuoteSource } from '#pricing/quote.ts'
import { estimateNano, rateCovered } from '#pricing/rate.ts'

const ENTRY: PriceEntry = {
  model: 'm',
  currency: 'USD',
  unit: 'per_million_tokens',
  tiers: [
    { input_tokens_up_to: 1_000, output_tokens_up_to: 200, input: '0.8', cached_input: '0.16', output: '2' },
    { input_tokens_up_to: 32_000, input: '0.8', output: '8' },
    { input: '1.2', cached_input: '0.16', output: '16', thinking_output: '20' },
  ],
  time_bands: [
    {
      timezone: 'Asia/Shanghai',
      days: 'all',
      start: '00:30',
      end: '08:30',
      tiers: [{ input: '0.4', output: '4' }],
    },
  ],
  discounts: [{ discount: '0.85' }],
}
const RATE = 7_100_000n as Micro
const AT = Date.UTC(2026, 2, 2, 4, 0)

function quoteOf(changes: Partial<QuoteSource> = {}, entry: Partial<PriceEntry> = {}) {
  return createQuote({
    prices: [readPrice({ ...ENTRY, ...entry }, 'v')],
    rateOf: () => RATE,
    bookCurrency: 'CNY',
    isThinking: false,
    balances: () => [],
    ...changes,
  })
}

test('agrees with the integers of the bill wherever nothing is cached', () => {
  const price = readPrice(ENTRY, 'v')
  fc.assert(
    fc.property(
      fc.nat(100_000),
      fc.nat(10_000),
      fc.nat(86_400_000),
      fc.boolean(),
      (input, output, offsetMs, isThinking) => {
        const nano = estimateNano(price, input, output, AT + offsetMs, isThinking, RATE)
        const cost = quoteOf({ isThinking }).cost(AT + offsetMs, input, 0, output)
        expect(cost * 1e9).toBeCloseTo(Number(nano), -1)
      },
    ),
  )
})

test('cached tokens cost what the tier says, the whole price where it says nothing', () => {
  const quote = quoteOf({ rateOf: () => null, bookCurrency: 'USD' }, { discounts: [] })
  expect(quote.cost(AT, 1_000, 500, 0)).toBeCloseTo((500 * 0.8 + 500 * 0.16) / 1e6, 12)
  expect(quote.cost(AT, 2_000, 2_000, 0)).toBeCloseTo((2_000 * 0.8) / 1e6, 12)
  expect(quote.inputPrice(AT, 50_000, 0)).toBeCloseTo(1.2)
  expect(quote.outputPrice(AT, 50_000, 0)).toBeCloseTo(16)
})

test('is not a number where the price is not known', () => {
  expect(quoteOf({ prices: [] }).cost(AT, 1, 0, 1)).toBeNaN()
  expect(quoteOf({ rateOf: () => null }).cost(AT, 1, 0, 1)).toBeNaN()
  expect(quoteOf({}, { unit: 'per_call' }).cost(AT, 1, 0, 1)).toBeNaN()
})

const ALWAYS = { fromMs: 0, toMs: Number.POSITIVE_INFINITY }
const FLAT: Partial<PriceEntry> = {
  currency: 'CNY',
  tiers: [{ input: '1', cached_input: '0.2', output: '4' }],
  time_bands: [],
  discounts: [],
}

test('what a balance pays costs nothing, what it does not cover is priced', () => {
  let remaining = 1_000
  const balances = () => [
    { id: 'b', kind: 'package', unit: 'input_tokens', remaining, validity: ALWAYS } as const,
  ]
  const quote = quoteOf({ balances, rateOf: () => null }, FLAT)
  expect(quote.cost(AT, 1_000, 0, 0)).toBe(0)
  expect(quote.cost(AT, 1_000, 0, 100)).toBeCloseTo(400 / 1e6, 12)
  expect(quote.inputPrice(AT, 1_000, 0)).toBe(0)
  remaining = 250
  expect(quote.cost(AT, 1_000, 0, 100)).toBeCloseTo((750 + 400) / 1e6, 12)
  expect(quote.cost(AT, 1_000, 900, 0)).toBeCloseTo(((900 - 150) * 0.2) / 1e6, 12)
  expect(quote.inputPrice(AT, 1_000, 0)).toBeCloseTo(0.75)
  expect(quote.outputPrice(AT, 1_000, 100)).toBeCloseTo(4)
  remaining = 0
  expect(quote.cost(AT, 1_000, 0, 0)).toBeCloseTo(1_000 / 1e6, 12)
})

test('agrees with the bill of a request that balances pay in part', () => {
  const price = readPrice({ ...ENTRY, ...FLAT, discounts: [{ discount: '0.85' }] }, 'v')
  fc.assert(
    fc.property(
      fc.nat(5_000),
      fc.nat(5_000),
      fc.nat(2_000),
      fc.array(
        fc.record({
          unit: fc.constantFrom('tokens', 'input_tokens'),
          remaining: fc.nat(4_000),
          days: fc.nat(9),
        }),
      ),
      (fresh, cached, output, drawn) => {
        const balances = drawn.map(({ unit, remaining, days }, index) => ({
          id: `b${index}`,
          kind: 'free_quota' as const,
          unit: unit as 'tokens' | 'input_tokens',
          remaining,
          validity: { fromMs: 0, toMs: AT + days * 86_400_000 },
        }))
        const quote = quoteOf({ prices: [price], rateOf: () => null, balances: () => balances })
        const usage = {
          inputTokens: fresh + cached,
          cachedInputTokens: cached,
          cacheWriteTokens: 0,
          outputTokens: output,
          reasoningTokens: 0,
        }
        const terms = { thinking: false, atMs: AT, currency: 'CNY', fx: new Map() }
        const billed = rateCovered(price, usage, terms, balances).cost?.amountNano
        expect(quote.cost(AT, fresh + cached, cached, output) * 1e9).toBeCloseTo(Number(billed), -1)
      },
    ),
  )
})
