// What must hold of any price and any usage, through all dimensions at once.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Pico, parseDecimal, roundToNano } from '#core/money.ts'
import type { PriceEntry, PriceTier } from '#core/price.ts'
import type { OtherUsage, TokenUsage } from '#core/usage.ts'
import { rate } from '#pricing/rate.ts'
import { readUsage, writeUsage } from '#wire/openai-chat/usage.ts'
import { priceOf, termsOf, usageOf } from './prices.ts'

const decimal = fc
  .bigInt({ min: 0n, max: 200_000_000n })
  .map((micro) => `${micro / 1_000_000n}.${String(micro % 1_000_000n).padStart(6, '0')}`)
const tokens = fc.nat(2_000_000)
const small = fc.nat(1000)

const anyTier: fc.Arbitrary<PriceTier> = fc.record(
  {
    input: decimal,
    output: decimal,
    cached_input: decimal,
    cached_input_explicit: decimal,
    cache_write: decimal,
    thinking_output: decimal,
    audio_input: decimal,
    image_input: decimal,
    audio_output: decimal,
  },
  { requiredKeys: ['input', 'output'] },
)

const anyEntry: fc.Arbitrary<Partial<PriceEntry>> = fc
  .record({
    batch: anyTier,
    narrow: anyTier,
    wide: anyTier,
    bound: fc.integer({ min: 1, max: 1_000_000 }),
    search: decimal,
    storage: decimal,
    share: fc.nat(999_999).map((micro) => `0.${String(micro).padStart(6, '0')}`),
  })
  .map(({ batch, narrow, wide, bound, search, storage, share }) => ({
    tiers: [{ ...batch, when: { service_tier: 'batch' } }, { ...narrow, input_tokens_up_to: bound }, wide],
    items: [
      { item: 'search_call' as const, price: search },
      { item: 'cache_storage_hour' as const, price: storage },
    ],
    discounts: [{ discount: share }],
  }))

const anyOther: fc.Arbitrary<OtherUsage> = fc.record(
  {
    serviceTier: fc.constantFrom('batch', 'flex', 'default'),
    audioInputTokens: tokens,
    imageInputTokens: tokens,
    audioOutputTokens: tokens,
    searchCalls: small,
    cacheStoredTokens: tokens,
    cacheStoredMs: fc.nat(86_400_000),
  },
  { requiredKeys: [] },
)

/** Also such as no honest upstream would send. */
const anyUsage: fc.Arbitrary<TokenUsage> = fc
  .record({ input: tokens, cached: tokens, written: tokens, output: tokens, other: fc.option(anyOther) })
  .map(({ input, cached, written, output, other }) =>
    usageOf(input, output, {
      cachedInputTokens: cached,
      cacheWriteTokens: written,
      ...(other === null ? {} : { other }),
    }),
  )

describe('for any price and usage', () => {
  test('the lines sum to the total, rounded once, and the total is never negative', () => {
    fc.assert(
      fc.property(anyEntry, anyUsage, fc.boolean(), (entry, usage, thinking) => {
        const cost = rate(priceOf(entry), usage, termsOf({ thinking }))
        const sum = (cost?.lines ?? []).reduce((total, line) => total + parseDecimal(line.amount, 12), 0n)
        expect(cost?.nativeNano).toBe(roundToNano(sum as Pico))
        expect(sum).toBeGreaterThanOrEqual(0n)
      }),
    )
  })

  test('one more of anything never costs less within a tier', () => {
    const parts = fc.constantFrom<keyof OtherUsage>('searchCalls', 'cacheStoredTokens', 'cacheStoredMs')
    fc.assert(
      fc.property(anyEntry, anyUsage, parts, ({ tiers = [], ...rest }, usage, part) => {
        const price = priceOf({ ...rest, tiers: tiers.slice(-1) })
        const costOf = (of: TokenUsage) => rate(price, of, termsOf())?.amountNano ?? -1n
        const cost = costOf(usage)
        const more = (usage.other?.[part] as number | undefined) ?? 0
        expect(costOf({ ...usage, inputTokens: usage.inputTokens + 1 })).toBeGreaterThanOrEqual(cost)
        expect(costOf({ ...usage, outputTokens: usage.outputTokens + 1 })).toBeGreaterThanOrEqual(cost)
        expect(costOf({ ...usage, other: { ...usage.other, [part]: more + 1 } })).toBeGreaterThanOrEqual(cost)
      }),
    )
  })

  test('cached, written, sound and image tokens are parts of the input: all of it is billed once', () => {
    fc.assert(
      fc.property(anyTier, tokens, tokens, tokens, anyOther, (tier, fresh, cached, written, other) => {
        const usage = usageOf(fresh + cached + written, 0, {
          cachedInputTokens: cached,
          cacheWriteTokens: written,
          other,
        })
        const lines = rate(priceOf({ tiers: [tier] }), usage, termsOf())?.lines ?? []
        expect(lines.reduce((sum, line) => sum + line.quantity, 0)).toBe(usage.inputTokens)
      }),
    )
  })

  test('an explicit zero is zero and no other price hides it', () => {
    const zero: PriceTier = {
      input: '0',
      output: '0',
      cached_input: '0',
      cache_write: '0',
      thinking_output: '0',
    }
    fc.assert(
      fc.property(anyUsage, fc.boolean(), (usage, thinking) => {
        expect(rate(priceOf({ tiers: [zero] }), usage, termsOf({ thinking }))?.amountNano).toBe(0n)
      }),
    )
  })

  test('a stream costs what the same answer in one piece does', () => {
    // Both are read off the same usage object, from the last chunk or from the body.
    const sane = fc
      .record({ fresh: tokens, cached: tokens, output: tokens })
      .map(({ fresh, cached, output }) => usageOf(fresh + cached, output, { cachedInputTokens: cached }))
    fc.assert(
      fc.property(anyEntry, sane, (entry, usage) => {
        const price = priceOf(entry)
        const chunk = readUsage(JSON.parse(JSON.stringify(writeUsage(usage))), 'default')
        const body = readUsage(writeUsage(usage))
        expect(chunk).toEqual(body)
        expect(chunk === null ? null : rate(price, chunk, termsOf())).toEqual(rate(price, usage, termsOf()))
      }),
    )
  })
})
