import { describe, expect, test } from 'vitest'
import type { ChatEvent } from '#core/chat.ts'
import { ANSWER_BODY_BYTES_MAX } from '#core/limits.ts'
import type { Provider } from '#core/provider.ts'
import type { UpstreamFormat } from '#core/wire-format.ts'
import { readCall } from '#pipeline/ingress.ts'
import { type AnswerOptions, convertAnswer, encodeUpstream, openAnswer } from '#pipeline/translate.ts'
import { encode, factsWith } from './support.ts'

type Json = Record<string, unknown>

const callOf = (fields: object = {}, api: 'chat' | 'completions' = 'chat') => {
  const asked = api === 'chat' ? { messages: [{ role: 'user', content: 'hi' }] } : { prompt: 'hi' }
  return readCall(api, encode(JSON.stringify({ model: 'assistant', ...asked, ...fields })))
}

function collectOut(): { options: AnswerOptions; text: () => string } {
  const parts: Uint8Array[] = []
  const options = {
    requestId: 'r1',
    nowMs: 1_700_000_000_000,
    costOf: () => null,
    out: (bytes: Uint8Array) => void parts.push(bytes),
  }
  return { options, text: () => Buffer.concat(parts).toString('utf8') }
}

const bodyOf = (sent: Uint8Array | string): Json =>
  JSON.parse(typeof sent === 'string' ? sent : new TextDecoder().decode(sent)) as Json

const STREAM = [
  { id: 'c1', model: 'small-1', choices: [{ index: 0, delta: { role: 'assistant', content: '' } }] },
  { id: 'c1', model: 'small-1', choices: [{ index: 0, delta: { content: 'hel' } }] },
  { id: 'c1', model: 'small-1', choices: [{ index: 0, delta: { content: 'lo' }, finish_reason: 'stop' }] },
  { id: 'c1', model: 'small-1', choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } },
]
  .map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`)
  .join('')
  .concat('data: [DONE]\n\n')

const WHOLE = JSON.stringify({
  id: 'c1',
  model: 'small-1',
  choices: [{ index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 2 },
})

describe('a request in a target’s words', () => {
  test('of the same format keeps its bytes but for the model', () => {
    const bytes = encode(
      '{ "model" : "assistant", "messages":[{"role":"user","content":"h\\u0069"}], "top_k": 1.0 }',
    )
    const sent = encodeUpstream(readCall('chat', bytes), factsWith({}))
    expect(sent.url.href).toBe('https://api.vendor.example/v1/chat/completions')
    expect(new TextDecoder().decode(sent.body as Uint8Array)).toBe(
      '{ "model" : "small", "messages":[{"role":"user","content":"h\\u0069"}], "top_k": 1.0 }',
    )
  })

  test('behind a byte order mark names the target’s model all the same', () => {
    const bytes = encode(
      '\ufeff{"model":"assistant","messages":[{"role":"user","content":"hi"}],"provider":{"only":["x"]}}',
    )
    const { body } = encodeUpstream(readCall('chat', bytes), factsWith({}))
    expect(bodyOf(body)).toEqual({ model: 'small', messages: [{ role: 'user', content: 'hi' }] })
  })

  test('of legacy completions goes to such an endpoint as it is, elsewhere as a chat', () => {
    const call = callOf({ best_of: 1, temperature: 1 }, 'completions')
    const own = encodeUpstream(call, factsWith({ completionsPath: '/completions' }))
    expect([own.url.pathname, bodyOf(own.body)]).toEqual([
      '/v1/completions',
      { model: 'small', prompt: 'hi', best_of: 1, temperature: 1 },
    ])
    const chat = encodeUpstream(call, factsWith({}))
    expect([chat.url.pathname, bodyOf(chat.body)]).toEqual([
      '/v1/chat/completions',
      { model: 'small', messages: [{ role: 'user', content: 'hi' }], temperature: 1 },
    ])
  })

  test('streams where the target can do nothing else', () => {
    const sent = encodeUpstream(callOf(), factsWith({ cannot: ['unstreamed'] }))
    expect(sent.streaming).toBe(true)
    expect(bodyOf(sent.body)).toMatchObject({ stream: true, stream_options: { include_usage: true } })
  })

  test('has the headers of the dialect, those of streams only on streams', () => {
    const quirks = {
      streamUsage: 'option',
      thinking: { style: 'none' },
      headers: { 'x-a': '1' },
      streamHeaders: { 'x-b': '2' },
    } as const
    expect(encodeUpstream(callOf(), factsWith({ quirks })).headers).toEqual({ 'x-a': '1' })
    expect(encodeUpstream(callOf({ stream: true }), factsWith({ quirks })).headers).toEqual({
      'x-a': '1',
      'x-b': '2',
    })
  })
})

describe('a stream for a client that asked for none', () => {
  const facts = factsWith({ cannot: ['unstreamed'] })

  test('is gathered and sent whole', () => {
    const { options, text } = collectOut()
    const transform = openAnswer(callOf(), facts, options)
    transform.push(encode(STREAM))
    expect(text()).toBe('')
    transform.end()
    expect(bodyOf(text())).toMatchObject({
      object: 'chat.completion',
      model: 'small-1',
      choices: [{ message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
    })
    expect(transform.state).toMatchObject({ content: true, finished: true, usage: { inputTokens: 3 } })
  })

  test('that is cut or fails leaves nothing to be taken for an answer', () => {
    for (const tail of ['', 'data: {"error":{"message":"x"}}\n\n']) {
      const { options, text } = collectOut()
      const transform = openAnswer(callOf(), facts, options)
      transform.push(encode(`data: {"choices":[{"index":0,"delta":{"content":"hel"}}]}\n\n${tail}`))
      transform.end()
      expect(text()).toBe('')
      expect(transform.state.finished).toBe(false)
    }
  })
})

describe('an upstream that ignored `stream`', () => {
  test('is streamed to the client all the same', () => {
    const { options } = collectOut()
    const call = callOf({ stream: true, stream_options: { include_usage: true } })
    const { state, bytes } = convertAnswer(encode(WHOLE), call, factsWith({}), options)
    const events = new TextDecoder()
      .decode(bytes)
      .trimEnd()
      .split('\n\n')
      .map((line) => bodyOf(line.slice(6)))
    expect(events.map((one) => one['choices'])).toMatchObject([
      [{ delta: { role: 'assistant' } }],
      [{ delta: { content: 'hello' } }],
      [{ delta: {}, finish_reason: 'stop' }],
      [],
    ])
    expect(events.at(-1)).toMatchObject({ usage: { prompt_tokens: 3 } })
    expect(state.finished).toBe(true)
  })

  test.each([
    { name: 'that is no JSON', body: '<html>', kind: 'protocol' },
    { name: 'without choices', body: '{"id":"x"}', kind: 'protocol' },
    {
      name: 'that is an error',
      body: '{"error":{"code":"content_filter","message":"x"}}',
      kind: 'moderation',
    },
  ])('with an answer $name has failed', ({ body, kind }) => {
    const { options } = collectOut()
    for (const fields of [{}, { stream: true }]) {
      const { state } = convertAnswer(encode(body), callOf(fields), factsWith({}), options)
      expect(state.failure?.kind).toBe(kind)
    }
  })
})

describe('a dialect of its own', () => {
  const EVENTS: readonly ChatEvent[] = [
    { type: 'start', id: 'n1', model: 'native-1', createdSeconds: 5 },
    { type: 'text-delta', choice: 0, text: 'hello' },
    { type: 'finish', choice: 0, reason: 'stop' },
  ]
  const native: UpstreamFormat = {
    name: 'native',
    encode: ({ model, streaming }) => ({
      path: '/native',
      headers: { 'x-native': '1' },
      body: `${model} ${streaming}`,
      dropped: ['seed'],
    }),
    openStream: () => ({ push: () => EVENTS, end: () => [], dropped: 0 }),
    decodeAnswer: () => EVENTS,
  }
  const folder: Partial<Provider> = { formats: [native], chooseFormat: () => 'native' }

  test('gets the request in its words', () => {
    const sent = encodeUpstream(callOf({ stream: true }), factsWith(folder))
    expect(sent).toMatchObject({
      body: 'small true',
      headers: { 'x-native': '1' },
      dropped: ['seed'],
      streaming: true,
    })
    expect(sent.url.href).toBe('https://api.vendor.example/v1/native')
  })

  test('may live at the origin', () => {
    const format = {
      ...native,
      encode: () => ({ path: '/rpc', fromOrigin: true, headers: {}, body: '', dropped: [] }),
    }
    const sent = encodeUpstream(callOf(), factsWith({ ...folder, formats: [format] }))
    expect(sent.url.href).toBe('https://api.vendor.example/rpc')
  })

  test('answers each client in the shape it asked for', () => {
    const facts = factsWith(folder)
    const streamed = collectOut()
    openAnswer(callOf({ stream: true }), facts, streamed.options).push(encode('x'))
    expect(streamed.text()).toContain('"object":"chat.completion.chunk"')
    const whole = (api: 'chat' | 'completions') =>
      bodyOf(convertAnswer(encode('x'), callOf({}, api), facts, collectOut().options).bytes)
    expect(whole('chat')).toMatchObject({ object: 'chat.completion', id: 'n1' })
    expect(whole('completions')).toMatchObject({ object: 'text_completion', choices: [{ text: 'hello' }] })
  })

  test('that fails in the middle says nothing more', () => {
    const failure = {
      kind: 'server',
      status: 200,
      vendorCode: null,
      vendorMessage: 'x',
      retryAfterMs: null,
    } as const
    const format: UpstreamFormat = {
      ...native,
      openStream: () => ({
        push: () => [...EVENTS.slice(0, 2), { type: 'failure', failure }, ...EVENTS.slice(1)],
        end: () => [],
        dropped: 0,
      }),
    }
    const { options, text } = collectOut()
    const transform = openAnswer(
      callOf({ stream: true, stream_options: { include_usage: true } }),
      factsWith({ ...folder, formats: [format] }),
      options,
    )
    transform.push(encode('x'))
    transform.end()
    expect(transform.state.failure).toEqual(failure)
    expect(text()).not.toContain('finish_reason":"stop"')
  })
})

describe('what an upstream sends beside its answer', () => {
  const noisy = STREAM.replace('data: [DONE]', 'data: <html>\n\ndata: {"half\n\ndata: [DONE]')

  test.each([
    ['a stream in its own bytes', callOf({ stream: true })],
    ['a stream in another shape', callOf({ stream: true }, 'completions')],
    ['a stream that is gathered', callOf()],
  ])('is left out and counted: %s', (_what, call) => {
    const { options, text } = collectOut()
    const transform = openAnswer(call, factsWith({}), options)
    transform.push(encode(noisy))
    transform.end()
    expect([transform.state.droppedEvents, transform.state.failure]).toEqual([2, null])
    expect(text()).not.toMatch(/html|half/)
  })

  test('has a bound where a stream is gathered', () => {
    const transform = openAnswer(callOf(), factsWith({}), collectOut().options)
    const comment = encode(`: ${'x'.repeat(1024 * 1024 - 4)}\n\n`)
    for (let sent = 0; sent <= ANSWER_BODY_BYTES_MAX; sent += comment.length) transform.push(comment)
    expect(transform.state.failure?.kind).toBe('protocol')
  })
})
