// One request's way where both sides speak OpenAI chat: what reaches the upstream and what reaches the client, to
// the byte.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  answer,
  answerText,
  contentEvent,
  DONE,
  FINISH_EVENT,
  JSON_HEADERS,
  ROLE_EVENT,
  streamEvents,
  usageEvent,
} from '../support/chat-bytes.ts'
import { KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf, UPSTREAM_KEY } from '../support/gateway-config.ts'
import { ask, eventsOf } from '../support/http-client.ts'
import { type RawUpstream, type ScriptedAnswer, startRawUpstream } from '../support/raw-upstream.ts'

const USAGE = { prompt_tokens: 1000, completion_tokens: 500 }
/** 1000 × 2 / 10⁶ + 500 × 8 / 10⁶ */
const COST = '0.006'
const ASKED = { stream_options: { include_usage: true } }

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream()
  gateway = await startLocalGateway({
    config: configOf({
      providers: { up: upstream.baseUrl },
      prices: { 'up/*': priceOf('2', '8') },
      models: { plain: { targets: ['up/vendor/model-with/slashes'] } },
    }),
  })
})

beforeEach(() => upstream.script(answer('Hello.', USAGE)))

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

const stream = (events: readonly string[], more: Partial<ScriptedAnswer> = {}): void =>
  upstream.script({ steps: events, ...more })

const lastRequest = () => {
  const request = upstream.requests.at(-1)
  if (request === undefined) throw new Error('the upstream was not asked')
  return request
}

async function streamed(body: Record<string, unknown> = {}): Promise<string> {
  const client = await gateway.chatStream(body)
  await client.ended
  return client.text()
}

describe('an unstreamed answer', () => {
  test('reaches the client in the bytes of the upstream', async () => {
    const got = await gateway.chat()
    expect(got.status).toBe(200)
    expect(got.text).toBe(answerText('Hello.', USAGE))
    expect(got.headers['content-type']).toBe('application/json')
    expect(got.headers['content-length']).toBe(String(Buffer.byteLength(got.text)))
  })

  test('carries id, target, attempts and cost in its headers, and the ledger has the same', async () => {
    upstream.script({
      headers: { ...JSON_HEADERS, 'x-request-id': 'up-77' },
      steps: [answerText('Hi', USAGE)],
    })
    const got = await gateway.chat()
    expect(got.headers).toMatchObject({
      'x-sluice-target': 'up/x',
      'x-sluice-attempts': '1',
      'x-sluice-cost': `${COST} CNY`,
    })
    expect(got.headers['x-request-id']).toMatch(/^req_/)
    expect(got.headers).not.toHaveProperty('x-sluice-dropped')
    const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
    expect(detail).toMatchObject({ status: 200, outcome: 'success', model: 'm', key: 'tester', cost: COST })
    expect(detail.attempts).toHaveLength(1)
    expect(detail.attempts[0]).toMatchObject({
      target: 'up/x',
      outcome: 'success',
      upstream_request_id: 'up-77',
      response_model: 'x-2026',
      usage: { input_tokens: 1000, output_tokens: 500, source: 'provider' },
      cost: {
        amount: COST,
        currency: 'CNY',
        lines: [
          { item: 'input', quantity: 1000, price: '2', amount: '0.002' },
          { item: 'output', quantity: 500, price: '8', amount: '0.004' },
        ],
      },
    })
  })

  test('of an upstream that says nothing of usage is an estimate, marked as one', async () => {
    upstream.script(answer('four words and more of them', null))
    const got = await gateway.chat()
    const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
    expect(detail.attempts[0]?.usage).toMatchObject({ source: 'estimated' })
    expect(Number(detail.attempts[0]?.usage['output_tokens'])).toBeGreaterThan(0)
    expect(detail.cost).not.toBe('0')
  })
})

describe('a stream', () => {
  test('passes byte for byte where the client asked for no usage and the upstream sent none', async () => {
    const events = [': keep-alive\n\n', ...streamEvents(['Hel', 'lo', ' wörld 你好'], null)]
    stream(events)
    expect(await streamed()).toBe(events.join(''))
  })

  test('passes byte for byte through every cut of its chunks', async () => {
    const bytes = Buffer.from(streamEvents(['你', '好', ' and more'], null).join(''))
    upstream.script({
      steps: Array.from({ length: Math.ceil(bytes.length / 7) }, (_, index) =>
        bytes.subarray(index * 7, index * 7 + 7),
      ),
    })
    expect(await streamed()).toBe(bytes.toString('utf8'))
  })

  test('says its target before its end and has the headers of an event stream', async () => {
    const client = await gateway.chatStream()
    expect(client.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-sluice-target': 'up/x',
      'x-sluice-attempts': '1',
    })
    await client.ended
  })

  test('reaches the client event by event, not when it is over', async () => {
    const release = Promise.withResolvers<void>()
    upstream.script({
      steps: [
        ROLE_EVENT,
        contentEvent('early'),
        () => release.promise,
        contentEvent('late'),
        FINISH_EVENT,
        DONE,
      ],
    })
    const client = await gateway.chatStream()
    await client.until('early')
    expect(client.text()).not.toContain('late')
    release.resolve()
    await client.ended
    expect(client.text()).toContain('late')
  })

  test('loses the usage chunk that the client did not ask for', async () => {
    stream(streamEvents(['Hi'], USAGE))
    expect(await streamed()).toBe(streamEvents(['Hi'], null).join(''))
  })

  test('loses usage that stands in a chunk with choices, and keeps the chunk', async () => {
    const finish = FINISH_EVENT.replace(
      '"choices"',
      '"usage":{"prompt_tokens":3,"completion_tokens":4},"choices"',
    )
    stream([ROLE_EVENT, contentEvent('Hi'), finish, DONE])
    expect(await streamed()).toBe([ROLE_EVENT, contentEvent('Hi'), FINISH_EVENT, DONE].join(''))
  })

  test('keeps the usage that the client asked for, with its cost', async () => {
    stream(streamEvents(['Hi'], USAGE))
    const events = eventsOf(await streamed(ASKED))
    expect(events.slice(0, 3).map((data) => `data: ${data}\n\n`)).toEqual(
      streamEvents(['Hi'], null).slice(0, 3),
    )
    expect(JSON.parse(events[3] ?? '')).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500, cost: COST },
    })
    expect(events.slice(4)).toEqual(['[DONE]'])
  })

  test('is billed from its own usage whether or not the client saw it', async () => {
    stream(streamEvents(['Hi'], USAGE))
    const client = await gateway.chatStream()
    await client.ended
    const detail = await gateway.detail(client.headers['x-request-id'] ?? '')
    expect(detail).toMatchObject({ cost: COST, stream: true })
    expect(detail.attempts[0]?.usage).toMatchObject({
      input_tokens: 1000,
      output_tokens: 500,
      source: 'provider',
    })
  })

  test.each([
    ['is whole', streamEvents(['Hi'], null)],
    ['lacks its [DONE]', [ROLE_EVENT, contentEvent('Hi'), FINISH_EVENT]],
    ['says [DONE] twice and goes on', [...streamEvents(['Hi'], null), DONE, contentEvent('after'), DONE]],
    ['has [DONE] without a space', [ROLE_EVENT, contentEvent('Hi'), FINISH_EVENT, 'data:[DONE]\n\n']],
    ['ends without its last blank line', [ROLE_EVENT, contentEvent('Hi'), FINISH_EVENT.trimEnd()]],
  ])('that %s ends with exactly one [DONE] and nothing after it', async (_what, events) => {
    stream(events)
    const text = await streamed()
    expect(eventsOf(text).filter((data) => data === '[DONE]')).toHaveLength(1)
    expect(text.endsWith(DONE)).toBe(true)
    expect(text).not.toContain('after')
    expect(text).toContain('"finish_reason":"stop"')
  })

  test('with CRLF and without spaces behind the colon passes as it came', async () => {
    const events = [ROLE_EVENT, contentEvent('Hi'), FINISH_EVENT].map((event) =>
      event.replace('data: ', 'data:').replaceAll('\n', '\r\n'),
    )
    stream([...events, 'data:[DONE]\r\n\r\n'])
    expect((await streamed()).replace(DONE, '')).toBe(events.join(''))
  })

  test('for an upstream that ignored `stream` is made of its whole answer', async () => {
    upstream.script({ headers: JSON_HEADERS, steps: [answerText('all at once', USAGE)] })
    const events = eventsOf(await streamed(ASKED))
    const chunks = events.slice(0, -1).map((data) => JSON.parse(data) as Record<string, unknown>)
    expect(chunks[0]).toMatchObject({
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta: { role: 'assistant' } }],
    })
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 1000, cost: COST } })
    expect(events.join('')).toContain('all at once')
    expect(events.at(-1)).toBe('[DONE]')
  })

  test('with usage only in its last content chunk is billed and shown', async () => {
    const usage = usageEvent(USAGE)
    const last = contentEvent('Hi').replace(
      '"choices"',
      `"usage":${/"usage":(\{.*?\})/.exec(usage)?.[1]},"choices"`,
    )
    stream([ROLE_EVENT, last, FINISH_EVENT, DONE])
    const client = await gateway.chatStream(ASKED)
    await client.ended
    expect(client.text()).toContain(`"cost":"${COST}"`)
    const detail = await gateway.detail(client.headers['x-request-id'] ?? '')
    expect(detail.cost).toBe(COST)
  })
})

describe('the request', () => {
  test('is forwarded byte for byte but for its model', async () => {
    const body = `{ "model" : "m",\n "messages":[{"role":"user","content":"caf\\u00e9 \\ud83d\\ude00","x":1.0}],  "temperature": 0.10,
      "unknown_field":{"model":"m","nested":[1e3, "\\/"]}, "seed":12345678901234567890 }`
    const got = await gateway.chat({}, { body })
    expect(got.status).toBe(200)
    expect(lastRequest().body).toBe(body.replace('"model" : "m"', '"model" : "x"'))
  })

  test('asks for usage on every stream, whatever the client asked', async () => {
    await streamed({ stream_options: { include_obfuscation: false } })
    expect(lastRequest().json['stream_options']).toEqual({ include_obfuscation: false, include_usage: true })
    const body =
      '{"stream":true,"model":"m","stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}'
    await gateway.chat({}, { body })
    expect(lastRequest().body).toBe(body.replace('"m"', '"x"'))
  })

  test('goes with the provider key alone and none of the client headers', async () => {
    await gateway.chat(
      {},
      {
        headers: {
          cookie: 'session=canary',
          'x-forwarded-for': '203.0.113.9',
          'openai-organization': 'org-canary',
          'accept-encoding': 'gzip, br',
        },
      },
    )
    const { headers } = lastRequest()
    expect(headers['authorization']).toBe(`Bearer ${UPSTREAM_KEY}`)
    expect(JSON.stringify(headers)).not.toContain(KEY)
    expect(JSON.stringify(headers)).not.toContain('canary"')
    expect(headers).not.toHaveProperty('x-forwarded-for')
    expect(headers['accept-encoding'] ?? 'identity').toBe('identity')
    expect(headers['host']).toBe(`127.0.0.1:${upstream.port}`)
  })

  test('loses our own fields, which are heeded here', async () => {
    const got = await gateway.chat({ models: ['m'], provider: { order: ['up'] } })
    expect(got.status).toBe(200)
    expect(lastRequest().json).not.toHaveProperty('models')
    expect(lastRequest().json).not.toHaveProperty('provider')
    expect(got.headers).not.toHaveProperty('x-sluice-dropped')
  })

  test('names the target model whole, slashes and all', async () => {
    const got = await gateway.chat({ model: 'plain' })
    expect(lastRequest().json['model']).toBe('vendor/model-with/slashes')
    expect(got.headers['x-sluice-target']).toBe('up/vendor/model-with/slashes')
    const direct = await gateway.chat({ model: 'up/some/other-model' })
    expect(direct.status).toBe(200)
    expect(lastRequest().json['model']).toBe('some/other-model')
  })

  test.each(['模型', '😀', '\ud83d', 'line\nbreak', 'tab\t', '"quoted"', '\u0000', 'é'.repeat(300)])(
    'may name any model of a provider, and the answer says which in a header: %j',
    async (model) => {
      for (const streaming of [false, true]) {
        const got = await gateway.chat({ model: `up/${model}`, stream: streaming })
        expect(got.status).toBe(200)
        expect(got.headers['x-sluice-target']).toMatch(/^up\/[\x20-\x7e]+$/)
        expect(lastRequest().json['model']).toBe(model)
      }
      upstream.script({ status: 500, framing: 'length' })
      const failed = await gateway.chat({ model: `up/${model}` })
      expect(failed.status).toBe(502)
    },
  )

  test('is taken without /v1 as well', async () => {
    const body = { model: 'm', messages: [{ role: 'user', content: 'x' }] }
    const got = await ask(`${gateway.url}/chat/completions`, { key: KEY, body })
    expect(got.status).toBe(200)
    expect(lastRequest().path).toBe('/v1/chat/completions')
  })

  test('takes the bearer word in any case', async () => {
    const got = await gateway.chat({}, { headers: { authorization: `bEaReR ${KEY}` } })
    expect(got.status).toBe(200)
  })
})
