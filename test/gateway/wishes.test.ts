// What a request itself says of its routing, end to end: where it goes, what the upstream sees of it, what is recorded.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { answer, contentEvent, errorAnswer, ROLE_EVENT, streamEvents } from '../support/chat-bytes.ts'
import { ADMIN_TOKEN, type LocalGateway, type RequestDetail, startLocalGateway } from '../support/gateway.ts'
import { configOf, openAiCompatible, priceOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { type RawUpstream, type ScriptedAnswer, startRawUpstream } from '../support/raw-upstream.ts'

type Json = Record<string, unknown>

const USAGE = { prompt_tokens: 10, completion_tokens: 5 }
const FAILING = errorAnswer(500, { message: 'down', type: 'server_error' })
const NARROW = 'sk-narrow-0123456789'
const WALLED = 'sk-walled-0123456789'
const CAUTIOUS = 'sk-cautious-0123456789'

let upstream: RawUpstream
let gateway: LocalGateway
/** What a target does, by its model's name; the others answer at once. */
const behaviours = new Map<string, ScriptedAnswer>()

const ranked = (...targets: readonly string[]) =>
  targets.map((target, index) => ({ target, priority: index }))

function config(over: Json = {}): Json {
  const plain = openAiCompatible(upstream.baseUrl)
  return configOf({
    providers: {
      a: { ...plain, trains_on_data: false },
      b: plain,
      c: plain,
      // Drops `logit_bias`.
      d: { use: 'tgi', base_url: upstream.baseUrl, allow_private: true },
    },
    // `m` goes to the dearest first, so that whatever sends it elsewhere is seen.
    targets: ranked('a/x', 'b/x', 'c/x'),
    prices: {
      'a/*': priceOf('4', '16'),
      'b/*': priceOf('2', '8'),
      'c/*': priceOf('1', '4'),
      'd/*': priceOf('1', '1'),
    },
    models: {
      first: { policy: 'p', targets: ['a/first'] },
      second: { policy: 'p', targets: ['b/second'] },
      third: { policy: 'cheap', targets: ['c/third', 'c/spare'] },
      bound: { policy: 'bound', targets: ['a/x', 'b/x', 'c/x'] },
      paced: { policy: 'p', targets: ranked('a/slow', 'b/quick') },
      bare: { policy: 'p', targets: ranked('d/x', 'b/x') },
    },
    over: {
      fx: { USD: '7' },
      policies: {
        p: { sort: 'priority', outlier_detection: { consecutive_5xx: 100 } },
        cheap: { sort: 'price', outlier_detection: { consecutive_5xx: 100 } },
        bound: { sort: 'priority', max_price: { output: 10 } },
      },
      keys: [
        { name: 'tester', key: 'sk-test-0123456789' },
        { name: 'narrow', key: NARROW, models: ['m', 'first', 'second'] },
        { name: 'walled', key: WALLED, providers: ['a', 'c'] },
        { name: 'cautious', key: CAUTIOUS, data_policy: { trains_on_data: false } },
      ],
      ...over,
    },
  })
}

beforeAll(async () => {
  upstream = await startRawUpstream(
    (request) => behaviours.get(String(request.json['model'])) ?? answer('quick', USAGE)(request),
  )
  gateway = await startLocalGateway({ config: config() })
})

afterEach(() => behaviours.clear())

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

/** Asks, expects an answer, and says where it came from. */
async function served(body: Json, headers: Record<string, string> = {}): Promise<string> {
  const got = await gateway.chat(body, { headers })
  expect(got.status, got.text).toBe(200)
  return got.headers['x-sluice-target'] ?? ''
}

const reasonsOf = ({ decision }: RequestDetail): Record<string, string> =>
  Object.fromEntries(decision.excluded.map(({ target, reason }) => [target, reason]))

/** Targets of the attempts, in order. */
const wayOf = (detail: RequestDetail): readonly string[] => detail.attempts.map(({ target }) => target)

describe('models', () => {
  test('goes on to the second model when the first fails, and the record says so', async () => {
    behaviours.set('first', FAILING)
    const got = await gateway.chat({ model: 'first', models: ['second', 'third'] })
    expect(got.status, got.text).toBe(200)
    expect(got.headers).toMatchObject({ 'x-sluice-target': 'b/second', 'x-sluice-attempts': '2' })
    const detail = await gateway.detailOf(got)
    expect(detail.model).toBe('first')
    expect(detail.attempts.map(({ target, role, outcome }) => [target, role, outcome])).toEqual([
      ['a/first', 'first', 'server'],
      ['b/second', 'fallback', 'success'],
    ])
    expect(detail.decision.chosen).toBe('a/first')
    expect(detail.decision.later).toMatchObject([{ target: 'b/second', role: 'fallback' }])
  })

  test('keeps to the first model while it answers, however cheap the others are', async () => {
    expect(await served({ model: 'first', models: ['third'] })).toBe('a/first')
  })

  test('asks all targets of a model before the next one, each model once', async () => {
    behaviours.set('third', FAILING)
    behaviours.set('spare', FAILING)
    const got = await gateway.chat({ model: 'third', models: ['third', 'first'] })
    expect(got.headers['x-sluice-target']).toBe('a/first')
    expect(wayOf(await gateway.detailOf(got))).toEqual(['c/third', 'c/spare', 'a/first'])
  })

  test('may stand alone: the first of it is the request’s model, in the ledger too', async () => {
    const body = { model: undefined, models: ['second', 'third'], stream: true }
    const got = await gateway.chat(body)
    expect(got.headers['x-sluice-target']).toBe('b/second')
    expect((await gateway.detailOf(got)).model).toBe('second')
  })

  test('takes PROVIDER/MODEL as well', async () => {
    behaviours.set('first', FAILING)
    expect(await served({ model: 'first', models: ['c/other'] })).toBe('c/other')
  })

  test('holds each model to the bound of its own policy', async () => {
    behaviours.set('first', FAILING)
    const body = { model: 'first', models: ['bound'], provider: { order: ['a'] } }
    const got = await gateway.chat(body)
    expect(got.headers['x-sluice-target']).toBe('c/x')
    const { decision } = await gateway.detailOf(got)
    expect(decision.excluded).toEqual([
      { target: 'a/x', reason: 'max_price', detail: expect.stringContaining('policy "bound"') },
    ])
  })

  test('works on the legacy endpoint', async () => {
    behaviours.set('first', FAILING)
    const body = { model: 'first', models: ['second'], prompt: 'Say hello.' }
    const got = await ask(`${gateway.url}/v1/completions`, { key: 'sk-test-0123456789', body })
    expect(got.status, got.text).toBe(200)
    expect(got.headers['x-sluice-target']).toBe('b/second')
  })

  test('fails with what the last one says when all fail', async () => {
    behaviours.set('first', FAILING)
    behaviours.set('second', FAILING)
    const got = await gateway.chat({ model: 'first', models: ['second'] })
    expect([got.status, got.error.code]).toEqual([502, 'upstream_error'])
  })
})

describe('what the upstream sees', () => {
  test.each([false, true])(
    'is the request as it was written, without our fields (stream: %s)',
    async (stream) => {
      const text = `{ "models": ["second"],  "model":"first:floor", "messages":[{"role":"user","content":"Grüße"}],
      "provider" : {"ignore": ["c"], "max_price":{"completion":"9.5"}}, "stream": ${stream}, "temperature": 0.50 }`
      const got = await gateway.chat({}, { body: text })
      expect(got.status, got.text).toBe(200)
      const seen = upstream.requests.at(-1)
      expect(seen?.json).not.toHaveProperty('models')
      expect(seen?.json).not.toHaveProperty('provider')
      expect(seen?.json['model']).toBe('first')
      expect(seen?.body).toContain('"messages":[{"role":"user","content":"Grüße"}]')
      expect(seen?.body).toContain('"temperature": 0.50')
      expect(Object.keys(seen?.headers ?? {}).filter((name) => name.startsWith('x-sluice'))).toEqual([])
    },
  )
})

describe('suffixes', () => {
  test(':floor takes the cheapest, and the books have the model without it', async () => {
    const got = await gateway.chat({ model: 'm:floor' })
    expect(got.headers['x-sluice-target']).toBe('c/x')
    const detail = await gateway.detailOf(got)
    expect(detail.model).toBe('m')
    expect(detail.decision).toMatchObject({ policy: 'p', sort: 'price' })
    expect(upstream.requests.at(-1)?.json['model']).toBe('x')
    const { data } = (await gateway.admin('/usage?group_by=model')) as { data: { model: string }[] }
    expect(data.map(({ model }) => model).filter((name) => name.includes(':'))).toEqual([])
  })

  test(':floor and :nitro work behind PROVIDER/MODEL', async () => {
    const got = await gateway.chat({ model: 'b/x:nitro' })
    expect(got.headers['x-sluice-target']).toBe('b/x')
    expect((await gateway.detailOf(got)).decision.sort).toBe('throughput')
  })
})

describe('speeds that have been seen', () => {
  // 4 tokens in 400 ms are below what is believed of a target that nobody knows (40 a second); at once is above it.
  const pauses = {
    steps: [400, ...streamEvents(['a'], null).slice(0, 2), 400, ...streamEvents(['b'], USAGE).slice(2)],
  }

  beforeAll(async () => {
    for (let round = 0; round < 6; round++) {
      behaviours.set('slow', pauses)
      await gateway.chat({ model: 'a/slow', stream: true })
      await gateway.chat({ model: 'b/quick', stream: true })
    }
  })

  test(':nitro and provider.sort throughput take whom most tokens a second came from', async () => {
    expect(await served({ model: 'paced' })).toBe('a/slow')
    expect(await served({ model: 'paced:nitro' })).toBe('b/quick')
    expect(await served({ model: 'paced', provider: { sort: 'throughput' } })).toBe('b/quick')
  })

  test('provider.sort latency takes whom the first token came from first', async () => {
    expect(await served({ model: 'paced', provider: { sort: { by: 'latency' } } })).toBe('b/quick')
  })

  test.each([
    { preferred_max_latency: 0.25 },
    { preferred_max_latency: { p90: 0.3 } },
    { preferred_min_throughput: 35 },
    { preferred_min_throughput: { p50: 35, p90: 30 } },
  ])('provider %j puts whoever misses it last, and leaves nobody out', async (provider) => {
    const got = await gateway.chat({ model: 'paced', provider })
    expect(got.headers['x-sluice-target']).toBe('b/quick')
    const { decision } = await gateway.detailOf(got)
    expect(decision.candidates.map(({ target, reason }) => [target, reason])).toEqual([
      ['b/quick', 'priority'],
      ['a/slow', 'not_preferred'],
    ])
  })
})

describe('provider.order', () => {
  test('goes first in its order, and the others follow', async () => {
    behaviours.set('x', FAILING)
    const got = await gateway.chat({ model: 'm', provider: { order: ['c', 'b'] } })
    expect(got.status).toBe(502)
    const detail = await gateway.detailOf(got)
    expect(wayOf(detail)).toEqual(['c/x', 'b/x', 'a/x'])
    expect(detail.decision.candidates.slice(1).map(({ reason }) => reason)).toEqual(['order', 'order'])
  })

  test('takes PROVIDER/MODEL', async () => {
    expect(await served({ model: 'm', provider: { order: ['b/x'] } })).toBe('b/x')
  })

  test('with allow_fallbacks false is asked and nobody else', async () => {
    behaviours.set('x', FAILING)
    const provider = { order: ['b'], allow_fallbacks: false }
    const got = await gateway.chat({ model: 'm', provider })
    expect([got.status, got.error.code]).toEqual([502, 'upstream_error'])
    const detail = await gateway.detailOf(got)
    expect(new Set(wayOf(detail))).toEqual(new Set(['b/x']))
    expect(reasonsOf(detail)).toEqual({ 'a/x': 'order', 'c/x': 'order' })
  })
})

test('allow_fallbacks false without an order keeps to the first choice', async () => {
  behaviours.set('x', FAILING)
  const got = await gateway.chat({ model: 'm:floor', provider: { allow_fallbacks: false } })
  expect(got.status).toBe(502)
  expect(new Set(wayOf(await gateway.detailOf(got)))).toEqual(new Set(['c/x']))
})

describe('provider.only and provider.ignore', () => {
  test.each([
    { provider: { only: ['c'] }, target: 'c/x', reasons: { 'a/x': 'only', 'b/x': 'only' } },
    { provider: { only: ['b', 'c/x'] }, target: 'b/x', reasons: { 'a/x': 'only' } },
    { provider: { ignore: ['a'] }, target: 'b/x', reasons: { 'a/x': 'ignore' } },
    { provider: { ignore: ['a/x', 'b'] }, target: 'c/x', reasons: { 'a/x': 'ignore', 'b/x': 'ignore' } },
    { provider: { only: ['a', 'b'], ignore: ['a/y', 'c'] }, target: 'a/x', reasons: { 'c/x': 'ignore' } },
  ])('$provider goes to $target', async ({ provider, target, reasons }) => {
    // `a/y` is a target that only this request names.
    const names = provider.ignore?.includes('a/y') === true ? ['m', 'a/y'] : ['m']
    const got = await gateway.chat({ models: names, provider })
    expect(got.status, got.text).toBe(200)
    expect(got.headers['x-sluice-target']).toBe(target)
    expect(reasonsOf(await gateway.detailOf(got))).toMatchObject(reasons)
  })

  test('that leave no target are the request’s fault, and say which', async () => {
    const got = await gateway.chat({ model: 'second', provider: { only: ['a'] } })
    expect([got.status, got.error.code, got.error.param]).toEqual([400, 'invalid_request', 'provider'])
    expect(got.error.message).toContain('b/second')
  })
})

describe('provider.require_parameters', () => {
  const bias = { logit_bias: { '50256': -100 } }

  test('leaves out a target that would not get a field of the request', async () => {
    const dropped = await gateway.chat({ model: 'bare', ...bias })
    expect(dropped.headers).toMatchObject({ 'x-sluice-target': 'd/x', 'x-sluice-dropped': 'logit_bias' })
    const kept = await gateway.chat({ model: 'bare', ...bias, provider: { require_parameters: true } })
    expect(kept.headers['x-sluice-target']).toBe('b/x')
    expect(kept.headers).not.toHaveProperty('x-sluice-dropped')
    expect(upstream.requests.at(-1)?.json['logit_bias']).toEqual(bias.logit_bias)
    expect(reasonsOf(await gateway.detailOf(kept))).toEqual({ 'd/x': 'parameters' })
  })

  test('without such a target is a 400 that names it', async () => {
    const provider = { require_parameters: true, only: ['d'] }
    const got = await gateway.chat({ model: 'bare', ...bias, provider })
    expect([got.status, got.error.code]).toEqual([400, 'unsupported_parameter'])
    expect(got.error.message).toContain('logit_bias')
  })
})

describe('provider.data_collection', () => {
  test('deny goes only to targets that are known not to train on data', async () => {
    const got = await gateway.chat({ model: 'm:floor', provider: { data_collection: 'deny' } })
    expect(got.headers['x-sluice-target']).toBe('a/x')
    expect(reasonsOf(await gateway.detailOf(got))).toEqual({ 'b/x': 'data_policy', 'c/x': 'data_policy' })
  })

  test('allow lifts nothing that the key requires', async () => {
    const body = { model: 'm:floor', provider: { data_collection: 'allow' } }
    const got = await gateway.chat(body, { key: CAUTIOUS })
    expect(got.headers['x-sluice-target']).toBe('a/x')
  })
})

describe('provider.max_price', () => {
  test.each([
    { max_price: { completion: 1 }, first: 'c/x', out: ['a/x', 'b/x'] },
    { max_price: { completion: '1.15' }, first: 'b/x', out: ['a/x'] },
    { max_price: { prompt: 0.3 }, first: 'b/x', out: ['a/x'] },
    { max_price: { prompt: 1, completion: 3 }, first: 'a/x', out: [] },
  ])('$max_price is in US dollars, at the rate of the configuration', async ({ max_price, first, out }) => {
    const got = await gateway.chat({ model: 'm', provider: { max_price } })
    expect(got.headers['x-sluice-target']).toBe(first)
    expect(reasonsOf(await gateway.detailOf(got))).toEqual(
      Object.fromEntries(out.map((id) => [id, 'max_price'])),
    )
  })

  test('below every price is a 503 that says what each costs, and sends nothing', async () => {
    const before = upstream.requests.length
    const got = await gateway.chat({ model: 'm', provider: { max_price: { completion: 0.1 } } })
    expect([got.status, got.error.code]).toEqual([503, 'no_target'])
    expect(got.headers['x-should-retry']).toBe('false')
    expect(got.error.message).toMatch(/c\/x: input 1, output 4 per million; at most any, 0\.7/)
    expect(upstream.requests).toHaveLength(before)
  })

  test('lifts no bound of the policy', async () => {
    const got = await gateway.chat({ model: 'bound', provider: { max_price: { completion: 100 } } })
    expect(got.headers['x-sluice-target']).not.toBe('a/x')
    expect(reasonsOf(await gateway.detailOf(got))).toEqual({ 'a/x': 'max_price' })
  })

  test('without a rate for dollars is a 400', async () => {
    const own = await startLocalGateway({ config: config({ fx: {} }) })
    try {
      const got = await own.chat({ model: 'm', provider: { max_price: { prompt: 1 } } })
      expect([got.status, got.error.code, got.error.param]).toEqual([
        400,
        'invalid_request',
        'provider.max_price',
      ])
      expect(got.error.message).toContain('`fx`')
    } finally {
      await own.close()
    }
  })
})

describe('x-sluice-policy', () => {
  test('names the policy, and the answer says which state of it decided', async () => {
    const got = await gateway.chat({ model: 'm' }, { headers: { 'x-sluice-policy': 'cheap' } })
    expect(got.headers['x-sluice-target']).toBe('c/x')
    const { decision } = await gateway.detailOf(got)
    expect(got.headers['x-sluice-policy']).toBe(`cheap@${decision.policy_version}`)
    expect(decision).toMatchObject({ policy: 'cheap', sort: 'price' })
    const plain = await gateway.chat({ model: 'm', stream: true })
    expect(plain.headers['x-sluice-policy']).toMatch(/^p@\w+$/)
    expect(Object.keys(upstream.requests.at(-1)?.headers ?? {})).not.toContain('x-sluice-policy')
  })

  test('lifts no bound of the model’s own policy', async () => {
    const target = await served({ model: 'bound' }, { 'x-sluice-policy': 'p' })
    expect(target).not.toBe('a/x')
  })

  test('that names nothing is a 400 with the nearest name', async () => {
    const got = await gateway.chat({ model: 'm' }, { headers: { 'x-sluice-policy': 'chaep' } })
    expect([got.status, got.error.code]).toEqual([400, 'invalid_request'])
    expect(got.error.message).toContain('did you mean "cheap"?')
  })
})

describe('what contradicts itself or is not known', () => {
  const cases: { body: Json; param: string; says: string }[] = [
    { body: { model: 'm:floor', models: ['first:nitro'] }, param: 'models', says: 'exclude each other' },
    { body: { model: 'm:floor', provider: { sort: 'latency' } }, param: 'provider.sort', says: ':floor' },
    { body: { models: [] }, param: 'models', says: 'empty' },
    { body: { models: 'first' }, param: 'models', says: 'an array of strings' },
    { body: { models: Array.from({ length: 17 }, (_, index) => `m${index}`) }, param: 'models', says: '17' },
    { body: { provider: 'a' }, param: 'provider', says: 'an object' },
    { body: { provider: { orders: ['a'] } }, param: 'provider.orders', says: '`order`' },
    { body: { provider: { order: ['aa'] } }, param: 'provider.order', says: 'no provider "aa"' },
    { body: { provider: { only: ['a/z'] } }, param: 'provider.only', says: 'no target "a/z"' },
    { body: { provider: { only: [] } }, param: 'provider.only', says: 'no provider is left' },
    { body: { provider: { only: ['a'], ignore: ['a'] } }, param: 'provider.ignore', says: '"a"' },
    { body: { provider: { order: ['a'], ignore: ['a'] } }, param: 'provider.order', says: '"a"' },
    { body: { provider: { order: ['b'], only: ['a'] } }, param: 'provider.order', says: '"b"' },
    { body: { provider: { order: [], allow_fallbacks: false } }, param: 'provider.order', says: 'empty' },
    { body: { provider: { sort: 'cheapest' } }, param: 'provider.sort', says: '"price"' },
    { body: { provider: { allow_fallbacks: 'no' } }, param: 'provider.allow_fallbacks', says: 'boolean' },
    { body: { provider: { data_collection: true } }, param: 'provider.data_collection', says: '"deny"' },
    { body: { provider: { max_price: 3 } }, param: 'provider.max_price', says: '`prompt`' },
    {
      body: { provider: { max_price: { completion: -1 } } },
      param: 'provider.max_price.completion',
      says: 'from 0',
    },
    {
      body: { provider: { preferred_max_latency: { p95: 1 } } },
      param: 'provider.preferred_max_latency.p95',
      says: 'p90',
    },
    {
      body: { provider: { preferred_min_throughput: 0 } },
      param: 'provider.preferred_min_throughput',
      says: 'above 0',
    },
  ]

  test.each(cases)('$body is a 400 that names $param', async ({ body, param, says }) => {
    const before = upstream.requests.length
    const got = await gateway.chat({ model: 'm', ...body })
    expect(got.status, got.text).toBe(400)
    expect(got.error).toEqual({
      message: expect.stringContaining(says),
      type: 'invalid_request_error',
      code: 'invalid_request',
      param,
    })
    expect(got.headers['x-sluice-attempts']).toBe('0')
    expect(upstream.requests).toHaveLength(before)
  })
})

describe('what a key may', () => {
  test('holds for every model of the list, used or not', async () => {
    const got = await gateway.chat({ model: 'first', models: ['second', 'third'] }, { key: NARROW })
    expect([got.status, got.error.code]).toEqual([403, 'model_not_allowed'])
    expect(got.error.message).toContain('"third"')
    const allowed = await gateway.chat({ model: 'first', models: ['second'] }, { key: NARROW })
    expect(allowed.status).toBe(200)
  })

  test('holds for PROVIDER/MODEL and for suffixed names', async () => {
    for (const models of [['c/third'], ['third:floor']]) {
      const got = await gateway.chat({ model: 'first', models }, { key: NARROW })
      expect([got.status, got.error.code]).toEqual([403, 'model_not_allowed'])
    }
  })

  test('holds for providers that an order names', async () => {
    const body = { model: 'm', provider: { order: ['b', 'c'] } }
    const got = await gateway.chat(body, { key: WALLED })
    expect(got.headers['x-sluice-target']).toBe('c/x')
    expect(reasonsOf(await gateway.detailOf(got))).toEqual({ 'b/x': 'provider_not_allowed' })
  })

  test('and what the request leaves can have nothing in common: nothing is sent', async () => {
    const before = upstream.requests.length
    const got = await gateway.chat({ model: 'm', provider: { only: ['b'] } }, { key: WALLED })
    expect([got.status, got.error.param]).toEqual([400, 'provider'])
    expect(upstream.requests).toHaveLength(before)
  })
})

test('a stream that fails before its content goes on to the next model of the list', async () => {
  behaviours.set('first', { steps: [ROLE_EVENT], ending: 'reset' })
  const got = await gateway.chat({ model: 'first', models: ['second'], stream: true })
  expect(got.headers['x-sluice-target']).toBe('b/second')
  expect(got.text).toContain('quick')
})

test('a stream that fails after its content does not', async () => {
  behaviours.set('first', { steps: [ROLE_EVENT, contentEvent('begun')], ending: 'reset' })
  const got = await gateway.chat({ model: 'first', models: ['second'], stream: true })
  expect(got.headers['x-sluice-target']).toBe('a/first')
  expect(got.text).not.toContain('quick')
})

test('explain says the same of a body that is not sent', async () => {
  const before = upstream.requests.length
  const body = {
    model: 'm',
    messages: [{ role: 'user', content: 'Say hello.' }],
    provider: { ignore: ['a'], sort: 'price' },
  }
  const got = await ask(`${gateway.url}/admin/v1/explain`, { key: ADMIN_TOKEN, body })
  expect(got.status, got.text).toBe(200)
  expect(got.json).toMatchObject({ chosen: 'c/x', sort: 'price', refusal: null })
  expect(upstream.requests).toHaveLength(before)
})
