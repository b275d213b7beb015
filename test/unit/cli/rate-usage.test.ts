import { describe, expect, test } from 'vitest'
import { UsageError } from '#cli/command.ts'
import { readRatedUsage } from '#cli/rate-usage.ts'

describe('a usage on the command line', () => {
  test('may be a vendor’s own object', () => {
    const { usage, ignored } = readRatedUsage({
      prompt_tokens: 100,
      completion_tokens: 20,
      total_tokens: 120,
      prompt_tokens_details: { cached_tokens: 30, cache_creation_input_tokens: 10, cache_type: 'ephemeral' },
      completion_tokens_details: { reasoning_tokens: 5 },
    })
    expect(usage).toEqual({
      inputTokens: 100,
      cachedInputTokens: 30,
      cacheWriteTokens: 10,
      outputTokens: 20,
      reasoningTokens: 5,
      explicitCache: true,
    })
    expect(ignored).toEqual([])
  })

  test('may count the cache beside the input, as Anthropic does', () => {
    const { usage } = readRatedUsage({
      input_tokens: 10,
      cache_read_input_tokens: 80,
      cache_creation_input_tokens: 5,
      output_tokens: 1,
    })
    expect(usage).toMatchObject({ inputTokens: 95, cachedInputTokens: 80, cacheWriteTokens: 5 })
  })

  test('may give parts without their totals', () => {
    const { usage } = readRatedUsage({ audio_input_tokens: 400, image_tokens: 100, audio_output_tokens: 60 })
    expect(usage).toMatchObject({ inputTokens: 500, outputTokens: 60 })
  })

  test('has flags beside its counts', () => {
    expect(readRatedUsage({ thinking_mode: true }).thinking).toBe(true)
    expect(readRatedUsage({ thinking_mode: false }).thinking).toBe(false)
    expect(readRatedUsage({ batch: true }).usage.other).toEqual({ serviceTier: 'batch' })
    expect(readRatedUsage({ batch: false }).usage.other).toBeUndefined()
    expect(readRatedUsage({ explicit: true }).usage.explicitCache).toBe(true)
    expect(readRatedUsage({ generate_audio: false }).usage.other).toEqual({ audio: false })
  })

  test.each([
    [{ cache_storage_hours: 0.5 }, { cacheStoredMs: 1_800_000 }],
    [{ cache_minutes: 10 }, { cacheStoredMs: 600_000 }],
    [{ seconds: 1.5 }, { durationMs: 1500 }],
    [{ hours: 2 }, { durationMs: 7_200_000 }],
    [{ images_requested: 3, images_succeeded: 2 }, { images: 2 }],
    [{ plugins: { search: { count: 2 } }, prompt_tokens: 1 }, { searchCalls: 2 }],
  ])('gives counts in several words: %o', (value, expected) => {
    expect(readRatedUsage(value).usage.other).toEqual(expected)
  })

  test('names what nothing is made of', () => {
    expect(readRatedUsage({ prompt_tokens: 1, moon_tokens: 3 }).ignored).toEqual(['moon_tokens'])
  })

  test.each([{ images: -1 }, { images: 1.5 }, { seconds: '3' }, { search_calls: null }])(
    'is refused where a count is none: %o',
    (value) => {
      expect(() => readRatedUsage(value)).toThrow(UsageError)
    },
  )
})
