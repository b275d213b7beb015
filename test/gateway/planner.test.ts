// The planner behind real HTTP: what it learns of targets, what its bounds leave out, and what it says of each decision.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { answer, errorAnswer, streamEvents } from '../support/chat-bytes.ts'
import { eventually, type LocalGateway, type RequestDetail, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import type { ClientAnswer } from '../support/http-client.ts'
import {
  type RawUpstream,
  type ScriptedAnswer,
  type SeenRequest,
  startRawUpstream,
} from '../support/raw-upstream.ts'

type Json = Record<string, unknown>
type Behaviour = (request: SeenRequest) => ScriptedAnswer

const USAGE = { prompt_tokens: 10, completion_tokens: 5 }
/** Bars lie far from both, so that a busy machine does not move an answer over one. */
const QUICK_MS = 150
const SLOW_MS = 2_000
const BAR_MS = 900
const FAILING = errorAnswer(500, { message: 'down', type: 'server_error' })
const LONG = [{ role: 'user', content: 'word '.repeat(1_000) }]

let upstream: RawUpstream
let gateway: LocalGateway
/** What a target does, by its model's name; the others answer at once. */
const behaviours = new Map<string, Behaviour>()

const afterMs =
  (firstMs: number): Behaviour =>
  () => ({ steps: [firstMs, ...streamEvents(['hello'], USAGE)] })

const twoTiers = (short: string, long: string) => ({
  currency: 'CNY',
  unit: 'per_million_tokens',
  tiers: [
    { input_tokens_up_to: 500, input: short, output: short },
    { input: long, output: long },
  ],
})

function config(prices: Json = {}): Json {
  const slo = { ttft_ms: BAR_MS, value: 0.01 }
  return configOf({
    providers: { a: upstream.baseUrl, b: upstream.baseUrl },
    prices: {
      'a/*': priceOf('1', '1'),
      'b/*': priceOf('3', '3'),
      // Dear enough for the difference to count beside what an answer in time is worth.
      'a/moody': priceOf('100', '100'),
      'b/steady': priceOf('300', '300'),
      'a/tiered': twoTiers('1', '9'),
      'a/lone': twoTiers('1', '9'),
      'a/free': {
        ...priceOf('10', '10'),
        balances: [{ id: 'new', kind: 'free_quota', unit: 'tokens', amount: 2_500 }],
      },
      ...prices,
    },
    targets: ['a/x'],
    models: {
      leaving: { policy: 'value', targets: ['a/moody', 'b/steady'] },
      plain: { targets: ['a/plain', 'b/plain'] },
      tiered: { policy: 'bounded', targets: ['a/tiered', 'b/flat'] },
      lone: { policy: 'bounded', targets: ['a/lone'] },
      strict: { policy: 'strict', targets: ['a/sluggish'] },
      sticky: { policy: 'sticky', targets: ['a/home', 'b/away'] },
      loose: { policy: 'price', targets: ['a/home', 'b/away'] },
      priced: { policy: 'price', targets: ['a/one', 'b/two'] },
      quota: { policy: 'price', targets: ['a/free', 'b/paid'] },
    },
    over: {
      policies: {
        p: {},
        value: { sort: 'value', slo, explore: { max_share: 0.5 } },
        strict: { sort: 'value', slo: { ...slo, ttft_ms: 400 }, on_no_candidate: 'reject' },
        bounded: { sort: 'value', max_price: { input: 4 } },
        sticky: { sort: 'price', affinity: 'session' },
        price: { sort: 'price' },
      },
    },
  })
}

beforeAll(async () => {
  upstream = await startRawUpstream((request) => {
    const behaviour = behaviours.get(String(request.json['model']))
    return (behaviour ?? answer('quick', USAGE))(request)
  })
  gateway = await startLocalGateway({ config: config() })
})

afterEach(() => behaviours.clear())

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

async function ask(body: Json, headers: Record<string, string> = {}): Promise<ClientAnswer> {
  const got = await gateway.chat({ stream: true, ...body }, { headers })
  expect(got.status, got.text).toBe(200)
  return got
}

const targetOf = ({ headers }: ClientAnswer): string => headers['x-sluice-target'] ?? ''

async function apply(next: Json): Promise<void> {
  const reloads = (): number => gateway.logs.filter(({ event }) => event === 'settings.reloaded').length
  const before = reloads()
  gateway.configure(next)
  await eventually(() => reloads() > before, 'the new configuration is in force')
}

describe('sort: value', () => {
  test('is what a policy has that says nothing', async () => {
    const { decision } = await gateway.detailOf(await ask({ model: 'plain' }))
    expect(decision).toMatchObject({ policy: 'default', sort: 'value', chosen: 'a/plain' })
  })

  test('leaves a target that has become slow, looks after it now and then, and returns to it', async () => {
    behaviours.set('moody', afterMs(QUICK_MS))
    behaviours.set('steady', afterMs(QUICK_MS))
    for (let round = 0; round < 20; round++) {
      expect(targetOf(await ask({ model: 'leaving' }))).toBe('a/moody')
    }
    behaviours.set('moody', afterMs(SLOW_MS))
    let late = 0
    await eventually(async () => {
      const target = targetOf(await ask({ model: 'leaving' }))
      if (target === 'a/moody') late++
      return target === 'b/steady'
    }, 'the slow target is left')
    expect(late).toBeLessThanOrEqual(5)
    behaviours.set('moody', afterMs(QUICK_MS))
    const explorations: RequestDetail[] = []
    let inARow = 0
    await eventually(async () => {
      const got = await ask({ model: 'leaving' })
      if (targetOf(got) !== 'a/moody') {
        inARow = 0
        return false
      }
      const detail = await gateway.detailOf(got)
      if (detail.decision.explored) explorations.push(detail)
      return ++inARow >= 5
    }, 'the target is taken again')
    expect(explorations.length).toBeGreaterThan(0)
    expect(explorations[0]?.decision).toMatchObject({
      chosen: 'a/moody',
      propensity: 0.5,
      runner_up: { target: 'b/steady', lost_by: null, measure: null },
      counterfactual: [],
    })
    expect(explorations[0]?.decision.candidates[0]?.reason).toBe('explored')
  })
})

describe('max_price', () => {
  test('is compared with the tier of the request', async () => {
    expect(targetOf(await ask({ model: 'tiered' }))).toBe('a/tiered')
    const got = await ask({ model: 'tiered', messages: LONG })
    expect(targetOf(got)).toBe('b/flat')
    const { decision } = await gateway.detailOf(got)
    expect(decision.excluded).toEqual([
      {
        target: 'a/tiered',
        reason: 'max_price',
        detail: 'input 9, output 9 per million; at most 4, any',
      },
    ])
  })

  test('leaves a request that is too dear everywhere without an answer, and says so', async () => {
    const got = await gateway.chat({ model: 'lone', messages: LONG })
    expect([got.status, got.error.code, got.headers['x-sluice-attempts']]).toEqual([503, 'no_target', '0'])
    expect(got.error.message).toContain('max_price')
    expect((await gateway.detailOf(got)).decision.chosen).toBeNull()
  })
})

describe('on_no_candidate: reject', () => {
  test('asks a target that nobody knows yet, and refuses once it is known to be too slow', async () => {
    behaviours.set('sluggish', afterMs(SLOW_MS))
    await ask({ model: 'strict' })
    let refused: ClientAnswer | null = null
    await eventually(async () => {
      const got = await gateway.chat({ model: 'strict', stream: true })
      if (got.status === 503) refused = got
      return refused !== null
    }, 'it is refused')
    const got = refused as unknown as ClientAnswer
    expect([got.error.code, got.headers['x-sluice-attempts']]).toEqual(['no_target', '0'])
    const { decision } = await gateway.detailOf(got)
    expect(decision.excluded).toMatchObject([{ target: 'a/sluggish', reason: 'slo' }])
  })
})

describe('affinity: session', () => {
  test.each([
    { name: 'x-session-id', body: {}, headers: { 'x-session-id': 'one' } },
    { name: 'user', body: { user: 'u-17' }, headers: {} },
    { name: 'x-session-id before user', body: { user: 'u-1' }, headers: { 'x-session-id': 'two' } },
  ])('keeps a session where it is: by $name', async ({ body, headers }) => {
    behaviours.set('home', () => FAILING)
    const moved = await ask({ model: 'sticky', ...body }, headers)
    expect(targetOf(moved)).toBe('b/away')
    behaviours.delete('home')
    for (let turn = 0; turn < 3; turn++) {
      expect(targetOf(await ask({ model: 'sticky', ...body }, headers))).toBe('b/away')
    }
    const others = [
      await ask({ model: 'sticky' }),
      await ask({ model: 'sticky', user: 'somebody' }),
      await ask({ model: 'sticky', ...body }, { 'x-session-id': `${JSON.stringify(body)}, another` }),
    ]
    expect(new Set(others.map(targetOf))).toEqual(new Set(['a/home']))
    // Under another policy it is a session like any other.
    expect(targetOf(await ask({ model: 'loose', ...body }, headers))).toBe('a/home')
  })
})

describe('the record of a decision', () => {
  test('says by how much the runner-up lost, and what would have put it first', async () => {
    const got = await ask({ model: 'priced', max_tokens: 100 })
    const { decision } = await gateway.detailOf(got)
    const [first, second] = decision.candidates.map(({ estimated_cost: cost }) => Number(cost))
    const lead = (second ?? 0) - (first ?? 0)
    expect(lead).toBeGreaterThan(0)
    expect(decision).toMatchObject({
      policy: 'price',
      sort: 'price',
      value: null,
      chosen: 'a/one',
      explored: false,
      propensity: 1,
      slo_relaxed: false,
      runner_up: { target: 'b/two', lost_by: expect.closeTo(lead, 8), measure: 'cost' },
      counterfactual: [
        { quantity: 'cost', target: 'a/one', above: expect.closeTo(second ?? 0, 8), below: null },
      ],
      later: [],
    })
    expect(got.headers['x-sluice-policy']).toBe(`price@${decision.policy_version}`)
  })

  test('of sort: value weighs chances with what an answer in time is worth', async () => {
    const { decision } = await gateway.detailOf(await ask({ model: 'plain' }))
    const [first, second] = decision.candidates
    expect(decision.runner_up).toMatchObject({ target: second?.target, measure: 'utility' })
    expect(decision.runner_up?.lost_by).toBeCloseTo((first?.utility ?? 0) - (second?.utility ?? 0), 8)
    expect(decision.value).toBeGreaterThan(0)
    for (const { quantity, target, above, below } of decision.counterfactual) {
      expect(['p_slo', 'value', 'cost']).toContain(quantity)
      expect(target).toBe(quantity === 'value' ? null : first?.target)
      expect((above === null) !== (below === null)).toBe(true)
    }
  })

  test('goes on with the attempts behind the first', async () => {
    behaviours.set('one', () => FAILING)
    const { decision } = await gateway.detailOf(await ask({ model: 'priced' }))
    expect(decision.chosen).toBe('a/one')
    expect(decision.later).toEqual([
      { target: 'b/two', role: 'fallback', estimated_cost: expect.any(String), p_slo: expect.any(Number) },
    ])
  })
})

describe('what is cheapest', () => {
  test('changes at once with a used-up free quota', async () => {
    const used = { prompt_tokens: 1_000, completion_tokens: 50 }
    behaviours.set('free', answer('free', used))
    const body = { model: 'quota', messages: LONG, max_tokens: 100 }
    const went: ClientAnswer[] = []
    for (let turn = 0; turn < 4; turn++) went.push(await ask(body))
    // 2,500 tokens pay for two of these whole; what they would leave of a third costs more than all of it elsewhere.
    expect(went.map(targetOf)).toEqual(['a/free', 'a/free', 'b/paid', 'b/paid'])
    expect((await gateway.detailOf(went[1] as ClientAnswer)).cost).toBe('0')
  })

  // The last one: it changes the configuration for good.
  test('changes at once with a price of the configuration, and the policy’s version does not', async () => {
    const before = await ask({ model: 'priced' })
    expect(targetOf(before)).toBe('a/one')
    await apply(config({ 'a/*': priceOf('9', '9') }))
    const got = await ask({ model: 'priced' })
    expect(targetOf(got)).toBe('b/two')
    expect(got.headers['x-sluice-policy']).toBe(before.headers['x-sluice-policy'])
    expect((await gateway.detailOf(before)).decision.chosen).toBe('a/one')
  })
})
