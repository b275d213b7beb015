import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Quirks } from '#core/provider.ts'
import { encodeChatAnswer } from '#wire/openai-chat/collect.ts'
import { decodeChatAnswer, openChatDecoder } from '#wire/openai-chat/decode.ts'
import { openChatEncoder } from '#wire/openai-chat/encode.ts'
import { readErrorBody } from '#wire/openai-chat/failure.ts'
import { passAnswer } from '#wire/openai-chat/pass.ts'
import { bodiesOf, encode, event, PLAIN, passText } from './support.ts'

/** Every repair at once. */
const LOOSE: Quirks = {
  ...PLAIN,
  looseToolCalls: true,
  reasoningField: 'reasoning',
  finishReasons: { eos: 'stop', abort: 'error' },
}
const OPTIONS = {
  wantsUsage: true,
  fallbackId: 'x',
  fallbackModel: 'x',
  nowSeconds: 1,
  costOf: () => '0.1',
}

/** Any JSON where the dialect has a value, and now and then the value of the dialect. */
const any = fc.jsonValue({ maxDepth: 2 })
const or = (arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 1, arbitrary: any }, { weight: 4, arbitrary })
const part = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> =>
  or(fc.record(fields, { requiredKeys: [] }))
const list = (items: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => or(fc.array(items, { maxLength: 3 }))

const text = or(fc.string({ unit: 'grapheme' }))
const call = part({
  index: or(fc.integer({ min: -2, max: 3 })),
  id: text,
  type: text,
  function: part({ name: text, arguments: text }),
  custom: part({ name: text, input: text }),
})
const delta = part({
  role: text,
  content: text,
  reasoning: text,
  reasoning_content: text,
  refusal: text,
  tool_calls: list(call),
  function_call: any,
  audio: any,
})
const count = or(fc.nat(1_000))
const usage = part({
  prompt_tokens: count,
  completion_tokens: count,
  prompt_tokens_details: part({ cached_tokens: count }),
})
const choice = part({
  index: or(fc.nat(2)),
  delta,
  message: delta,
  finish_reason: or(fc.constantFrom('stop', 'eos', 'abort', '', 'constructor')),
  usage,
  text,
})
const body = fc.record(
  {
    id: text,
    model: text,
    created: any,
    choices: list(choice),
    usage,
    error: fc.option(any, { freq: 9 }),
    code: any,
  },
  { requiredKeys: [] },
)
const stream = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: body.map(event) },
      { weight: 1, arbitrary: any.map((value) => `data: ${JSON.stringify(value)}\n\n`) },
    ),
    { maxLength: 5 },
  )
  .map((events) => events.join(''))

describe('whatever an upstream sends', () => {
  test.each([
    { name: 'as it is', quirks: PLAIN },
    { name: 'repaired', quirks: LOOSE },
  ])('a stream that passes $name is JSON events to its end, or a failure', ({ quirks }) => {
    fc.assert(
      fc.property(stream, fc.boolean(), (sent, wantsUsage) => {
        const { text: passed, state } = passText(sent, { quirks, wantsUsage, costOf: () => '0.1' })
        for (const one of bodiesOf(passed)) expect(one).toBeTypeOf('object')
        expect(state.outputBytes).toBeGreaterThanOrEqual(0)
        if (!wantsUsage)
          expect(
            bodiesOf(passed).filter(
              (one) => typeof (one['usage'] ?? 0) === 'object' && !Array.isArray(one['usage']),
            ),
          ).toEqual([])
      }),
      { seed: 151, numRuns: 400 },
    )
  })

  test('a stream that is translated becomes chunks that an SDK can read', () => {
    fc.assert(
      fc.property(stream, (sent) => {
        const decoder = openChatDecoder(LOOSE, [])
        const encoder = openChatEncoder(OPTIONS)
        const events = [...decoder.push(encode(sent)), ...decoder.end()]
        const chunks = bodiesOf(events.map((one) => encoder.encode(one)).join('') + encoder.end())
        for (const one of chunks)
          expect(one).toMatchObject({ id: expect.any(String), choices: expect.any(Array) })
        expect(JSON.parse(encodeChatAnswer(events, OPTIONS))).toMatchObject({ object: 'chat.completion' })
      }),
      { seed: 152, numRuns: 300 },
    )
  })

  test('a whole answer is handed on as JSON, or is a failure', () => {
    fc.assert(
      fc.property(fc.oneof(body, any), (sent) => {
        const bytes = encode(JSON.stringify(sent))
        const { state, bytes: passed } = passAnswer(bytes, { quirks: LOOSE, rules: [] })
        if (state.failure === null) expect(JSON.parse(new TextDecoder().decode(passed))).toBeTypeOf('object')
        expect(decodeChatAnswer(bytes, LOOSE, []).length).toBeGreaterThan(0)
      }),
      { seed: 153, numRuns: 300 },
    )
  })

  test('an error body has words, be they none', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          any.map((value) => encode(JSON.stringify(value))),
        ),
        (bytes) => {
          expect(readErrorBody(bytes).message).toBeTypeOf('string')
        },
      ),
      { seed: 154, numRuns: 300 },
    )
  })
})
