import { describe, expect, test } from 'vitest'
import type { ChatEvent } from '#core/chat.ts'
import { GatewayError } from '#core/errors.ts'
import type { EncodeOptions } from '#wire/openai-chat/encode.ts'
import { encodeCompletionsAnswer, openCompletionsEncoder } from '#wire/openai-completions/encode.ts'
import { checkCompletionsRequest, toChatRequest } from '#wire/openai-completions/request.ts'
import { bodiesOf, type Json, USAGE } from '../openai-chat/support.ts'

function refusalOf(run: () => void): { code: string; param: string | null } | null {
  try {
    run()
    return null
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { code: error.code, param: error.param }
  }
}

describe('a legacy body', () => {
  test.each([
    { body: null, param: null },
    { body: { prompt: 'x' }, param: 'model' },
    { body: { prompt: 'x', models: [] }, param: 'model' },
    { body: { prompt: 'x', models: [1] }, param: 'models[0]' },
    { body: { model: 'm' }, param: 'prompt' },
    { body: { models: ['m'] }, param: 'prompt' },
    { body: { model: 'm', prompt: null }, param: 'prompt' },
    { body: { model: 'm', prompt: [] }, param: 'prompt' },
    { body: { model: 'm', prompt: {} }, param: 'prompt' },
    { body: { model: 'm', prompt: 'x', max_tokens: 0 }, param: 'max_tokens' },
    { body: { model: 'm', prompt: 'x', stream: 1 }, param: 'stream' },
    { body: { model: 'm', prompt: 'x', stream_options: {} }, param: 'stream_options' },
  ])('$body is refused for $param', ({ body, param }) => {
    expect(refusalOf(() => checkCompletionsRequest(body))).toEqual({ code: 'invalid_request', param })
  })

  test.each([
    { prompt: '' },
    { prompt: ['a', 'b'] },
    { prompt: [1, 2] },
    { prompt: 'x', suffix: 'y', echo: true },
  ])('%j is let through', (fields) =>
    expect(refusalOf(() => checkCompletionsRequest({ model: 'm', ...fields }))).toBeNull(),
  )
})

test('a legacy body may name its models in a list only', () => {
  expect(refusalOf(() => checkCompletionsRequest({ models: ['m', 'n'], prompt: 'x' }))).toBeNull()
})

describe('as a chat request', () => {
  test('a prompt becomes a user message and what chat knows too stays', () => {
    const fields = {
      temperature: 1,
      max_tokens: 5,
      stop: ['x'],
      stream: true,
      echo: false,
      best_of: 1,
      suffix: null,
      logprobs: null,
    }
    const chat = toChatRequest({ model: 'm', prompt: ['say hi'], ...fields })
    expect(chat).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'say hi' }],
      temperature: 1,
      max_tokens: 5,
      stop: ['x'],
      stream: true,
    })
  })

  test.each([
    { fields: { prompt: ['a', 'b'] }, param: 'prompt' },
    { fields: { prompt: [1, 2] }, param: 'prompt' },
    { fields: { prompt: [[1]] }, param: 'prompt' },
    { fields: { suffix: 'y' }, param: 'suffix' },
    { fields: { logprobs: 0 }, param: 'logprobs' },
    { fields: { echo: true }, param: 'echo' },
    { fields: { best_of: 2 }, param: 'best_of' },
  ])('$fields has no counterpart: $param is refused, not dropped', ({ fields, param }) => {
    const body = { model: 'm', prompt: 'x', ...fields }
    expect(refusalOf(() => toChatRequest(body))).toEqual({ code: 'unsupported_parameter', param })
  })
})

const OPTIONS: EncodeOptions = {
  wantsUsage: false,
  fallbackId: 'cmpl-r1',
  fallbackModel: 'target-model',
  nowSeconds: 1_700_000_000,
  costOf: () => '0.01',
}
const COUNTS = {
  inputTokens: 20,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 10,
  reasoningTokens: 0,
}
const EVENTS: readonly ChatEvent[] = [
  { type: 'start', id: 'c1', model: 'm-1', createdSeconds: null },
  { type: 'reasoning-delta', choice: 0, text: 'hm' },
  { type: 'text-delta', choice: 0, text: 'a' },
  { type: 'text-delta', choice: 0, text: 'b' },
  { type: 'finish', choice: 0, reason: 'length' },
  { type: 'usage', usage: COUNTS },
]

describe('an answer in the legacy shape', () => {
  const streamed = (options: Partial<EncodeOptions>): Json[] => {
    const encoder = openCompletionsEncoder({ ...OPTIONS, ...options })
    return bodiesOf(EVENTS.map((one) => encoder.encode(one)).join('') + encoder.end())
  }

  test('streams text and one finish', () => {
    const bodies = streamed({})
    expect(bodies.map((body) => body['choices'])).toEqual([
      [{ index: 0, text: 'a', logprobs: null, finish_reason: null }],
      [{ index: 0, text: 'b', logprobs: null, finish_reason: null }],
      [{ index: 0, text: '', logprobs: null, finish_reason: 'length' }],
    ])
    for (const body of bodies)
      expect(body).toMatchObject({ id: 'c1', object: 'text_completion', model: 'm-1' })
  })

  test('streams usage with its cost where it was asked for', () => {
    const bodies = streamed({ wantsUsage: true })
    expect(bodies.map((body) => body['usage'])).toEqual([
      null,
      null,
      null,
      expect.objectContaining({ ...USAGE, cost: '0.01' }),
    ])
  })

  test('comes whole', () => {
    expect(JSON.parse(encodeCompletionsAnswer(EVENTS, OPTIONS))).toMatchObject({
      id: 'c1',
      object: 'text_completion',
      created: 1_700_000_000,
      choices: [{ index: 0, text: 'ab', finish_reason: 'length' }],
      usage: USAGE,
    })
  })

  test.each([
    { reason: 'tool_calls', legacy: 'stop' },
    { reason: 'content_filter', legacy: 'content_filter' },
  ] as const)('a finish for $reason reads $legacy', ({ reason, legacy }) => {
    const answer = JSON.parse(
      encodeCompletionsAnswer([{ type: 'finish', choice: 0, reason }], OPTIONS),
    ) as Json
    expect(answer).toMatchObject({ choices: [{ finish_reason: legacy }] })
  })
})
