// Requests that cannot be served as they are: each gets the right status, the field at fault and a row of its own.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import { KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { ask, type ClientAnswer } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const BODY_BYTES_MAX = 200_000
const LIMITED_KEY = 'sk-limited-0123456789'
const USER = { role: 'user', content: 'x' }

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream(answer('served'))
  gateway = await startLocalGateway({
    config: configOf({
      providers: { up: upstream.baseUrl, keyless: { use: 'doubao', api_key: '' } },
      targets: [{ target: 'up/x', capabilities: ['stream', 'unstreamed'], context_window: 5_000 }],
      models: {
        assistant: { targets: ['up/x'] },
        'assistant-large': { targets: ['up/x'] },
        orphan: { targets: ['keyless/doubao-seed-1-6-flash-250828'] },
      },
      over: {
        server: { host: '127.0.0.1', port: 0, drain_ms: 600, body_bytes_max: BODY_BYTES_MAX },
        keys: [
          { name: 'tester', key: KEY },
          {
            name: 'limited',
            key: LIMITED_KEY,
            models: ['assistant', 'up/*'],
          },
        ],
      },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

const post = (body: unknown, path = '/v1/chat/completions', headers = {}): Promise<ClientAnswer> =>
  ask(gateway.url + path, { key: KEY, body, headers, method: 'POST' })

async function expectRow(got: ClientAnswer, row: Record<string, unknown>): Promise<void> {
  const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
  expect(detail).toMatchObject({
    outcome: 'refused',
    status: got.status,
    error: got.error.code,
    attempts: [],
    ...row,
  })
}

const requestCount = async (): Promise<number> =>
  ((await gateway.admin('/requests?limit=500'))['data'] as unknown[]).length

describe('a body', () => {
  test.each([
    ['is empty', ''],
    ['is no JSON', '{"model":"m",'],
    ['is a list', '[]'],
    ['is a word', '"model"'],
    ['is null', 'null'],
    ['has bytes behind its end', '{"model":"m","messages":[{"role":"user","content":"x"}]} trailing'],
    ['is no UTF-8', Buffer.from('{"model":"m\xed\xa0\x80"}', 'latin1')],
  ])('that %s is an invalid request', async (_what, body) => {
    const got = await post(body)
    expect(got.status).toBe(400)
    expect(got.error).toMatchObject({ type: 'invalid_request_error', code: 'invalid_request', param: null })
    expect(got.headers['x-should-retry']).toBe('false')
    expect(got.headers['x-sluice-attempts']).toBe('0')
    await expectRow(got, { key: 'tester', model: null })
  })

  test.each([129, 100_000])('nested %d deep is refused', async (depth) => {
    const half = Math.min(depth, BODY_BYTES_MAX / 2 - 200)
    const got = await post(
      `{"model":"m","messages":[${JSON.stringify(USER)}],"x":${'['.repeat(half)}${']'.repeat(half)}}`,
    )
    expect([got.status, got.error.code]).toEqual([400, 'invalid_request'])
    expect(got.error.message).toMatch(/deep/)
  })

  test('nested as deep as anybody needs is served', async () => {
    const got = await post(
      `{"model":"m","messages":[${JSON.stringify(USER)}],"x":${'['.repeat(100)}${']'.repeat(100)}}`,
    )
    expect(got.status).toBe(200)
  })

  test('with keys of the prototype is served and poisons nothing', async () => {
    const got = await post(
      `{"__proto__":{"model":"none","polluted":1},"constructor":{"prototype":{"polluted":1}},"model":"m","messages":[${JSON.stringify(USER)}]}`,
    )
    expect(got.status).toBe(200)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('above the bound is 413, declared or chunked, and says so to a client that still sends', async () => {
    for (const size of [BODY_BYTES_MAX + 1, BODY_BYTES_MAX * 40]) {
      const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(size) }] })
      for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
        const got = await post(body, '/v1/chat/completions', headers)
        expect([got.status, got.error.code]).toEqual([413, 'request_too_large'])
        expect(got.headers['connection']).toBe('close')
      }
    }
  })

  test('at the bound is served', async () => {
    const text = `{"model":"assistant","messages":[${JSON.stringify(USER)}]`
    const got = await post(`${text}${' '.repeat(BODY_BYTES_MAX - text.length - 1)}}`)
    expect(got.status).toBe(200)
  })

  test('that is compressed is refused with a word about it', async () => {
    for (const encoding of ['gzip', 'br', 'deflate', 'gzip, gzip']) {
      const got = await post('{}', '/v1/chat/completions', { 'content-encoding': encoding })
      expect(got.status).toBe(415)
      expect(got.error.message).toContain(encoding)
    }
    const same = await post({ model: 'm', messages: [USER] }, '/v1/chat/completions', {
      'content-encoding': 'identity',
    })
    expect(same.status).toBe(200)
  })
})

const WRONG: readonly (readonly [param: string, fields: Record<string, unknown>])[] = [
  ['model', { model: 7 }],
  ['model', { model: '' }],
  ['model', { model: null }],
  ['messages', { messages: undefined }],
  ['messages', { messages: 'hello' }],
  ['messages', { messages: [] }],
  ['messages[1]', { messages: [USER, 'x'] }],
  ['messages[0].role', { messages: [{ content: 'x' }] }],
  ['messages[0].content', { messages: [{ role: 'user', content: 5 }] }],
  ['messages[0].content[0]', { messages: [{ role: 'user', content: ['x'] }] }],
  ['messages[0].content[0].type', { messages: [{ role: 'user', content: [{ text: 'x' }] }] }],
  ['messages[0].content[0].text', { messages: [{ role: 'user', content: [{ type: 'text' }] }] }],
  ['messages[0].tool_calls', { messages: [{ role: 'assistant', tool_calls: {} }] }],
  ['messages[0].tool_calls[0]', { messages: [{ role: 'assistant', tool_calls: [null] }] }],
  ['messages[0].tool_calls[0].id', { messages: [{ role: 'assistant', tool_calls: [{ id: 5 }] }] }],
  [
    'messages[0].tool_calls[0].function',
    { messages: [{ role: 'assistant', tool_calls: [{ function: 'f' }] }] },
  ],
  [
    'messages[0].tool_calls[0].function.arguments',
    { messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] }] },
  ],
  ['messages[0].function_call.name', { messages: [{ role: 'assistant', function_call: { name: {} } }] }],
  ['messages[0].name', { messages: [{ role: 'user', content: 'x', name: {} }] }],
  ['functions[0]', { functions: [null] }],
  ['stream', { stream: 'yes' }],
  ['temperature', { temperature: '0.5' }],
  ['top_p', { top_p: [1] }],
  ['presence_penalty', { presence_penalty: true }],
  ['frequency_penalty', { frequency_penalty: 'x' }],
  ['max_tokens', { max_tokens: 0 }],
  ['max_tokens', { max_tokens: 1.5 }],
  ['max_completion_tokens', { max_completion_tokens: '10' }],
  ['n', { n: -1 }],
  ['stop', { stop: [1] }],
  ['stream_options', { stream_options: { include_usage: true } }],
  ['stream_options', { stream: true, stream_options: true }],
  ['stream_options.include_usage', { stream: true, stream_options: { include_usage: 1 } }],
  ['tools', { tools: {} }],
  ['tools[0]', { tools: ['weather'] }],
  ['tool_choice', { tool_choice: 1 }],
  ['response_format', { response_format: 'json' }],
]

describe('a field', () => {
  test.each(WRONG)('%s is named when it is wrong: %j', async (param, fields) => {
    const got = await post({ model: 'm', messages: [USER], ...fields })
    expect([got.status, got.error.code, got.error.param], got.text).toEqual([400, 'invalid_request', param])
    expect(got.error.message).toContain(`\`${param}\``)
  })

  test.each([
    ['prompt', {}],
    ['prompt', { prompt: 7 }],
    ['prompt', { prompt: [] }],
    ['n', { prompt: 'x', n: 'two' }],
  ])('%s of a legacy completion is named when it is wrong', async (param, fields) => {
    const got = await post({ model: 'm', ...fields }, '/v1/completions')
    expect([got.status, got.error.param], got.text).toEqual([400, param])
  })

  test.each(['messages', 'stream', 'anything'])('%s that stands twice is refused', async (name) => {
    const user = '[{"role":"user","content":"x"}]'
    const value = name === 'messages' ? user : 'true'
    const rest = name === 'messages' ? '' : `"messages":${user},`
    const body = `{"model":"m","${name}":${value},${rest}"${name}":${value}}`
    const got = await post(new TextEncoder().encode(body))
    expect([got.status, got.error.param], got.text).toEqual([400, name])
    expect(got.error.message).toContain('twice')
  })

  test('that is null is as if it were absent', async () => {
    const got = await post({
      model: 'm',
      messages: [USER],
      stream: null,
      temperature: null,
      max_tokens: null,
      stop: null,
      tools: null,
      tool_choice: null,
      response_format: null,
      stream_options: null,
    })
    expect(got.status, got.text).toBe(200)
  })
})

describe('a model', () => {
  test('that is not there is 404 with the nearest names', async () => {
    const got = await post({ model: 'asistant', messages: [USER] })
    expect(got.status).toBe(404)
    expect(got.error).toMatchObject({ code: 'model_not_found', param: 'model' })
    expect(got.error.message).toMatch(/did you mean "assistant"/)
    await expectRow(got, { key: 'tester', model: 'asistant' })
  })

  test('of a name without end is refused briefly', async () => {
    const got = await post({ model: 'z'.repeat(50_000), messages: [USER] })
    expect([got.status, got.error.param]).toEqual([400, 'model'])
    expect(got.text.length).toBeLessThan(1_000)
  })

  test('of a provider that is not there is 404', async () => {
    const got = await post({ model: 'nowhere/x', messages: [USER] })
    expect([got.status, got.error.code]).toEqual([404, 'model_not_found'])
  })

  test('that the key may not use is 403', async () => {
    const got = await ask(`${gateway.url}/v1/chat/completions`, {
      key: LIMITED_KEY,
      body: { model: 'm', messages: [USER] },
    })
    expect(got.status).toBe(403)
    expect(got.error).toMatchObject({ code: 'model_not_allowed', type: 'permission_error', param: 'model' })
    await expectRow(got, { key: 'limited', model: 'm' })
    const allowed = await ask(`${gateway.url}/v1/chat/completions`, {
      key: LIMITED_KEY,
      body: { model: 'up/anything', messages: [USER] },
    })
    expect(allowed.status).toBe(200)
  })

  test('whose targets have no key is 503 and not worth a retry', async () => {
    const got = await post({ model: 'orphan', messages: [USER] })
    expect([got.status, got.error.code]).toEqual([503, 'no_target'])
    expect(got.headers['x-should-retry']).toBe('false')
  })

  test('that no target can serve as asked names the field', async () => {
    const picture = [
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x.example/a.png' } }] },
    ]
    for (const [param, fields] of [
      ['tools', { tools: [{ type: 'function', function: { name: 'f' } }] }],
      ['messages[0].content', { messages: picture }],
    ] as const) {
      const got = await post({ model: 'm', messages: [USER], ...fields })
      expect([got.status, got.error.code, got.error.param]).toEqual([400, 'unsupported_parameter', param])
    }
  })

  test('whose windows are all too small says the largest', async () => {
    const got = await post({ model: 'm', messages: [{ role: 'user', content: 'word '.repeat(30_000) }] })
    expect([got.status, got.error.code]).toEqual([400, 'context_length_exceeded'])
    expect(got.error.message).toContain('5000')
  })
})

describe('a key', () => {
  test.each([
    ['is missing', {}],
    ['is unknown', { authorization: 'Bearer sk-nobody-0123456789' }],
    ['is empty', { authorization: 'Bearer ' }],
    ['is of another scheme', { authorization: 'Basic dXNlcjpwYXNz' }],
    [
      'is the digest of the right one',
      { authorization: 'Bearer e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' },
    ],
  ])('that %s is 401, leaves no row and is answered the same for any model', async (_what, headers) => {
    const before = await requestCount()
    for (const model of ['m', 'none']) {
      const got = await ask(`${gateway.url}/v1/chat/completions`, {
        body: { model, messages: [USER] },
        headers,
      })
      expect(got.status).toBe(401)
      expect(got.error).toMatchObject({ type: 'authentication_error', code: 'invalid_api_key' })
      expect(got.headers['x-request-id']).toMatch(/^req_/)
    }
    expect(await requestCount()).toBe(before)
  })
})

describe('a route', () => {
  test.each(['GET', 'PUT', 'DELETE', 'PATCH'])('of inference takes no %s', async (method) => {
    const got = await ask(`${gateway.url}/v1/chat/completions`, { method, key: KEY })
    expect(got.status).toBe(405)
    expect(got.headers['allow']).toBe('POST')
    expect(got.error.code).toBe('method_not_allowed')
  })

  test.each(['/', '/v1', '/v1/', '/v2/chat/completions', '/v1/chat/completions/x', '/v1/nothing'])(
    '%s is 404 in the shape of all errors',
    async (path) => {
      const got = await ask(gateway.url + path, { key: KEY, body: '{}' })
      expect(got.status).toBe(404)
      expect(got.error).toMatchObject({ type: 'invalid_request_error', code: 'not_found' })
    },
  )

  test.each([
    '//admin/v1/usage',
    '/%61dmin/v1/usage',
    '/ADMIN/v1/usage',
    '/v1/../admin/v1/usage',
    '/admin/v1/usage/',
    '/admin/v1/usage?x=/livez',
  ])('%s does not go round the admin token', async (path) => {
    const got = await ask(gateway.url + path, { key: KEY })
    expect([401, 404]).toContain(got.status)
  })
})
