// Which target a request goes to, and what the ledger says of why.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { answer, answerText, errorAnswer, JSON_HEADERS, streamEvents } from '../support/chat-bytes.ts'
import { eventually, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import type { ClientAnswer } from '../support/http-client.ts'
import {
  type RawUpstream,
  type ScriptedAnswer,
  type SeenRequest,
  startRawUpstream,
} from '../support/raw-upstream.ts'

const USAGE = { prompt_tokens: 10, completion_tokens: 5 }
const FAILING = errorAnswer(500, { message: 'down', type: 'server_error' })

let upstream: RawUpstream
let gateway: LocalGateway
/** What a model does, by its name; the others answer at once. */
const behaviours = new Map<string, (request: SeenRequest) => ScriptedAnswer | Promise<ScriptedAnswer>>()

const slow = (firstMs: number) => (): ScriptedAnswer => ({
  steps: [firstMs, ...streamEvents(['slow'], USAGE)],
})

const twoTiers = (short: string, long: string) => ({
  currency: 'CNY',
  unit: 'per_million_tokens',
  tiers: [
    { input_tokens_up_to: 1_000, input: short, output: short },
    { input: long, output: long },
  ],
})

beforeAll(async () => {
  upstream = await startRawUpstream((request) => {
    const behaviour = behaviours.get(String(request.json['model']))
    return behaviour === undefined ? answer('quick', USAGE)(request) : behaviour(request)
  })
  const outlier = { consecutive_5xx: 2, base_ejection_ms: 700, max_ejection_ms: 700 }
  gateway = await startLocalGateway({
    config: configOf({
      providers: { a: upstream.baseUrl, b: upstream.baseUrl, c: upstream.baseUrl },
      prices: {
        'a/short-cheap': twoTiers('1', '9'),
        'b/long-cheap': twoTiers('2', '3'),
        'c/dear': priceOf('50', '50'),
        'a/relaxed-slow': priceOf('1', '1'),
        'a/asleep': priceOf('1', '1'),
        'b/awake': priceOf('2', '2'),
        'a/cheap-slow': priceOf('1', '1'),
        'b/dear-quick': priceOf('20', '20'),
        'a/broken': priceOf('1', '1'),
        'b/spare': priceOf('2', '2'),
      },
      targets: ['a/x'],
      models: {
        priced: { policy: 'price', targets: ['c/dear', 'b/long-cheap', 'a/short-cheap', 'c/unpriced'] },
        unpriced: { policy: 'priority', targets: ['c/unpriced'] },
        fastest: { policy: 'latency', targets: ['a/asleep', 'b/awake'] },
        ordered: {
          policy: 'priority',
          targets: [
            { target: 'a/third', priority: 3 },
            { target: 'b/first', priority: -1 },
            { target: 'c/second', priority: 0 },
          ],
        },
        shared: {
          policy: 'weighted',
          targets: [
            { target: 'a/heavy', weight: 8 },
            { target: 'b/light', weight: 2 },
          ],
        },
        quick: { policy: 'slo', targets: ['a/cheap-slow', 'b/dear-quick'] },
        strict: { policy: 'strict', targets: ['a/strict-slow'] },
        relaxed: { policy: 'slo', targets: ['a/relaxed-slow'] },
        guarded: { policy: 'guarded', targets: ['a/broken', 'b/spare'] },
        capable: {
          policy: 'priority',
          targets: [
            { target: 'a/plain', capabilities: ['stream', 'unstreamed'], context_window: 200 },
            { target: 'b/able', priority: 1, capabilities: ['tools', 'vision'], context_window: 100_000 },
          ],
        },
        moderated: { policy: 'stopping', targets: ['a/prudish', 'b/frank'] },
        permitted: { policy: 'allowing', targets: ['a/prudish', 'c/not-named', 'b/frank'] },
        windows: {
          policy: 'priority',
          targets: [
            { target: 'a/small', priority: 0 },
            { target: 'b/large', priority: 1 },
          ],
        },
        lone: { policy: 'retrying', targets: ['a/flaky'] },
        narrow: { policy: 'narrow', targets: ['a/failing', { target: 'b/next', priority: 1 }] },
      },
      over: {
        policies: {
          p: {},
          price: { sort: 'price' },
          latency: { sort: 'latency' },
          priority: { sort: 'priority' },
          weighted: { sort: 'weighted' },
          slo: { sort: 'price', slo: { ttft_ms: 400 }, on_no_candidate: 'fastest' },
          strict: { sort: 'priority', slo: { ttft_ms: 400 }, on_no_candidate: 'reject' },
          guarded: { sort: 'price', retry: { attempts: 2 }, outlier_detection: outlier },
          stopping: { sort: 'priority', on_moderation: 'stop' },
          allowing: { sort: 'priority', on_moderation: { allow: ['b'] } },
          narrow: { sort: 'priority', retry: { on_status_codes: [429] } },
          retrying: { sort: 'priority', retry: { attempts: 3 }, outlier_detection: { consecutive_5xx: 100 } },
        },
      },
    }),
  })
})

afterEach(() => behaviours.clear())

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

async function streamTo(model: string): Promise<ClientAnswer> {
  const got = await gateway.chat({ model, stream: true })
  expect(got.status, got.text).toBe(200)
  return got
}

describe('sort: price', () => {
  test('takes the target that is cheapest at the size of this request', async () => {
    const short = await gateway.chat({ model: 'priced' })
    expect(short.headers['x-sluice-target']).toBe('a/short-cheap')
    const long = await gateway.chat({
      model: 'priced',
      messages: [{ role: 'user', content: 'word '.repeat(4_000) }],
    })
    expect(long.headers['x-sluice-target']).toBe('b/long-cheap')
  })

  test('records all candidates with their estimates, and why one is not there', async () => {
    const { decision } = await gateway.detailOf(await gateway.chat({ model: 'priced', max_tokens: 100 }))
    expect(decision).toMatchObject({ policy: 'price', sort: 'price', slo_relaxed: false })
    expect(decision.candidates.map((candidate) => [candidate.target, candidate.reason])).toEqual([
      ['a/short-cheap', 'cheapest'],
      ['b/long-cheap', 'dearer'],
      ['c/dear', 'dearer'],
    ])
    const estimates = decision.candidates.map((candidate) => Number(candidate.estimated_cost))
    expect(estimates).toEqual(estimates.toSorted((x, y) => x - y))
    expect(estimates[0]).toBeGreaterThan(0)
    expect(decision.excluded).toEqual([
      { target: 'c/unpriced', reason: 'unpriced', detail: expect.any(String) },
    ])
  })

  test('never counts an unknown price as nothing: the row of an unpriced target has no cost', async () => {
    const got = await gateway.chat({ model: 'unpriced' })
    expect(got.headers).not.toHaveProperty('x-sluice-cost')
    const detail = await gateway.detailOf(got)
    expect(detail.cost).toBeNull()
    expect(detail.attempts[0]).toMatchObject({ cost: null, unpriced: true })
  })
})

test('sort: latency tries each target once, then stays with the quickest and sees it change', async () => {
  behaviours.set('asleep', slow(1_000))
  const first = [await streamTo('fastest'), await streamTo('fastest')].map(
    (got) => got.headers['x-sluice-target'],
  )
  expect(first.toSorted()).toEqual(['a/asleep', 'b/awake'])
  for (let round = 0; round < 3; round += 1) {
    expect((await streamTo('fastest')).headers['x-sluice-target']).toBe('b/awake')
  }
  const { decision } = await gateway.detailOf(await streamTo('fastest'))
  expect(decision.candidates[0]).toMatchObject({ target: 'b/awake', reason: 'fastest' })
  expect(decision.candidates[1]).toMatchObject({ target: 'a/asleep', samples: 1 })
})

test('sort: priority goes from the lowest number up, and down the list when targets fail', async () => {
  expect((await gateway.chat({ model: 'ordered' })).headers['x-sluice-target']).toBe('b/first')
  behaviours.set('first', () => FAILING)
  behaviours.set('second', () => FAILING)
  const got = await gateway.chat({ model: 'ordered' })
  expect(got.headers).toMatchObject({ 'x-sluice-target': 'a/third', 'x-sluice-attempts': '3' })
  const { attempts } = await gateway.detailOf(got)
  expect(attempts.map((row) => [row.target, row.role, row.outcome])).toEqual([
    ['b/first', 'first', 'server'],
    ['c/second', 'fallback', 'server'],
    ['a/third', 'fallback', 'success'],
  ])
})

test('sort: weighted shares requests in proportion', async () => {
  const total = 400
  let heavy = 0
  for (let round = 0; round < total / 20; round += 1) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => gateway.chat({ model: 'shared' })))
    heavy += answers.filter((got) => got.headers['x-sluice-target'] === 'a/heavy').length
  }
  // 0.8 ± 6 standard deviations of a draw of 400.
  expect(heavy / total).toBeGreaterThan(0.68)
  expect(heavy / total).toBeLessThan(0.92)
})

describe('an SLO', () => {
  test('leaves out what has been seen to miss it', async () => {
    behaviours.set('cheap-slow', slow(1_000))
    const first = await streamTo('quick')
    expect(first.headers['x-sluice-target']).toBe('a/cheap-slow')
    await eventually(
      async () => (await streamTo('quick')).headers['x-sluice-target'] === 'b/dear-quick',
      'the quick one is taken',
    )
    const { decision } = await gateway.detailOf(await streamTo('quick'))
    expect(decision.candidates.map((candidate) => candidate.target)[0]).toBe('b/dear-quick')
    const named = [...decision.excluded, ...decision.candidates].find(
      (entry) => entry.target === 'a/cheap-slow',
    )
    expect(named?.reason).toMatch(/^slo_(ttft|missed)$/)
  })

  test('that nobody meets gives way to the fastest, and says so', async () => {
    behaviours.set('relaxed-slow', slow(1_000))
    await streamTo('relaxed')
    const { decision } = await gateway.detailOf(await streamTo('relaxed'))
    expect(decision.slo_relaxed).toBe(true)
    expect(decision.candidates[0]).toMatchObject({ target: 'a/relaxed-slow', reason: 'slo_missed' })
  })

  test('that nobody meets is a 503 where the policy says reject', async () => {
    behaviours.set('strict-slow', slow(1_000))
    // Until it is known well enough, it is asked.
    let got = await streamTo('strict')
    await eventually(async () => {
      got = await gateway.chat({ model: 'strict', stream: true })
      return got.status !== 200
    }, 'it is refused')
    expect([got.status, got.error.code]).toEqual([503, 'no_target'])
    const { decision } = await gateway.detailOf(got)
    expect(decision.excluded).toMatchObject([{ target: 'a/strict-slow', reason: 'slo' }])
  })
})

test('a breaker opens after failures in a row, lets one probe through when its time is up, and closes on success', async () => {
  behaviours.set('broken', () => FAILING)
  for (let round = 0; round < 2; round += 1) {
    expect((await gateway.chat({ model: 'guarded' })).headers).toMatchObject({ 'x-sluice-attempts': '2' })
  }
  const opened = await gateway.chat({ model: 'guarded' })
  expect(opened.headers).toMatchObject({ 'x-sluice-target': 'b/spare', 'x-sluice-attempts': '1' })
  const { decision } = await gateway.detailOf(opened)
  expect(decision.excluded).toMatchObject([{ target: 'a/broken', reason: 'breaker_open' }])
  expect(await gateway.metrics()).toContain('sluice_target_state{target="a/broken",state="open"} 1')

  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const probes: SeenRequest[] = []
  behaviours.set('broken', async (request) => {
    probes.push(request)
    await released
    return { headers: JSON_HEADERS, steps: [answerText('well again', USAGE)] }
  })
  const probing: Promise<ClientAnswer>[] = []
  await eventually(() => {
    if (probes.length === 0) probing.push(gateway.chat({ model: 'guarded' }))
    return probes.length > 0
  }, 'a probe reaches the target')
  const besides = await Promise.all(Array.from({ length: 5 }, () => gateway.chat({ model: 'guarded' })))
  expect(new Set(besides.map((got) => got.headers['x-sluice-target']))).toEqual(new Set(['b/spare']))
  expect(probes).toHaveLength(1)
  release()
  await Promise.all(probing)
  expect((await gateway.chat({ model: 'guarded' })).headers['x-sluice-target']).toBe('a/broken')
  expect(await gateway.metrics()).toContain('sluice_target_state{target="a/broken",state="closed"} 1')
})

describe('capabilities', () => {
  test('send a request to a target that has what it needs', async () => {
    const plain = await gateway.chat({ model: 'capable' })
    expect(plain.headers['x-sluice-target']).toBe('a/plain')
    const tools = await gateway.chat({
      model: 'capable',
      tools: [{ type: 'function', function: { name: 'f' } }],
    })
    expect(tools.headers['x-sluice-target']).toBe('b/able')
    const { decision } = await gateway.detailOf(tools)
    expect(decision.excluded).toEqual([{ target: 'a/plain', reason: 'capability', detail: 'tools (tools)' }])
    const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } }
    const seen = await gateway.chat({ model: 'capable', messages: [{ role: 'user', content: [picture] }] })
    expect(seen.headers['x-sluice-target']).toBe('b/able')
  })

  test('of the window send a long request to the target that holds it', async () => {
    const got = await gateway.chat({
      model: 'capable',
      messages: [{ role: 'user', content: 'word '.repeat(2_000) }],
    })
    expect(got.headers['x-sluice-target']).toBe('b/able')
    const { decision } = await gateway.detailOf(got)
    expect(decision.excluded).toMatchObject([{ target: 'a/plain', reason: 'context_length' }])
  })
})

describe('a refusal', () => {
  const filtered = errorAnswer(400, { message: 'flagged', code: 'content_filter' })

  test('by a content filter stops there, by default', async () => {
    behaviours.set('prudish', () => filtered)
    const got = await gateway.chat({ model: 'moderated' })
    expect([got.status, got.error.code]).toEqual([400, 'content_filter'])
    expect(got.headers['x-sluice-attempts']).toBe('1')
  })

  test('by a content filter goes on only to the providers that the policy names', async () => {
    behaviours.set('prudish', () => filtered)
    const got = await gateway.chat({ model: 'permitted' })
    expect(got.headers).toMatchObject({ 'x-sluice-target': 'b/frank', 'x-sluice-attempts': '2' })
  })

  test('for length goes on to the next target', async () => {
    behaviours.set('small', () =>
      errorAnswer(400, { message: 'maximum context length is 10', code: 'context_length_exceeded' }),
    )
    const got = await gateway.chat({ model: 'windows' })
    expect(got.headers['x-sluice-target']).toBe('b/large')
  })

  test('of the request itself goes to nobody else and hurts nobody', async () => {
    behaviours.set('first', () =>
      errorAnswer(400, { message: 'bad temperature', type: 'invalid_request_error' }),
    )
    await eventually(async () => {
      const got = await gateway.chat({ model: 'ordered' })
      return got.status === 400
    }, 'the first target is asked again')
    for (let round = 0; round < 5; round += 1) {
      const got = await gateway.chat({ model: 'ordered' })
      expect([got.status, got.headers['x-sluice-attempts']]).toEqual([400, '1'])
    }
  })
})

test('a failure with a status that the policy does not list is the answer', async () => {
  behaviours.set('failing', () => FAILING)
  const got = await gateway.chat({ model: 'narrow' })
  expect([got.status, got.headers['x-sluice-attempts']]).toEqual([502, '1'])
})

describe('a single target', () => {
  test('is tried again after a failure that may pass', async () => {
    let count = 0
    behaviours.set('flaky', (request) => (count++ === 0 ? FAILING : answer('second try', USAGE)(request)))
    const got = await gateway.chat({ model: 'lone' })
    expect(got.status).toBe(200)
    expect(got.headers['x-sluice-attempts']).toBe('2')
    expect((await gateway.detailOf(got)).attempts.map((row) => row.role)).toEqual(['first', 'retry'])
  })

  test('that limits our rate is waited for as it asks, where that is short', async () => {
    let count = 0
    const limited = errorAnswer(
      429,
      { message: 'slow down', code: 'rate_limit_exceeded' },
      { 'retry-after-ms': '300' },
    )
    behaviours.set('flaky', (request) => (count++ === 0 ? limited : answer('later', USAGE)(request)))
    const startedAt = upstream.requests.length
    const got = await gateway.chat({ model: 'lone' })
    expect(got.status).toBe(200)
    const [first, second] = upstream.requests.slice(startedAt)
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(290)
  })

  test('that asks for a long wait is given up at once, and the client is told how long', async () => {
    behaviours.set('flaky', () =>
      errorAnswer(429, { message: 'slow down', code: 'rate_limit_exceeded' }, { 'retry-after': '30' }),
    )
    const got = await gateway.chat({ model: 'lone' })
    expect([got.status, got.headers['retry-after'], got.headers['x-sluice-attempts']]).toEqual([
      429,
      '30',
      '1',
    ])
    const next = await gateway.chat({ model: 'lone' })
    expect([next.status, next.error.code, next.headers['x-sluice-attempts']]).toEqual([
      429,
      'upstream_rate_limited',
      '0',
    ])
    expect(Number(next.headers['retry-after'])).toBeGreaterThan(0)
    expect(Number(next.headers['retry-after'])).toBeLessThanOrEqual(30)
  })
})
