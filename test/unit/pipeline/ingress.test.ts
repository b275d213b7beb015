import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GatewayError } from '#core/errors.ts'
import { JSON_DEPTH_MAX } from '#core/limits.ts'
import type { ClientApi } from '#pipeline/context.ts'
import { readCall } from '#pipeline/ingress.ts'
import { encode } from './support.ts'

function refusalOf(body: Uint8Array | string, api: ClientApi = 'chat'): { code: string; message: string } {
  try {
    readCall(api, typeof body === 'string' ? encode(body) : body)
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, message: error.message }
    throw error
  }
  throw new Error('it was let through')
}

const read = (fields: object, api: ClientApi = 'chat') =>
  readCall(
    api,
    encode(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...fields })),
  )

describe('a body that cannot be read', () => {
  const deep = (depth: number): string =>
    `{"model":"m","messages":[{"role":"user","content":"x"}],"x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
  test.each([
    { name: 'an empty one', body: '', message: 'empty' },
    { name: 'text', body: 'hello', message: 'not valid JSON' },
    { name: 'a cut one', body: '{"model":"m","messages":[', message: 'not valid JSON' },
    { name: 'one with more behind it', body: '{"model":"m"} {"model":"n"}', message: 'not valid JSON' },
    { name: 'bytes that are no UTF-8', body: Uint8Array.of(0x7b, 0xff, 0x7d), message: 'not valid UTF-8' },
    { name: 'half a character', body: encode('{"model":"你').subarray(0, 11), message: 'not valid UTF-8' },
    { name: 'a list', body: '[]', message: 'a JSON object' },
    { name: 'null', body: 'null', message: 'a JSON object' },
    { name: 'one nested too deep', body: deep(JSON_DEPTH_MAX + 1), message: `${JSON_DEPTH_MAX} levels` },
    {
      name: 'one nested too deep behind a byte order mark',
      body: `\ufeff${deep(JSON_DEPTH_MAX + 1)}`,
      message: 'levels',
    },
  ])('$name is refused and told why', ({ body, message }) => {
    const refusal = refusalOf(body)
    expect(refusal.code).toBe('invalid_request')
    expect(refusal.message).toContain(message)
  })

  test('as deep as allowed is not refused', () => {
    expect(readCall('chat', encode(deep(JSON_DEPTH_MAX))).model).toBe('m')
  })

  test('a syntax error is placed, its surroundings not repeated', () => {
    const { message } = refusalOf('{"model":"m","secret":"my diary" oops}')
    expect(message).toMatch(/position \d+|line \d+/)
    expect(message).not.toContain('diary')
  })

  test('no bytes whatever crash it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.json().map(encode)), (bytes) => {
        expect(refusalOf(bytes).code).toBe('invalid_request')
        expect(refusalOf(bytes, 'completions').code).toBe('invalid_request')
      }),
      { seed: 111, numRuns: 500 },
    )
  })
})

describe('a call', () => {
  test('keeps the bytes that came', () => {
    const bytes = encode('{ "model":"m", "messages":[{"role":"user","content":"hi"}] }')
    expect(readCall('chat', bytes).bytes).toBe(bytes)
  })

  test.each<ClientApi>(['chat', 'completions'])('%s may name its models in a list only', (api) => {
    expect(read({ model: undefined, models: ['first', 'second'], prompt: 'x' }, api).model).toBe('first')
  })

  test('knows what is asked for', () => {
    const call = read({
      stream: true,
      stream_options: { include_usage: true },
      reasoning_effort: 'low',
      tools: [{ type: 'function' }],
    })
    expect(call).toMatchObject({
      api: 'chat',
      model: 'm',
      streaming: true,
      wantsUsage: true,
      untranslatable: null,
    })
    expect(call.thinking).toMatchObject({ enabled: true, effort: 'low' })
    expect(call.needs.map((need) => need.capability)).toEqual(['stream', 'tools'])
  })

  test('behind a byte order mark is read, and its members are found', () => {
    const call = readCall('chat', encode('\ufeff{"model":"m","messages":[{"role":"user","content":"hi"}]}'))
    expect(call.scan?.members.map((member) => member.key)).toEqual(['model', 'messages'])
  })

  test('of legacy completions is a chat too, where chat has words for it', () => {
    const legacy = (prompt: unknown) =>
      readCall('completions', encode(JSON.stringify({ model: 'm', prompt })))
    expect(legacy('say hi')).toMatchObject({
      api: 'completions',
      untranslatable: null,
      chat: { messages: [{ content: 'say hi' }] },
    })
    expect(legacy([1, 2, 3]).untranslatable?.code).toBe('unsupported_parameter')
    expect(legacy([1, 2, 3]).body).toMatchObject({ prompt: [1, 2, 3] })
  })
})

describe('the estimate of tokens', () => {
  const estimateOf = (content: unknown, fields: object = {}): number =>
    read({ messages: [{ role: 'user', content }], ...fields }).inputTokensEstimate

  test('grows with the text, faster for Chinese than for English', () => {
    const english = estimateOf('word '.repeat(1_000))
    const chinese = estimateOf('字'.repeat(5_000))
    expect(english).toBeGreaterThan(1_000)
    expect(english).toBeLessThan(1_600)
    expect(chinese).toBeGreaterThan(3_000)
    expect(chinese).toBeLessThan(4_000)
  })

  test('does not count the characters of a picture', () => {
    const picture = {
      type: 'image_url',
      image_url: { url: `data:image/png;base64,${'A'.repeat(1_000_000)}` },
    }
    expect(estimateOf([{ type: 'text', text: 'what is this' }, picture])).toBeLessThan(2_000)
  })

  test('counts tools and tool calls', () => {
    const tools = [{ type: 'function', function: { name: 'f', description: 'x'.repeat(4_000) } }]
    expect(estimateOf('hi', { tools }) - estimateOf('hi')).toBeGreaterThan(900)
  })

  test('is never below its floor, and neither is negative nor broken', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (content) => {
        const call = read({ messages: [{ role: 'user', content }] })
        expect(call.inputTokensFloor).toBeGreaterThanOrEqual(0)
        expect(call.inputTokensFloor).toBeLessThanOrEqual(call.inputTokensEstimate)
        expect(Number.isSafeInteger(call.inputTokensEstimate)).toBe(true)
      }),
      { seed: 112 },
    )
  })

  test('of output is bounded by what the client allows', () => {
    expect(read({ max_tokens: 5 }).outputTokensEstimate).toBe(5)
    expect(read({ max_tokens: 5, max_completion_tokens: 7 }).outputTokensEstimate).toBe(7)
    expect(read({ max_tokens: 100_000 }).outputTokensEstimate).toBe(read({}).outputTokensEstimate)
  })
})
