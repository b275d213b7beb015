import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatEvent } from '#core/chat.ts'
import { encodeChatAnswer } from '#wire/openai-chat/collect.ts'
import { decodeChatAnswer, openChatDecoder } from '#wire/openai-chat/decode.ts'
import { type EncodeOptions, openChatEncoder } from '#wire/openai-chat/encode.ts'
import { CHUNKINGS } from '../../../support/chunkings.ts'
import { bodiesOf, chunk, decodeText, encode, event, type Json, PLAIN, USAGE } from './support.ts'

const OPTIONS: EncodeOptions = {
  wantsUsage: false,
  fallbackId: 'chatcmpl-r1',
  fallbackModel: 'target-model',
  nowSeconds: 1_700_000_000,
  costOf: () => null,
}
const COUNTS = {
  inputTokens: 20,
  cachedInputTokens: 4,
  cacheWriteTokens: 0,
  outputTokens: 10,
  reasoningTokens: 3,
}

function stream(events: readonly ChatEvent[], options: Partial<EncodeOptions> = {}): string {
  const encoder = openChatEncoder({ ...OPTIONS, ...options })
  return events.map((one) => encoder.encode(one)).join('') + encoder.end()
}

const START: ChatEvent = { type: 'start', id: 'c1', model: 'm-1', createdSeconds: 1_757_141_666 }
const ANSWER: readonly ChatEvent[] = [
  START,
  { type: 'reasoning-delta', choice: 0, text: 'hm' },
  { type: 'text-delta', choice: 0, text: '你好' },
  { type: 'tool-call-start', choice: 0, call: 0, id: 'call_1', name: 'f' },
  { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{"a":' },
  { type: 'tool-call-delta', choice: 0, call: 0, arguments: '1}' },
  { type: 'finish', choice: 0, reason: 'tool_calls' },
  { type: 'usage', usage: COUNTS },
]

/** The choices of each chunk, without what all have. */
const deltas = (text: string): unknown[] =>
  bodiesOf(text).map((body) =>
    (body['choices'] as Json[]).map(({ index, delta, finish_reason }) => [index, delta, finish_reason]),
  )

describe('a stream of chunks', () => {
  test('has the order that clients rely on: role, reasoning, content, tool calls, finish', () => {
    expect(deltas(stream(ANSWER))).toEqual([
      [[0, { role: 'assistant', content: '' }, null]],
      [[0, { reasoning_content: 'hm' }, null]],
      [[0, { content: '你好' }, null]],
      [
        [
          0,
          {
            tool_calls: [
              { index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } },
            ],
          },
          null,
        ],
      ],
      [[0, { tool_calls: [{ index: 0, function: { arguments: '{"a":' } }] }, null]],
      [[0, { tool_calls: [{ index: 0, function: { arguments: '1}' } }] }, null]],
      [[0, {}, 'tool_calls']],
    ])
  })

  test('says the same id, model and instant on every chunk, and usage nowhere unasked', () => {
    for (const body of bodiesOf(stream(ANSWER))) {
      expect(body).toMatchObject({
        id: 'c1',
        object: 'chat.completion.chunk',
        created: 1_757_141_666,
        model: 'm-1',
      })
      expect(body).not.toHaveProperty('usage')
    }
  })

  test('has usage null on all chunks but the last, where it was asked for', () => {
    const bodies = bodiesOf(stream(ANSWER, { wantsUsage: true, costOf: () => '0.000123' }))
    expect(bodies.slice(0, -1).map((body) => body['usage'])).toEqual(bodies.slice(0, -1).map(() => null))
    expect(bodies.at(-1)).toMatchObject({ choices: [], usage: { ...USAGE, cost: '0.000123' } })
  })

  test('has no usage chunk where the upstream gave none', () => {
    const bodies = bodiesOf(stream(ANSWER.slice(0, -1), { wantsUsage: true }))
    expect(bodies.at(-1)?.['choices']).toHaveLength(1)
  })

  test('opens each choice with its role', () => {
    const events: ChatEvent[] = [0, 1, 0, 1].map((choice) => ({ type: 'text-delta', choice, text: 'x' }))
    expect(deltas(stream(events))).toEqual([
      [[0, { role: 'assistant', content: '' }, null]],
      [[0, { content: 'x' }, null]],
      [[1, { role: 'assistant', content: '' }, null]],
      [[1, { content: 'x' }, null]],
      [[0, { content: 'x' }, null]],
      [[1, { content: 'x' }, null]],
    ])
  })

  test('stands in for names that the upstream does not give', () => {
    const events: ChatEvent[] = [
      { type: 'start', id: null, model: null, createdSeconds: null },
      { type: 'finish', choice: 0, reason: 'stop' },
    ]
    for (const body of bodiesOf(stream(events)))
      expect(body).toMatchObject({ id: 'chatcmpl-r1', model: 'target-model', created: 1_700_000_000 })
  })
})

describe('a whole answer', () => {
  const whole = (events: readonly ChatEvent[]): Json => JSON.parse(encodeChatAnswer(events, OPTIONS)) as Json

  test('holds all that was streamed', () => {
    expect(whole(ANSWER)).toEqual({
      id: 'c1',
      object: 'chat.completion',
      created: 1_757_141_666,
      model: 'm-1',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: '你好',
            refusal: null,
            reasoning_content: 'hm',
            tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
          },
          logprobs: null,
          finish_reason: 'tool_calls',
        },
      ],
      usage: {
        ...USAGE,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 3 },
      },
    })
  })

  test('has null for content where there are calls or a refusal only', () => {
    const call: ChatEvent = { type: 'tool-call-start', choice: 0, call: 0, id: 'c', name: 'f' }
    const refusal: ChatEvent = { type: 'refusal-delta', choice: 0, text: 'no' }
    expect(whole([call])).toMatchObject({ choices: [{ message: { content: null } }] })
    expect(whole([refusal])).toMatchObject({ choices: [{ message: { content: null, refusal: 'no' } }] })
    expect(whole([{ type: 'finish', choice: 0, reason: 'length' }])).toMatchObject({
      choices: [{ message: { content: '' }, finish_reason: 'length' }],
    })
  })

  test('holds sound, log probabilities and calls of the old form, joined from their pieces', () => {
    const events: ChatEvent[] = [
      { type: 'audio-delta', choice: 0, audio: { id: 'audio_1', transcript: '你' } },
      { type: 'audio-delta', choice: 0, audio: { transcript: '好', data: 'UklG' } },
      { type: 'audio-delta', choice: 0, audio: { data: 'Rg==', expires_at: 1_757_145_266 } },
      { type: 'logprobs-delta', choice: 0, logprobs: { content: [{ token: 'a' }], refusal: null } },
      { type: 'logprobs-delta', choice: 0, logprobs: { content: [{ token: 'b' }], refusal: null } },
      { type: 'function-call-delta', choice: 0, name: 'f', arguments: '{"a"' },
      { type: 'function-call-delta', choice: 0, name: '', arguments: ':1}' },
    ]
    expect(whole(events)).toMatchObject({
      choices: [
        {
          message: {
            content: null,
            audio: { id: 'audio_1', data: 'UklGRg==', transcript: '你好', expires_at: 1_757_145_266 },
            function_call: { name: 'f', arguments: '{"a":1}' },
          },
          logprobs: { content: [{ token: 'a' }, { token: 'b' }], refusal: null },
        },
      ],
    })
  })

  test('has the name of a call that was said after its first arguments', () => {
    const streamed = [
      { tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { arguments: '{' } }] },
      { tool_calls: [{ index: 0, function: { name: 'late', arguments: '}' } }] },
    ].map((delta) => event(chunk(delta)))
    const events = decodeText(streamed.join(''))
    expect(whole(events)).toMatchObject({
      choices: [{ message: { tool_calls: [{ id: 'call_1', function: { name: 'late', arguments: '{}' } }] } }],
    })
    const again = decodeText(stream(events))
    expect(whole(again)).toEqual(whole(events))
  })

  test('has its choices and calls in order, whatever order they came in', () => {
    const events: ChatEvent[] = [
      { type: 'text-delta', choice: 1, text: 'second' },
      { type: 'tool-call-start', choice: 0, call: 1, id: 'b', name: 'g' },
      { type: 'tool-call-start', choice: 0, call: 0, id: 'a', name: 'f' },
    ]
    expect(whole(events)).toMatchObject({
      choices: [
        { index: 0, message: { tool_calls: [{ id: 'a' }, { id: 'b' }] } },
        { index: 1, message: { content: 'second' } },
      ],
    })
  })
})

describe('events survive the way out and back', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1 })
  const answer = fc
    .array(
      fc.oneof(
        fc.record({ type: fc.constantFrom('text-delta', 'reasoning-delta', 'refusal-delta'), text }),
        fc.record({ type: fc.constant('call'), name: text, arguments: text }),
        fc.record({ type: fc.constant('function-call-delta' as const), name: text, arguments: text }),
        fc.record({
          type: fc.constant('audio-delta' as const),
          audio: fc.record({ data: text, transcript: text }),
        }),
        fc.record({
          type: fc.constant('logprobs-delta' as const),
          logprobs: fc.record({ content: fc.array(fc.record({ token: text })), refusal: fc.constant(null) }),
        }),
      ),
      { minLength: 1, maxLength: 8 },
    )
    .map((steps): ChatEvent[] => {
      let calls = 0
      const events = steps.flatMap((step): ChatEvent[] => {
        if (step.type !== 'call') return [{ ...step, choice: 0 } as ChatEvent]
        const call = calls++
        return [
          { type: 'tool-call-start', choice: 0, call, id: `call_${call}`, name: step.name },
          { type: 'tool-call-delta', choice: 0, call, arguments: step.arguments },
        ]
      })
      return [
        START,
        ...events,
        { type: 'finish', choice: 0, reason: 'stop' },
        { type: 'usage', usage: COUNTS },
      ]
    })

  test('streamed, in any pieces', () => {
    fc.assert(
      fc.property(answer, fc.nat(6), (events, cutting) => {
        const decoder = openChatDecoder(PLAIN, [])
        const bytes = encode(`${stream(events, { wantsUsage: true })}data: [DONE]\n\n`)
        const pieces = CHUNKINGS[cutting]?.cut(bytes) ?? [bytes]
        const back = [...pieces.flatMap((piece) => decoder.push(piece)), ...decoder.end()]
        expect(back).toEqual(events)
      }),
      { seed: 81, numRuns: 150 },
    )
  })

  test('whole', () => {
    fc.assert(
      fc.property(answer, (events) => {
        const once = encodeChatAnswer(events, OPTIONS)
        expect(encodeChatAnswer(decodeChatAnswer(encode(once), PLAIN, []), OPTIONS)).toBe(once)
      }),
      { seed: 82, numRuns: 300 },
    )
  })
})

describe('reading a stream into events', () => {
  const types = (streamed: string): string[] => decodeText(streamed).map((one) => one.type)

  test('ends at the end mark and at an error', () => {
    const late = event(chunk({ content: 'late' }))
    expect(types(`${event(chunk({ content: 'a' }, 'stop'))}data: [DONE]\n\n${late}`)).toEqual([
      'start',
      'text-delta',
      'finish',
    ])
    expect(types(`${event(chunk({ content: 'a' }))}${event({ error: { message: 'x' } })}${late}`)).toEqual([
      'start',
      'text-delta',
      'failure',
    ])
  })

  test('leaves out what is no JSON object and goes on', () => {
    expect(types(`data: oops\n\ndata: {"a":\n\n: ping\n\n${event(chunk({ content: 'a' }))}`)).toEqual([
      'start',
      'text-delta',
    ])
  })

  test('knows reasoning by both of its names', () => {
    const streamed =
      event(chunk({ reasoning: 'a' })) + event(chunk({ reasoning_content: 'b', content: null }))
    expect(decodeText(streamed).slice(1)).toEqual([
      { type: 'reasoning-delta', choice: 0, text: 'a' },
      { type: 'reasoning-delta', choice: 0, text: 'b' },
    ])
  })

  test('takes an unknown finish reason for a stop, and a mapped one for what it means', () => {
    const finish = (reason: string, quirks = PLAIN) => decodeText(event(chunk({}, reason)), quirks).at(-1)
    expect(finish('tired')).toMatchObject({ reason: 'stop' })
    expect(finish('constructor')).toMatchObject({ reason: 'stop' })
    const quirks = { ...PLAIN, finishReasons: { sensitive: 'content_filter', abort: 'error' } } as const
    expect(finish('sensitive', quirks)).toMatchObject({ type: 'finish', reason: 'content_filter' })
    expect(finish('abort', quirks)).toMatchObject({ type: 'failure', failure: { vendorCode: 'abort' } })
  })

  test('gives up an event without end', () => {
    const decoder = openChatDecoder(PLAIN, [])
    const events = decoder.push(encode(`data: ${'x'.repeat(5 * 1024 * 1024)}`))
    expect(events.at(-1)).toMatchObject({ type: 'failure', failure: { kind: 'protocol' } })
  })
})
