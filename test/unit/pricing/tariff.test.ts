// What tokens would have cost elsewhere is what that place would have billed, tier by tier, hour by hour.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PriceEntry } from '#core/price.ts'
import { isByRowsOnly, valuesOf } from '#core/tariff.ts'
import { priceAt } from '#pricing/catalogue.ts'
import { readPrice } from '#pricing/price.ts'
import { rate } from '#pricing/rate.ts'
import { tariffOf } from '#pricing/tariff.ts'
import { dollarsAt, NOON_MS, termsOf, usageOf } from './prices.ts'

const DAY_MS = 86_400_000
const entry = (fields: Partial<PriceEntry>): PriceEntry => ({
  model: 'm',
  currency: 'CNY',
  unit: 'per_million_tokens',
  tiers: [{ input: '0.8', cached_input: '0.16', output: '2' }],
  ...fields,
})
const tiered = [
  { input_tokens_up_to: 32_000, output_tokens_up_to: 200, input: '0.8', cached_input: '0.16', output: '2' },
  { input_tokens_up_to: 32_000, input: '0.8', cached_input: '0.16', output: '8', thinking_output: '16' },
  { input: '1.2', cached_input: '0.24', output: '16' },
]
const night = {
  timezone: 'Asia/Shanghai',
  days: 'mon-fri',
  start: '22:30',
  end: '08:30',
  except_dates: ['2026-10-01'],
  tiers: [{ input: '0.4', output: '4' }],
} as const
const LISTS: readonly PriceEntry[][] = [
  [entry({})],
  [entry({ tiers: tiered })],
  [entry({ tiers: tiered, time_bands: [night] })],
  [entry({ time_bands: [{ ...night, timezone: 'America/New_York', days: 'all' }] })],
  [entry({ currency: 'USD', tiers: tiered })],
  [
    entry({ effective_from: '2026-10-03', tiers: [{ input: '3', output: '9' }] }),
    entry({ effective_from: '2026-09-25', effective_to: '2026-10-03', tiers: tiered }),
  ],
]
const FROM_MS = NOON_MS - 12 * DAY_MS
const TO_MS = NOON_MS + 40 * DAY_MS

test('a baseline costs what its list bills for the same tokens at that instant', () => {
  const attempt = fc.record({
    list: fc.nat(LISTS.length - 1),
    atMs: fc.integer({ min: FROM_MS, max: TO_MS - 1 }),
    input: fc.nat(100_000),
    cached: fc.nat(100_000),
    output: fc.nat(2_000),
    isThinking: fc.boolean(),
  })
  const read = LISTS.map((entries) => entries.map((row) => readPrice(row, 'm')))
  const terms = termsOf({ fx: dollarsAt('7.1') })
  const tariffs = read.map((prices) =>
    tariffOf({ prices, currency: 'CNY', fx: terms.fx, fromMs: FROM_MS, toMs: TO_MS }),
  )
  fc.assert(
    fc.property(attempt, ({ list, atMs, input, cached, output, isThinking }) => {
      const cachedInputTokens = Math.min(cached, input)
      const reasoningTokens = isThinking ? Math.min(1, output) : 0
      const usage = usageOf(input, output, { cachedInputTokens, reasoningTokens })
      const price = priceAt(read[list] ?? [], atMs)
      const billed =
        price === null ? null : rate(price, usage, { ...terms, atMs, thinking: reasoningTokens > 0 })
      const tokens = { ...usage, attempts: 1, costNano: 9n as never, adjustmentNano: -2n as never }
      const values = valuesOf({ baseline: tariffs[list] ?? [], own: null }, 'x/y', atMs, tokens)
      expect(values.baselineNano).toBe(billed?.amountNano ?? 0n)
      expect(values.baselineLeftOut).toBe(billed === null ? 1 : 0)
      expect(values.comparedNano).toBe(billed === null ? 0n : 7n)
    }),
    { seed: 20_261_102, numRuns: 3_000 },
  )
})

test('a tariff outlives being written as JSON', () => {
  const prices = (LISTS[2] ?? []).map((row) => readPrice(row, 'm'))
  const tariff = tariffOf({ prices, currency: 'CNY', fx: new Map(), fromMs: FROM_MS, toMs: TO_MS })
  const text = JSON.stringify(tariff, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
  const read = JSON.parse(text, (_, value) => (/^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value))
  expect(read).toEqual(tariff)
})

test('sums are enough for one price, and are left out where lengths or hours matter', () => {
  const at = (entries: readonly PriceEntry[]) =>
    tariffOf({
      prices: entries.map((row) => readPrice(row, 'm')),
      currency: 'CNY',
      fx: new Map(),
      fromMs: FROM_MS,
      toMs: TO_MS,
    })
  const [flat = [], tiers = []] = LISTS.map(at)
  expect(isByRowsOnly({ baseline: flat, own: null })).toBe(false)
  expect(isByRowsOnly({ baseline: flat, own: { 'a/b': tiers } })).toBe(true)
  const sum = { ...usageOf(3_000_000, 1_000_000, { cachedInputTokens: 1_000_000 }), attempts: 90 }
  const tokens = { ...sum, costNano: 5n as never, adjustmentNano: 0n as never }
  expect(valuesOf({ baseline: flat, own: { 'a/b': flat } }, 'a/b', NOON_MS, tokens)).toEqual({
    baselineNano: 3_760_000_000n,
    comparedNano: 5n,
    baselineLeftOut: 0,
    cacheSavingNano: 640_000_000n,
    cacheLeftOut: 0,
  })
  expect(valuesOf({ baseline: tiers, own: { 'a/b': tiers } }, 'a/b', NOON_MS, tokens)).toMatchObject({
    baselineNano: 0n,
    comparedNano: 0n,
    baselineLeftOut: 90,
    cacheLeftOut: 90,
  })
  const correction = { ...usageOf(0, 0), attempts: 0, costNano: 0n as never, adjustmentNano: -3n as never }
  expect(valuesOf({ baseline: tiers, own: null }, 'a/b', NOON_MS, correction)).toMatchObject({
    baselineNano: 0n,
    comparedNano: -3n,
    baselineLeftOut: 0,
  })
})
