// Answers that are whole but odd: figures that cannot be, names without end, sizes beyond reason. The client gets
// its answer where there is one, and the books stay sound.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  answer,
  answerText,
  contentEvent,
  DONE,
  FINISH_EVENT,
  JSON_HEADERS,
  ROLE_EVENT,
  streamEvents,
} from '../support/chat-bytes.ts'
import { KEY, type LocalGateway, type RequestDetail, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { ask, contentOf } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const MB = 1024 * 1024

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream()
  gateway = await startLocalGateway({
    config: configOf({
      providers: { up: upstream.baseUrl },
      over: {
        policies: {
          p: {
            sort: 'priority',
            retry: { attempts: 1 },
            outlier_detection: { consecutive_5xx: 1_000_000, base_ejection_ms: 1, max_ejection_ms: 1 },
          },
        },
      },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

const USAGES: readonly (readonly [what: string, usage: unknown])[] = [
  ['negative', { prompt_tokens: -5, completion_tokens: -1 }],
  ['fractions', { prompt_tokens: 1.5, completion_tokens: 2.25 }],
  ['beyond any integer', { prompt_tokens: 1e30, completion_tokens: 1e300 }],
  ['just beyond the exact ones', { prompt_tokens: 2 ** 53, completion_tokens: 2 ** 53 }],
  [
    'more than any answer has',
    { prompt_tokens: 900_719_925_474_099, completion_tokens: 900_719_925_474_099 },
  ],
  ['searches without end', { prompt_tokens: 5, completion_tokens: 2, tool_usage: { web_search: 1e15 } }],
  ['text', { prompt_tokens: '10', completion_tokens: 'many' }],
  ['null', { prompt_tokens: null, completion_tokens: null }],
  ['no figures at all', {}],
  ['a list', [1, 2]],
  [
    'parts above their whole',
    {
      prompt_tokens: 5,
      completion_tokens: 2,
      prompt_tokens_details: { cached_tokens: 500 },
      completion_tokens_details: { reasoning_tokens: 700 },
    },
  ],
  [
    'details of the wrong kind',
    { prompt_tokens: 5, completion_tokens: 2, prompt_tokens_details: 'x', completion_tokens_details: null },
  ],
]

describe('usage that is', () => {
  test.each(USAGES)(
    '%s costs nobody the answer, and the books hold whole, possible figures',
    async (_what, usage) => {
      const text = answerText('hello', null).replace(
        '"vendor_extra"',
        `"usage":${JSON.stringify(usage)},"vendor_extra"`,
      )
      const event = `data: {"id":"1","object":"chat.completion.chunk","choices":[],"usage":${JSON.stringify(usage)}}\n\n`
      for (const stream of [false, true]) {
        upstream.script(
          stream
            ? { steps: [ROLE_EVENT, contentEvent('hello'), FINISH_EVENT, event, DONE] }
            : { headers: JSON_HEADERS, steps: [text] },
        )
        const got = await gateway.chat({ stream })
        expect(got.status, got.text).toBe(200)
        expect(got.text).toContain('hello')
        expectSound(await gateway.detail(got.headers['x-request-id'] ?? ''))
      }
      const total = (await gateway.admin('/usage'))['total'] as Record<string, unknown>
      expect(Number.isSafeInteger(total['input_tokens'])).toBe(true)
      expect(String(total['cost'])).toMatch(/^\d+(\.\d{1,9})?$/)
    },
  )
})

describe('usage of which a half is no count', () => {
  test.each([
    ['a fraction of output', { prompt_tokens: 10, completion_tokens: 7.5 }],
    ['negative input', { prompt_tokens: -5, completion_tokens: 3 }],
    ['input as text', { prompt_tokens: '10', completion_tokens: 3 }],
  ])('%s is an estimate, not a zero', async (_what, usage) => {
    upstream.script({ headers: JSON_HEADERS, steps: [answerText('hello', usage as never)] })
    const got = await gateway.chat()
    expect(got.status).toBe(200)
    const [row] = (await gateway.detail(got.headers['x-request-id'] ?? '')).attempts
    expect(row?.usage).toMatchObject({ source: 'estimated' })
    expect(Number(row?.usage['input_tokens'])).toBeGreaterThan(0)
    expect(Number(row?.usage['output_tokens'])).toBeGreaterThan(0)
  })
})

const chunkOf = (choice: number, delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({
    id: 'c1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'x',
    choices: [{ index: choice, delta, finish_reason: finish }],
  })}\n\n`

describe('a stream of several choices', () => {
  const HALF = [
    chunkOf(0, { role: 'assistant', content: 'A' }),
    chunkOf(1, { role: 'assistant', content: 'B half' }),
    chunkOf(0, { content: ' whole' }),
    chunkOf(0, {}, 'stop'),
  ]

  test.each(['/v1/chat/completions', '/v1/completions'])(
    'that is cut while one of them is unfinished is cut (%s)',
    async (path) => {
      upstream.script({ steps: HALF, ending: 'fin' })
      const asked = path.includes('chat') ? { messages: [{ role: 'user', content: 'x' }] } : { prompt: 'x' }
      const got = await ask(gateway.url + path, {
        key: KEY,
        method: 'POST',
        body: { model: 'm', stream: true, n: 2, ...asked },
      })
      expect(got.status).toBe(200)
      expect(got.text).not.toContain('[DONE]')
      expect(got.text).toContain('upstream_truncated')
      const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
      expect([detail.outcome, detail.error]).toEqual(['failed', 'upstream_truncated'])
    },
  )

  test('is whole when each has ended', async () => {
    upstream.script({ steps: [...HALF, chunkOf(1, { content: ' and half' }, 'stop')] })
    const got = await gateway.chat({ stream: true, n: 2 })
    expect(got.text).toContain('[DONE]')
  })

  test('is whole at its end mark where the upstream gave fewer than asked for', async () => {
    upstream.script({ steps: [chunkOf(0, { content: 'A' }), chunkOf(0, {}, 'stop'), DONE] })
    const got = await gateway.chat({ stream: true, n: 2 })
    expect(got.text).toContain('[DONE]')
    expect((await gateway.detail(got.headers['x-request-id'] ?? '')).outcome).toBe('success')
  })
})

describe('a closing chunk that tells the answer again', () => {
  const again = (): string =>
    `data: ${JSON.stringify({
      id: 'c1',
      object: 'chat.completion',
      model: 'x',
      choices: [{ index: 0, message: { role: 'assistant', content: 'hello world' }, finish_reason: 'stop' }],
    })}\n\n`

  test('is no content for chat clients', async () => {
    upstream.script({ steps: [contentEvent('hello '), contentEvent('world'), again(), DONE] })
    const got = await gateway.chat({ stream: true })
    expect(got.text.match(/hello world/g)).toBeNull()
    expect(got.text).toContain('"finish_reason":"stop"')
  })

  test('is no content for clients of legacy completions', async () => {
    upstream.script({ steps: [contentEvent('hello '), contentEvent('world'), again(), DONE] })
    const streamed = await ask(`${gateway.url}/v1/completions`, {
      key: KEY,
      method: 'POST',
      body: { model: 'm', prompt: 'x', stream: true },
    })
    expect(streamed.text).toContain('world')
    expect(streamed.text.match(/hello world/g)).toBeNull()
  })
})

describe('a whole answer without an answer in it', () => {
  test.each([
    ['a choice without a message', '[{}]'],
    ['a message that is null', '[{"index":0,"message":null}]'],
  ])('%s is an error', async (_what, choices) => {
    upstream.script({ headers: JSON_HEADERS, steps: [`{"id":"a","choices":${choices}}`] })
    const got = await gateway.chat()
    expect([got.status, got.error.code]).toEqual([502, 'upstream_protocol'])
  })
})

function expectSound(detail: RequestDetail): void {
  expect(detail.outcome).toBe('success')
  const [row] = detail.attempts
  const count = (name: string): number => Number(row?.usage[name])
  for (const name of ['input_tokens', 'cached_input_tokens', 'output_tokens', 'reasoning_tokens']) {
    expect(Number.isSafeInteger(count(name)) && count(name) >= 0, `${name}: ${count(name)}`).toBe(true)
    expect(count(name)).toBeLessThan(1e12)
  }
  expect(count('cached_input_tokens')).toBeLessThanOrEqual(count('input_tokens'))
  expect(count('reasoning_tokens')).toBeLessThanOrEqual(count('output_tokens'))
  expect(detail.cost).toMatch(/^\d+(\.\d{1,9})?$/)
}

describe('an answer', () => {
  test('whose names have no end is passed on, and its row stays small', async () => {
    const long = 'n'.repeat(MB / 8)
    const text = answerText('hello', { prompt_tokens: 1, completion_tokens: 1 })
      .replace('chatcmpl-1', long)
      .replace('x-2026', long)
    for (const stream of [false, true]) {
      const events = streamEvents(['hello'], null).map((event) =>
        event.replace('chatcmpl-1', long).replace('x-2026', long),
      )
      upstream.script(stream ? { steps: events } : { headers: JSON_HEADERS, steps: [text] })
      const got = await gateway.chat({ stream })
      expect(got.status).toBe(200)
      const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
      expect(JSON.stringify(detail).length).toBeLessThan(20_000)
    }
  })

  test('beyond the bound of a whole answer is an error', async () => {
    upstream.script({
      headers: JSON_HEADERS,
      steps: ['{"x":"', ...Array.from({ length: 66 }, () => 'y'.repeat(MB)), '"}'],
    })
    const got = await gateway.chat()
    expect([got.status, got.error.code]).toEqual([502, 'upstream_protocol'])
  })

  test('that streams without content beyond the bound is an error', async () => {
    const padded = ROLE_EVENT.replace('"content":""', `"content":"","padding":"${'p'.repeat(MB / 4)}"`)
    upstream.script({
      steps: [...Array.from({ length: 6 }, () => padded), contentEvent('late'), FINISH_EVENT, DONE],
    })
    const got = await gateway.chat({ stream: true })
    expect([got.status, got.error.code]).toEqual([502, 'upstream_protocol'])
  })

  test('of several megabytes passes whole', async () => {
    const content = 'ü'.repeat(2 * MB)
    const text = answerText(content, null)
    upstream.script({ headers: JSON_HEADERS, framing: 'length', steps: [text] })
    expect((await gateway.chat()).text === text).toBe(true)
    const events = streamEvents([content, content], null)
    upstream.script({ steps: events })
    expect((await gateway.chat({ stream: true })).text === events.join('')).toBe(true)
  })

  test('with a status of 201 is an answer', async () => {
    upstream.script((request) => ({ ...answer('made')(request), status: 201 }))
    const got = await gateway.chat()
    expect([got.status, got.text.includes('made')]).toEqual([200, true])
  })

  test('with several headers of one name, and with odd ones, is an answer', async () => {
    const text = answerText('hello', null)
    upstream.script({
      head: `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-request-id: one\r\nx-request-id: two\r\nx-odd: \xe9\xff\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n`,
      framing: 'length',
      steps: [text],
    })
    const got = await gateway.chat()
    expect(got.text).toBe(text)
    expect(got.headers).not.toHaveProperty('set-cookie')
  })
})

describe('an answer that is not what its content type says', () => {
  const SSE_HEADERS = { 'content-type': 'text/event-stream' }
  const USAGE = { prompt_tokens: 10, completion_tokens: 5 }

  test.each([
    { what: 'a stream as JSON', headers: JSON_HEADERS, before: '' },
    { what: 'a stream as HTML', headers: { 'content-type': 'text/html' }, before: '' },
    { what: 'a stream behind blanks', headers: JSON_HEADERS, before: '\n\n' },
    { what: 'a stream behind a comment', headers: JSON_HEADERS, before: ': hello\n\n' },
  ])('$what, streamed or gathered as the client asks', async ({ headers, before }) => {
    for (const stream of [true, false]) {
      upstream.script({ headers, steps: [before, ...streamEvents(['Hel', 'lo'], USAGE)].filter(Boolean) })
      const got = await gateway.chat({ stream })
      expect(got.status, got.text).toBe(200)
      if (stream) expect(contentOf(got.text)).toBe('Hello')
      else expect(got.json).toMatchObject({ choices: [{ message: { content: 'Hello' } }] })
      const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
      expect(detail.cost).toBe('0.00006')
    }
  })

  test.each([
    { what: 'as a stream', steps: [answerText('Hello', USAGE)] },
    { what: 'as a stream, behind blanks', steps: ['\r\n\r\n', answerText('Hello', USAGE)] },
    { what: 'as a stream, byte by byte at first', steps: ['{', answerText('Hello', USAGE).slice(1)] },
  ])('a whole answer $what', async ({ steps }) => {
    for (const stream of [true, false]) {
      upstream.script({ headers: SSE_HEADERS, steps })
      const got = await gateway.chat({ stream })
      expect(got.status, got.text).toBe(200)
      if (stream) expect(contentOf(got.text)).toBe('Hello')
      else expect(got.json).toMatchObject({ choices: [{ message: { content: 'Hello' } }] })
    }
  })

  test('a stream whose first word is cut', async () => {
    const [first = '', ...rest] = streamEvents(['Hello'], USAGE)
    upstream.script({ headers: JSON_HEADERS, steps: ['d', first.slice(1), ...rest] })
    const got = await gateway.chat()
    expect(got.json).toMatchObject({ choices: [{ message: { content: 'Hello' } }] })
  })
})
