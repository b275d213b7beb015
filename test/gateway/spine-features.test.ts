// What clients ask of a chat beside text: tools, several choices, formats, pictures, roles, lengths, thinking; the
// legacy completions; the list of models; browsers.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readClientAnswer } from '../support/chat-answer.ts'
import { answer, DONE, FINISH_EVENT, JSON_HEADERS, ROLE_EVENT } from '../support/chat-bytes.ts'
import { KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, UPSTREAM_KEY } from '../support/gateway-config.ts'
import { ask, eventsOf, openStream } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const LIMITED_KEY = 'sk-limited-0123456789'
const MESSAGES = [{ role: 'user', content: 'x' }]

let upstream: RawUpstream
let gateway: LocalGateway

const folder = (use: string): Record<string, unknown> => ({
  use,
  base_url: upstream.baseUrl,
  api_key: UPSTREAM_KEY,
  allow_private: true,
})

beforeAll(async () => {
  upstream = await startRawUpstream()
  gateway = await startLocalGateway({
    config: configOf({
      providers: {
        up: upstream.baseUrl,
        doubao: folder('doubao'),
        qwen: folder('qwen'),
        ernie: folder('ernie'),
        vllm: folder('vllm'),
        tgi: folder('tgi'),
      },
      targets: ['up/x'],
      models: {
        'team/helper': { targets: ['up/y'] },
        local: { policy: 'p', targets: ['vllm/qwen3-8b'] },
        tools: { policy: 'p', targets: ['tgi/x'] },
      },
      over: {
        keys: [
          { name: 'tester', key: KEY },
          { name: 'limited', key: LIMITED_KEY, models: ['m', 'vllm/*'] },
        ],
      },
    }),
  })
})

beforeEach(() => upstream.script(answer('Hello.')))

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

const lastJson = (): Record<string, unknown> => upstream.requests.at(-1)?.json ?? {}

describe('a chat', () => {
  test('carries tools, choices, formats and pictures to a target that can do them, and changes nothing', async () => {
    const asked = {
      tools: [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }],
      tool_choice: { type: 'function', function: { name: 'weather' } },
      parallel_tool_calls: false,
      n: 2,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'a', schema: { type: 'object' }, strict: true },
      },
      logprobs: true,
      top_logprobs: 2,
      stop: ['END'],
      logit_bias: { '50256': -100 },
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'what is this?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'low' } },
          ],
        },
      ],
    }
    const got = await gateway.chat(asked)
    expect(got.status).toBe(200)
    expect(lastJson()).toMatchObject(asked)
    expect(got.headers).not.toHaveProperty('x-sluice-dropped')
  })

  test('that no target of its dialect knows is left out, and says so', async () => {
    upstream.script(answer('x'))
    const got = await gateway.chat({
      model: 'tools',
      tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
      parallel_tool_calls: false,
    })
    expect(got.status, got.text).toBe(200)
    expect(lastJson()).not.toHaveProperty('parallel_tool_calls')
    expect(got.headers['x-sluice-dropped']).toBe('parallel_tool_calls')
  })

  test('streams parallel tool calls with their indexes, ids and arguments', async () => {
    const delta = (calls: unknown): string =>
      ROLE_EVENT.replace(/"delta":\{[^}]*\}/, `"delta":${JSON.stringify({ tool_calls: calls })}`)
    upstream.script({
      steps: [
        ROLE_EVENT,
        delta([{ index: 0, id: 'call_a', type: 'function', function: { name: 'weather', arguments: '' } }]),
        delta([{ index: 0, function: { arguments: '{"city":' } }]),
        delta([{ index: 0, function: { arguments: '"Paris"}' } }]),
        delta([{ index: 1, id: 'call_b', type: 'function', function: { name: 'time', arguments: '{}' } }]),
        FINISH_EVENT.replace('"stop"', '"tool_calls"'),
        DONE,
      ],
    })
    const client = await gateway.chatStream()
    await client.ended
    const got = readClientAnswer(client.text(), true)
    expect(got.calls).toEqual([
      { id: 'call_a', name: 'weather', arguments: '{"city":"Paris"}' },
      { id: 'call_b', name: 'time', arguments: '{}' },
    ])
    expect(got.finish).toBe('tool_calls')
  })

  test('streams several choices, each with its own end', async () => {
    const second = (event: string): string => event.replace('"index":0', '"index":1')
    const events = [ROLE_EVENT, second(ROLE_EVENT), FINISH_EVENT, second(FINISH_EVENT)]
    const content = ROLE_EVENT.replace('"content":""', '"content":"A"')
    upstream.script({ steps: [...events.slice(0, 2), content, second(content), ...events.slice(2), DONE] })
    const client = await gateway.chatStream({ n: 2 })
    await client.ended
    expect(client.text()).toBe(
      [...events.slice(0, 2), content, second(content), ...events.slice(2), DONE].join(''),
    )
  })

  test('says `developer` as `system` and one length to a provider that knows only those', async () => {
    await gateway.chat({
      model: 'doubao/doubao-seed-1-6-flash-250828',
      messages: [{ role: 'developer', content: 'be brief' }, ...MESSAGES],
      max_completion_tokens: 7,
      max_tokens: 9,
    })
    const sent = lastJson()
    expect((sent['messages'] as { role: string }[]).map((message) => message.role)).toEqual([
      'system',
      'user',
    ])
    expect(
      [sent['max_tokens'], sent['max_completion_tokens']].filter((value) => value !== undefined),
    ).toEqual([7])
  })

  const THINKING = [
    ['doubao/doubao-seed-1-6-flash-250828', { reasoning_effort: 'none' }, { thinking: { type: 'disabled' } }],
    ['doubao/doubao-seed-1-6-flash-250828', { enable_thinking: true }, { thinking: { type: 'enabled' } }],
    ['qwen/qwen3-32b', { thinking: { type: 'disabled' } }, { enable_thinking: false }],
    [
      'qwen/qwen3-32b',
      { thinking: { type: 'enabled', budget_tokens: 512 } },
      { enable_thinking: true, thinking_budget: 512 },
    ],
    ['vllm/qwen3-8b', { enable_thinking: false }, { chat_template_kwargs: { enable_thinking: false } }],
    ['up/x', { thinking: { type: 'enabled' }, reasoning_effort: 'low' }, { reasoning_effort: 'low' }],
    // The most specific one sent wins.
    [
      'doubao/doubao-seed-1-6-flash-250828',
      { thinking: { type: 'disabled' }, reasoning_effort: 'high' },
      { thinking: { type: 'disabled' } },
    ],
  ] as const

  test.each(THINKING)('to %s says %j in its own words', async (model, said, expected) => {
    const client = await gateway.chatStream({ model, ...said })
    await client.ended
    const sent = lastJson()
    const fields = [
      'thinking',
      'enable_thinking',
      'thinking_budget',
      'chat_template_kwargs',
      'reasoning_effort',
    ]
    const words = Object.fromEntries(
      fields.filter((field) => field in sent).map((field) => [field, sent[field]]),
    )
    expect(words).toEqual(expected)
  })
})

describe('legacy completions', () => {
  const post = (body: Record<string, unknown>) =>
    ask(`${gateway.url}/v1/completions`, { key: KEY, body: { model: 'm', prompt: 'Once upon', ...body } })

  test('are asked as a chat where the provider has no such endpoint, and answered in their own shape', async () => {
    const got = await post({ max_tokens: 5 })
    expect(upstream.requests.at(-1)?.path).toBe('/v1/chat/completions')
    expect(lastJson()).toMatchObject({
      model: 'x',
      messages: [{ role: 'user', content: 'Once upon' }],
      max_tokens: 5,
    })
    expect(lastJson()).not.toHaveProperty('prompt')
    expect(got.json).toMatchObject({
      object: 'text_completion',
      choices: [{ index: 0, text: 'Hello.', finish_reason: 'stop' }],
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    })
  })

  test('are streamed in their own shape', async () => {
    const client = await openStream(`${gateway.url}/completions`, {
      key: KEY,
      body: { model: 'm', prompt: ['Once upon'], stream: true, stream_options: { include_usage: true } },
    })
    await client.ended
    const events = eventsOf(client.text())
    const chunks = events
      .slice(0, -1)
      .map((data) => JSON.parse(data) as { object: string; choices: { text: string }[] })
    expect(new Set(chunks.map((chunk) => chunk.object))).toEqual(new Set(['text_completion']))
    expect(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join('')).toBe('Hello.')
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 10, completion_tokens: 5 } })
    expect(events.at(-1)).toBe('[DONE]')
  })

  test('pass as they came to a provider that has the endpoint', async () => {
    const body = '{"prompt":[1, 2,  3],"model":"local","echo":true}'
    const text =
      '{"id":"cmpl-1", "object":"text_completion","model":"qwen3-8b","choices":[{"index":0,"text":" a time","finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
    upstream.script({ headers: JSON_HEADERS, steps: [text] })
    const got = await ask(`${gateway.url}/v1/completions`, { key: KEY, body })
    expect(upstream.requests.at(-1)).toMatchObject({
      path: '/v1/completions',
      body: body.replace('local', 'qwen3-8b'),
    })
    expect(got.text).toBe(text)
    const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
    expect(detail).toMatchObject({ api: 'completions' })
    expect(detail.attempts[0]?.usage).toMatchObject({ input_tokens: 3, output_tokens: 2 })
  })

  test('that cannot be said as a chat are refused where no target has the endpoint', async () => {
    const got = await post({ prompt: 'x', suffix: 'y' })
    expect(got.status).toBe(400)
    expect(got.error).toMatchObject({ code: 'unsupported_parameter', param: 'suffix' })
  })
})

describe('the list of models', () => {
  const list = async (key: string, path = '/v1/models') => ask(`${gateway.url}${path}`, { key })
  const ids = (json: Record<string, unknown>) => (json['data'] as { id: string }[]).map((model) => model.id)

  test('has the models and targets of the configuration', async () => {
    const got = await list(KEY)
    expect(got.json['object']).toBe('list')
    expect(ids(got.json)).toEqual(
      expect.arrayContaining(['m', 'team/helper', 'local', 'up/x', 'vllm/qwen3-8b']),
    )
    expect((got.json['data'] as unknown[])[0]).toEqual({
      id: 'm',
      object: 'model',
      created: expect.any(Number),
      owned_by: expect.any(String),
    })
    expect(ids((await list(KEY, '/models')).json)).toEqual(ids(got.json))
  })

  test('holds what the key may use and no more', async () => {
    expect(ids((await list(LIMITED_KEY)).json).toSorted()).toEqual(['m', 'vllm/qwen3-8b'])
  })

  test.each(['team/helper', 'team%2Fhelper', 'm'])('tells of one model by the id %s', async (id) => {
    const got = await list(KEY, `/v1/models/${id}`)
    expect(got.status).toBe(200)
    expect(got.json['id']).toBe(decodeURIComponent(id))
  })

  test.each(['nothing', 'team/helper'])('does not tell a limited key of %s', async (id) => {
    const got = await list(LIMITED_KEY, `/v1/models/${id}`)
    expect(got.status).toBe(404)
    expect(got.error.code).toBe('model_not_found')
  })

  test('is not shown without a key', async () => {
    const got = await ask(`${gateway.url}/v1/models`)
    expect(got.status).toBe(401)
    expect(got.error.code).toBe('invalid_api_key')
  })
})

describe('a browser', () => {
  const ORIGIN = { origin: 'https://app.example' }

  test.each([
    '/v1/chat/completions',
    '/chat/completions',
    '/v1/completions',
    '/v1/models',
    '/v1/models/team/helper',
  ])('may ask %s across origins with the headers that SDKs send', async (path) => {
    const asked = 'authorization,content-type,x-stainless-lang,x-stainless-retry-count'
    const got = await ask(gateway.url + path, {
      method: 'OPTIONS',
      headers: {
        ...ORIGIN,
        'access-control-request-method': 'POST',
        'access-control-request-headers': asked,
      },
    })
    expect(got.status).toBe(204)
    expect(got.headers['access-control-allow-origin']).toBe('*')
    expect(got.headers['access-control-allow-headers']).toBe(asked)
    expect(got.headers['access-control-allow-methods']).toContain('POST')
  })

  test('reads our headers on answers, streams and errors', async () => {
    const whole = await gateway.chat({}, { headers: ORIGIN })
    const stream = await gateway.chatStream({}, { headers: ORIGIN })
    await stream.ended
    const refused = await gateway.chat({ model: 'none' }, { headers: ORIGIN })
    const models = await ask(`${gateway.url}/v1/models`, { key: KEY, headers: ORIGIN })
    for (const got of [whole, stream, refused, models]) {
      expect(got.headers['access-control-allow-origin'], String(got.status)).toBe('*')
      expect(got.headers['access-control-expose-headers']).toContain('x-request-id')
    }
  })

  test('may not ask the admin API across origins', async () => {
    const got = await ask(`${gateway.url}/admin/v1/usage`, { method: 'OPTIONS', headers: ORIGIN })
    expect(got.headers).not.toHaveProperty('access-control-allow-origin', 'https://app.example')
    expect(got.status).not.toBe(204)
  })
})
