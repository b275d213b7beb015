import { describe, expect, test } from 'vitest'
import { formatNano } from '#core/money.ts'
import type { PriceEntry } from '#core/price.ts'
import { NO_USAGE, type OtherUsage } from '#core/usage.ts'
import { countCharacters, countUtf8Bytes } from '#pricing/characters.ts'
import { rate } from '#pricing/rate.ts'
import { NOON_MS, priceOf, termsOf, usageOf } from './prices.ts'

function costOf(entry: Partial<PriceEntry>, other: OtherUsage, atMs = NOON_MS): string | null {
  const cost = rate(priceOf(entry), { ...NO_USAGE, other }, termsOf({ atMs }))
  return cost === null ? null : formatNano(cost.amountNano)
}

function linesOf(entry: Partial<PriceEntry>, other: OtherUsage) {
  const cost = rate(priceOf(entry), { ...NO_USAGE, other }, termsOf())
  return cost?.lines.map(({ item, quantity, price, amount }) => `${quantity} ${item} at ${price}: ${amount}`)
}

const per = (unit: PriceEntry['unit'], price: string, rest: Partial<PriceEntry> = {}) => ({
  unit,
  tiers: [{ price }],
  ...rest,
})

describe('a price per', () => {
  test.each<[string, Partial<PriceEntry>, OtherUsage, string]>([
    ['image', per('per_image', '0.25'), { images: 4 }, '1'],
    ['ten thousand characters', per('per_10k_chars', '1'), { characters: 5 }, '0.0005'],
    ['million bytes', per('per_million_utf8_bytes', '50'), { text: '中文。' }, '0.00045'],
    ['second', per('per_second', '0.00022'), { durationMs: 1500 }, '0.00033'],
    ['hour', per('per_hour', '0.8'), { durationMs: 45_000 }, '0.01'],
    ['second of a GPU', per('per_gpu_second', '0.002', { gpus: 8 }), { gpuMs: 2500 }, '0.04'],
    ['video', per('per_video', '0.6'), { videos: 2 }, '1.2'],
    ['voice', per('per_voice', '138'), { voices: 1 }, '138'],
    ['call', per('per_call', '0.008'), { calls: 3 }, '0.024'],
  ])('%s counts such units', (_title, entry, other, expected) => {
    expect(costOf(entry, other)).toBe(expected)
  })

  test('image of which the usage says nothing is unknown, not zero', () => {
    expect(costOf(per('per_image', '0.25'), { characters: 3 })).toBeNull()
    expect(costOf(per('per_image', '0.25'), { images: 0 })).toBe('0')
  })

  test('million tokens does not make images free', () => {
    expect(costOf({}, { images: 4 })).toBeNull()
    expect(costOf({}, { images: 0 })).toBe('0')
  })

  test('hour that is no round number is rounded half up to twelve places', () => {
    // 1 ms of 0.8 an hour is 222 222.22 pico.
    expect(linesOf(per('per_hour', '0.8'), { durationMs: 1 })).toEqual([
      `${1 / 3_600_000} hour at 0.8: 0.000000222222`,
    ])
  })
})

describe('whole units', () => {
  const second = (rest: Partial<PriceEntry>) => per('per_second', '0.01', rest)

  test.each([
    [{ rounding: 'half_up' } as const, 1499, '0.01'],
    [{ rounding: 'half_up' } as const, 1500, '0.02'],
    [{ rounding: 'up' } as const, 1001, '0.02'],
    [{ rounding: 'up' } as const, 1000, '0.01'],
    [{ minimum: 3 }, 1001, '0.03'],
    [{ minimum: 3, rounding: 'up' } as const, 3001, '0.04'],
  ])('%o bill %i ms as %s', (rest, durationMs, expected) => {
    expect(costOf(second(rest), { durationMs })).toBe(expected)
  })
})

describe('characters', () => {
  test.each([
    ['中文。', 'han_double', 5],
    ['中A文123', 'han_double', 8],
    ['漢 a\n', 'han_double', 5],
    ['𠮷😀', 'han_double', 3],
    ['中文。', 'each', 3],
    ['<speak>你好<break time="1s"/></speak>', 'each_without_markup', 2],
  ] as const)('of %j by the rule %s are %i', (text, rule, expected) => {
    expect(countCharacters(text, rule)).toBe(expected)
  })

  test('may be bytes', () => {
    expect(countUtf8Bytes('中a')).toBe(4)
  })

  test('are the vendor’s own count where no rule is known', () => {
    expect(costOf(per('per_10k_chars', '1'), { text: '中文。', characters: 7 })).toBe('0.0007')
    expect(costOf(per('per_10k_chars', '1'), { text: '中文。' })).toBeNull()
    expect(costOf(per('per_10k_chars', '1', { character_rule: 'han_double' }), { text: '中文。' })).toBe(
      '0.0005',
    )
  })
})

describe('a video', () => {
  const entry: Partial<PriceEntry> = {
    unit: 'per_second',
    input_seconds_up_to: 5,
    tiers: [
      { when: { resolution: ['480P', '720P'], audio: false }, price: '0.3' },
      { when: { resolution: '720P' }, price: '0.6' },
      { when: { resolution: '1080P' }, price: '1' },
    ],
  }

  test.each([
    [{ resolution: '720p', inputVideoMs: 8000, outputVideoMs: 5000 }, '6'],
    [{ resolution: '720P', inputVideoMs: 2000, outputVideoMs: 5000 }, '4.2'],
    [{ resolution: '1080P', outputVideoMs: 5000 }, '5'],
    [{ resolution: '480P', audio: false, durationMs: 10_000 }, '3'],
    [{ resolution: '480P', audio: true, durationMs: 10_000 }, null],
    [{ outputVideoMs: 5000 }, null],
  ])('of %o costs %s', (other, expected) => {
    expect(costOf(entry, other)).toBe(expected)
  })

  test('given in is not billed where the list does not say so', () => {
    expect(costOf(per('per_second', '1'), { inputVideoMs: 8000, outputVideoMs: 5000 })).toBe('5')
  })
})

describe('tiers of service', () => {
  const price = priceOf({
    tiers: [
      { when: { service_tier: 'batch' }, input_tokens_up_to: 100, input: '1', output: '4' },
      { when: { service_tier: 'batch' }, input: '2', output: '8' },
      { input: '4', cached_input: '1', output: '16' },
    ],
  })
  const rated = (serviceTier: string, input: number) =>
    rate(price, usageOf(input, 0, { cachedInputTokens: 10, other: { serviceTier } }), termsOf())

  test.each([
    ['batch', 100, ['1', '1'], 'vendor/m'],
    ['batch', 101, ['2', '2'], 'vendor/m'],
    ['default', 100, ['4', '1'], 'vendor/m'],
    ['flex', 100, ['4', '1'], 'vendor/m;tier_unpriced=flex'],
  ])('%s with %i tokens costs what its rows say', (tier, input, prices, version) => {
    const cost = rated(tier, input)
    expect(cost?.lines.map((line) => line.price)).toEqual(prices)
    expect(cost?.priceVersion).toBe(version)
  })
})

describe('tokens of sound and images', () => {
  const tier = { input: '2', image_input: '3', audio_input: '18', output: '13', audio_output: '72' }
  const other = { audioInputTokens: 200, imageInputTokens: 100, audioOutputTokens: 50 }

  test('cost their own prices and are no text then', () => {
    const cost = rate(priceOf({ tiers: [tier] }), usageOf(1000, 60, { other }), termsOf())
    expect(cost?.lines.map(({ item, quantity, price }) => `${quantity} ${item} at ${price}`)).toEqual([
      '700 input at 2',
      '10 output at 13',
      '200 audio_input at 18',
      '100 image_input at 3',
      '50 audio_output at 72',
    ])
  })

  test('are billed once where a cache has them or an upstream counts more of them than there are', () => {
    const usage = usageOf(1000, 40, { cachedInputTokens: 900, other })
    const cost = rate(priceOf({ tiers: [{ ...tier, cached_input: '0.5' }] }), usage, termsOf())
    expect(cost?.lines.map(({ item, quantity }) => `${quantity} ${item}`)).toEqual([
      '900 cached_input',
      '100 audio_input',
      '40 audio_output',
    ])
  })

  test('are text where they have none', () => {
    const cost = rate(priceOf(), usageOf(1000, 60, { other }), termsOf())
    expect(cost?.lines.map(({ quantity }) => quantity)).toEqual([1000, 60])
  })
})

describe('items beside the tiers', () => {
  const price = priceOf({
    items: [
      { item: 'search_call', price: '0.006' },
      { item: 'cache_storage_hour', price: '0.017' },
      { item: 'cache_creation', price: '24', effective_to: '2026-10-01' },
      { item: 'cache_call', price: '0.02', effective_from: '2026-10-01' },
    ],
  })
  const rated = (other: OtherUsage) => rate(price, { ...NO_USAGE, other }, termsOf())

  test('are billed by call and by token-hours', () => {
    const cost = rated({ searchCalls: 3, cacheStoredTokens: 20_000, cacheStoredMs: 24 * 3_600_000 })
    expect(cost?.lines).toEqual([
      { item: 'search_call', quantity: 3, price: '0.006', amount: '0.018' },
      { item: 'cache_storage_hour', quantity: 480_000, price: '0.017', amount: '0.00816' },
    ])
  })

  test('are stored for as long as it was, to the millisecond', () => {
    expect(rated({ cacheStoredTokens: 1_000_000, cacheStoredMs: 900_000 })?.lines[0]).toEqual({
      item: 'cache_storage_hour',
      quantity: 250_000,
      price: '0.017',
      amount: '0.00425',
    })
  })

  test('hold within their own validity', () => {
    expect(rated({ cacheCreatedTokens: 1000 })?.lines[0]?.amount).toBe('0.024')
    expect(rated({ cacheCalls: 1 })?.lines).toEqual([])
  })

  test('that have no price are named in the books', () => {
    expect(rated({ cacheCalls: 1, searchCalls: 1 })?.priceVersion).toBe('vendor/m;unpriced=cache_call')
  })
})
