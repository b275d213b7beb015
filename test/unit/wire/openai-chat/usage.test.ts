import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readUsage, writeUsage } from '#wire/openai-chat/usage.ts'

/** [input, cached, cache writes, output, reasoning] */
type Counts = readonly [number, number, number, number, number]

describe('usage wherever a vendor puts it', () => {
  const cases: readonly { name: string; usage: unknown; want: Counts }[] = [
    {
      name: 'OpenAI',
      usage: {
        prompt_tokens: 44,
        completion_tokens: 48,
        total_tokens: 92,
        prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 8 },
      },
      want: [44, 4, 0, 48, 8],
    },
    {
      name: 'without details',
      usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
      want: [5, 0, 0, 2, 0],
    },
    {
      name: 'null details',
      usage: {
        prompt_tokens: 5,
        completion_tokens: 2,
        prompt_tokens_details: null,
        completion_tokens_details: null,
      },
      want: [5, 0, 0, 2, 0],
    },
    {
      name: 'Doubao (doubao.md 1.2)',
      usage: {
        completion_tokens: 89,
        prompt_tokens: 41,
        total_tokens: 130,
        prompt_tokens_details: { cached_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 70 },
      },
      want: [41, 0, 0, 89, 70],
    },
    {
      name: 'Kimi (open.md 1)',
      usage: {
        prompt_tokens: 20,
        completion_tokens: 30,
        total_tokens: 50,
        cached_tokens: 10,
        completion_tokens_details: { reasoning_tokens: 22 },
      },
      want: [20, 10, 0, 30, 22],
    },
    {
      name: 'DeepSeek',
      usage: {
        prompt_tokens: 339,
        completion_tokens: 83,
        prompt_cache_hit_tokens: 320,
        prompt_cache_miss_tokens: 19,
      },
      want: [339, 320, 0, 83, 0],
    },
    {
      name: 'SGLang',
      usage: { prompt_tokens: 5, completion_tokens: 9, reasoning_tokens: 4, prompt_tokens_details: null },
      want: [5, 0, 0, 9, 4],
    },
    {
      name: 'DashScope, explicit cache (qwen.md)',
      usage: {
        prompt_tokens: 3019,
        completion_tokens: 10,
        prompt_tokens_details: {
          cached_tokens: 0,
          cache_creation_input_tokens: 1500,
          cache_type: 'ephemeral',
          cache_creation: { ephemeral_5m_input_tokens: 1500 },
        },
      },
      want: [3019, 0, 1500, 10, 0],
    },
    {
      name: 'OpenRouter',
      usage: {
        completion_tokens: 2,
        prompt_tokens: 194,
        prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 100 },
        cost: 0.95,
      },
      want: [194, 0, 100, 2, 0],
    },
    {
      name: 'Responses names',
      usage: {
        input_tokens: 10,
        output_tokens: 5,
        input_tokens_details: { cached_tokens: 3 },
        output_tokens_details: { reasoning_tokens: 2 },
      },
      want: [10, 3, 0, 5, 2],
    },
    { name: 'an embedding: input only', usage: { prompt_tokens: 7, total_tokens: 7 }, want: [7, 0, 0, 0, 0] },
    {
      name: 'parts larger than their whole',
      usage: {
        prompt_tokens: 10,
        completion_tokens: 3,
        prompt_tokens_details: { cached_tokens: 99, cache_write_tokens: 99 },
        completion_tokens_details: { reasoning_tokens: 99 },
      },
      want: [10, 10, 0, 3, 3],
    },
    { name: 'zeros', usage: { prompt_tokens: 0, completion_tokens: 0 }, want: [0, 0, 0, 0, 0] },
  ]
  test.each(cases)('$name', ({ usage, want }) => {
    const [inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens] = want
    expect(readUsage(usage)).toMatchObject({
      inputTokens,
      cachedInputTokens,
      cacheWriteTokens,
      outputTokens,
      reasoningTokens,
    })
  })

  test('an explicit cache is told from an implicit one, since its hits cost otherwise', () => {
    const usage = (cache_type: string) => ({
      prompt_tokens: 9,
      completion_tokens: 1,
      prompt_tokens_details: { cached_tokens: 3, cache_type },
    })
    expect(readUsage(usage('ephemeral'))?.explicitCache).toBe(true)
    expect(readUsage(usage('implicit'))?.explicitCache).toBeUndefined()
  })
})

test.each([
  undefined,
  null,
  7,
  'x',
  [],
  {},
  { total_tokens: 9 },
  { prompt_tokens: null, completion_tokens: null, total_tokens: 0 },
])('%j is no usage', (usage) => expect(readUsage(usage)).toBeNull())

describe('figures that contradict each other', () => {
  test.each<[string, object, object]>([
    [
      'a negative count is none, and the other one with the total gives it',
      { prompt_tokens: 100, completion_tokens: -1, total_tokens: 140 },
      { inputTokens: 100, outputTokens: 40, doubt: 'malformed' },
    ],
    [
      'a fraction is none, and without a total its part is lacking',
      { prompt_tokens: 100, completion_tokens: 1.5 },
      { inputTokens: 100, outputTokens: 0, doubt: 'malformed', lacks: 'output' },
    ],
    [
      'two that are no counts say nothing, and that is said',
      { prompt_tokens: -1, completion_tokens: 1e300 },
      { inputTokens: 0, outputTokens: 0, doubt: 'malformed', lacks: 'both' },
    ],
    [
      'digits in quotes are no number',
      { prompt_tokens: '10', completion_tokens: 5 },
      { inputTokens: 0, outputTokens: 5, doubt: 'malformed', lacks: 'input' },
    ],
    ['a part that is absent is lacking', { prompt_tokens: 10 }, { inputTokens: 10, lacks: 'output' }],
    [
      'or is the rest of the total',
      { prompt_tokens: 815, total_tokens: 815 },
      { inputTokens: 815, outputTokens: 0 },
    ],
    [
      'a total beyond the parts by the reasoning counts it as output',
      {
        prompt_tokens: 10,
        completion_tokens: 5,
        total_tokens: 115,
        completion_tokens_details: { reasoning_tokens: 100 },
      },
      { inputTokens: 10, outputTokens: 105, reasoningTokens: 100 },
    ],
    [
      'PEERS 5: a total beyond the parts by the cached tokens counts them as input, once',
      {
        prompt_tokens: 10,
        completion_tokens: 5,
        total_tokens: 115,
        prompt_tokens_details: { cached_tokens: 100 },
      },
      { inputTokens: 110, cachedInputTokens: 100, outputTokens: 5 },
    ],
    [
      'a total beyond the parts by what nothing explains bills the rest as output',
      { prompt_tokens: 10, completion_tokens: 5, total_tokens: 40 },
      { inputTokens: 10, outputTokens: 30, doubt: 'total' },
    ],
    [
      'a total below the parts bills the parts',
      { prompt_tokens: 10, completion_tokens: 5, total_tokens: 3 },
      { inputTokens: 10, outputTokens: 5, doubt: 'total' },
    ],
    [
      'PEERS 5: more cached tokens than input are all of the input, and never a negative rest',
      { prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 99 } },
      { inputTokens: 10, cachedInputTokens: 10, outputTokens: 5, doubt: 'parts' },
    ],
  ])('%s', (_name, given, want) => {
    const { doubt, lacks, ...counts } = readUsage(given) ?? {}
    expect({ ...counts, doubt, lacks }).toMatchObject({ doubt: undefined, lacks: undefined, ...want })
  })

  test('PEERS 7: an explicit zero is zero, not missing, and no contradiction', () => {
    expect(readUsage({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 })).toEqual({
      inputTokens: 0,
      cachedInputTokens: 0,
      cacheWriteTokens: 0,
      outputTokens: 0,
      reasoningTokens: 0,
    })
  })
})

test('what is billed is never negative nor more than its whole, whatever an upstream writes', () => {
  const number = fc.oneof(fc.nat(100), fc.integer(), fc.double(), fc.constant(null), fc.string())
  const details = fc.option(
    fc.record(
      { cached_tokens: number, cache_write_tokens: number, reasoning_tokens: number },
      { requiredKeys: [] },
    ),
  )
  const usage = fc.record(
    {
      prompt_tokens: number,
      completion_tokens: number,
      prompt_tokens_details: details,
      completion_tokens_details: details,
      cached_tokens: number,
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(usage, (given) => {
      const read = readUsage(given)
      if (read === null) return
      const { doubt: _doubt, lacks: _lacks, ...counts } = read
      for (const count of Object.values(counts))
        expect(Number.isSafeInteger(count) && Number(count) >= 0).toBe(true)
      expect(read.cachedInputTokens + read.cacheWriteTokens).toBeLessThanOrEqual(read.inputTokens)
      expect(read.reasoningTokens).toBeLessThanOrEqual(read.outputTokens)
      expect(readUsage(writeUsage(read))).toMatchObject({
        inputTokens: read.inputTokens,
        cachedInputTokens: read.cachedInputTokens,
        outputTokens: read.outputTokens,
        reasoningTokens: read.reasoningTokens,
      })
    }),
    { seed: 71, numRuns: 1000 },
  )
})

describe('what is billed beside plain tokens', () => {
  const tokens = { prompt_tokens: 100, completion_tokens: 20 }

  test.each<[string, object, unknown, object | undefined]>([
    [
      'nothing, where all of it is zero',
      { prompt_tokens_details: { audio_tokens: 0 } },
      'default',
      undefined,
    ],
    ['the tier that the answer names', {}, 'flex', { serviceTier: 'flex' }],
    [
      'tokens of sound and images',
      {
        prompt_tokens_details: { audio_tokens: 7, image_tokens: 9 },
        completion_tokens_details: { audio_tokens: 5 },
      },
      undefined,
      { audioInputTokens: 7, imageInputTokens: 9, audioOutputTokens: 5 },
    ],
    ['searches of DashScope', { plugins: { search: { count: 2 } } }, null, { searchCalls: 2 }],
    ['searches of Volcengine', { tool_usage: { web_search: 3 } }, null, { searchCalls: 3 }],
    ['a search of ERNIE', { prompt_tokens_details: { search_tokens: 40 } }, null, { searchCalls: 1 }],
  ])('is %s', (_title, usage, serviceTier, expected) => {
    expect(readUsage({ ...tokens, ...usage }, serviceTier)?.other).toEqual(expected)
  })
})
