// Budgets over HTTP: what is admitted, what is refused and how, and that nothing is ever overspent.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { answer, contentEvent, ROLE_EVENT } from '../support/chat-bytes.ts'
import { fullLength } from '../support/full-length.ts'
import { eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import type { ClientAnswer } from '../support/http-client.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

type Json = Record<string, unknown>

let upstream: RawUpstream
let gateway: LocalGateway

const start = async (over: Json, parts: Json = {}): Promise<void> => {
  gateway = await startLocalGateway({
    config: configOf({ providers: { a: upstream.baseUrl }, over, ...parts }),
  })
}

const keyWith = (limits: Json): Json => ({ keys: [{ name: 'tester', key: KEY, ...limits }] })

const costOf = (answers: readonly ClientAnswer[]): number =>
  answers.reduce((sum, got) => sum + Number((got.headers['x-sluice-cost'] ?? '0').split(' ')[0]), 0)

const costInLedger = async (): Promise<number> => {
  const usage = (await gateway.admin('/usage?group_by=key')) as { total: { cost: string } }
  return Number(usage.total.cost)
}

beforeEach(async () => {
  upstream = await startRawUpstream((request) => fullLength(request))
})

afterEach(async () => {
  await gateway.close()
  await upstream.close()
})

describe('strict', () => {
  test('a thousand requests at once on one key overspend nothing', async () => {
    const budget = 0.05
    await start(keyWith({ max_budget: String(budget), budget_mode: 'strict' }))
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => gateway.chat({ max_tokens: 50 })))
    const served = answers.filter((got) => got.status === 200)
    expect(answers.filter((got) => got.status === 402)).toHaveLength(1_000 - served.length)
    expect(served.length).toBeGreaterThan(20)
    expect(costOf(served)).toBeLessThanOrEqual(budget)
    await eventually(
      async () => Math.abs((await costInLedger()) - costOf(served)) < 1e-9,
      'the ledger has all',
    )
    expect(upstream.requests).toHaveLength(served.length)
  }, 120_000)

  test('an answer is clamped to what is left, and the client is told', async () => {
    await start(keyWith({ max_budget: '0.002', budget_mode: 'strict' }))
    const got = await gateway.chat({ max_tokens: 10_000 })
    expect(got.status).toBe(200)
    const bound = Number(got.headers['x-sluice-max-tokens'])
    expect(bound).toBeGreaterThan(16)
    expect(bound).toBeLessThan(250)
    expect(upstream.requests[0]?.json['max_tokens']).toBe(bound)
  })

  test('a request that is refused has no answer to bound', async () => {
    await start(keyWith({ max_budget: '1', budget_mode: 'strict', rpm: 1 }))
    await gateway.chat()
    const got = await gateway.chat()
    expect([got.status, got.headers['x-ratelimit-remaining-requests']]).toEqual([429, '0'])
    expect(got.headers['x-sluice-max-tokens']).toBeUndefined()
  })

  test('an answer that its client leaves open is bounded', async () => {
    await start(keyWith({ max_budget: '1', budget_mode: 'strict' }))
    const got = await gateway.chat()
    expect(got.headers['x-sluice-max-tokens']).toBe('4096')
    expect(upstream.requests[0]?.json['max_tokens']).toBe(4096)
  })

  test('one that the client bounds itself is left as it is', async () => {
    await start(keyWith({ max_budget: '1', budget_mode: 'strict' }))
    const got = await gateway.chat({ max_completion_tokens: 77 })
    expect(got.headers['x-sluice-max-tokens']).toBeUndefined()
    expect(upstream.requests[0]?.json['max_completion_tokens']).toBe(77)
    expect(upstream.requests[0]?.json['max_tokens']).toBeUndefined()
  })

  test('a budget of its team binds a key that has none', async () => {
    await start({
      teams: { growth: { max_budget: '0.0001', budget_mode: 'strict' } },
      ...keyWith({ team: 'growth' }),
    })
    const got = await gateway.chat({ max_tokens: 50 })
    expect(got.status).toBe(402)
    expect(got.json['error']).toMatchObject({ code: 'insufficient_quota' })
    expect(got.text).toContain('team \\"growth\\"')
  })
})

describe('refusals', () => {
  test('a budget that is used up says so, with its state and its reset, and is not to be retried', async () => {
    await start(keyWith({ max_budget: '0.002', budget_duration: 'month', budget_mode: 'strict' }))
    const got = await untilRefused()
    const served = upstream.requests.length
    expect(got.status).toBe(402)
    expect(got.headers['x-should-retry']).toBe('false')
    expect(Number(got.headers['retry-after'])).toBeGreaterThan(0)
    const { error } = got.json as { error: { code: string; message: string; type: string } }
    expect(error).toMatchObject({ code: 'insufficient_quota', type: 'insufficient_quota' })
    expect(error.message).toMatch(
      /budget .* key "tester": 0\.00\d+ of 0\.002 CNY spent, 0 held, 0\.00\d+ needed; it resets at \d{4}-/,
    )
    expect(upstream.requests).toHaveLength(served)
    const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
    expect(detail).toMatchObject({ outcome: 'refused', status: 402, attempts: [] })
    expect(detail.decision.excluded).toMatchObject([{ target: 'a/x', reason: 'budget' }])
    expect(
      readScrape(await gateway.metrics()).sum('sluice_admission_refusals_total', { reason: 'key_budget' }),
    ).toBe(1)
  })

  test('what no budget of that size can ever pay names no time to come back', async () => {
    await start(keyWith({ max_budget: '0.0001', budget_duration: 'month' }))
    const got = await gateway.chat()
    expect(got.status).toBe(402)
    expect(got.headers['retry-after']).toBeUndefined()
    expect(upstream.requests).toHaveLength(0)
  })

  test('a target without a price is not asked under a budget', async () => {
    await start(keyWith({ max_budget: '1' }), { prices: {} })
    const got = await gateway.chat()
    expect(got.status).toBe(503)
    expect(got.text).toContain('no price is known')
    const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
    expect(detail.decision.excluded).toMatchObject([{ target: 'a/x', reason: 'unpriced' }])
  })
})

test('a cheaper target is asked where a dearer one would exceed the budget', async () => {
  await start(keyWith({ max_budget: '0.005' }), {
    targets: [{ target: 'a/cheap', priority: 1 }, 'a/dear'],
    prices: { 'a/dear': priceOf('20', '80'), 'a/cheap': priceOf('2', '8') },
  })
  const got = await gateway.chat({ max_tokens: 100 })
  expect(got.headers['x-sluice-target']).toBe('a/cheap')
  expect(got.headers['x-sluice-attempts']).toBe('1')
  const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
  expect(detail.attempts.map((attempt) => attempt.role)).toEqual(['first'])
  expect(detail.decision.candidates.map((candidate) => candidate.target)).toEqual(['a/cheap'])
  expect(detail.decision.excluded).toMatchObject([{ target: 'a/dear', reason: 'budget' }])
})

test('a provider whose spend cap is reached is passed over', async () => {
  const second = await startRawUpstream(answer('from b'))
  await start(
    {},
    {
      providers: {
        a: {
          use: 'openai-compatible',
          base_url: upstream.baseUrl,
          allow_private: true,
          max_budget: '0.0001',
        },
        b: second.baseUrl,
      },
    },
  )
  const got = await gateway.chat()
  expect(got.headers['x-sluice-target']).toBe('b/x')
  const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
  expect(detail.decision.excluded).toMatchObject([{ target: 'a/x', reason: 'budget' }])
  await second.close()
})

test('what the gateway spends with a provider is not told to its clients', async () => {
  const a = {
    use: 'openai-compatible',
    base_url: upstream.baseUrl,
    allow_private: true,
    max_budget: '0.000123',
  }
  await start({}, { providers: { a } })
  const got = await gateway.chat()
  expect(got.status).toBe(402)
  expect(got.error.message).toBe('the budget is used up: that of provider "a"')
  expect(upstream.requests).toHaveLength(0)
})

test('operators see how budgets and rates stand, page by page', async () => {
  await start({
    teams: { growth: { max_budget: '5', budget_duration: 'month', budget_mode: 'strict' } },
    ...keyWith({ team: 'growth', rpm: 10, concurrency: 4 }),
  })
  const got = await gateway.chat({ max_tokens: 50 })
  const spent = (got.headers['x-sluice-cost'] ?? '').split(' ')[0]
  const first = await gateway.admin('/budgets?limit=1')
  expect(first).toEqual({
    data: [
      {
        id: 'key:tester',
        kind: 'key',
        name: 'tester',
        rpm: { limit: 10, remaining: 9 },
        tpm: null,
        concurrency: 4,
        budget: null,
      },
    ],
    next_cursor: 'key:tester',
  })
  const second = await gateway.admin('/budgets?limit=1&cursor=key:tester')
  expect(second).toMatchObject({
    data: [
      {
        id: 'team:growth',
        rpm: null,
        budget: { amount: '5', spent, held: '0', currency: 'CNY', mode: 'strict' },
      },
    ],
    next_cursor: null,
  })
})

test('a reload that raises a budget lets the next request in, and what was spent stays', async () => {
  await start(keyWith({ max_budget: '0.002', budget_mode: 'strict' }))
  let got = await gateway.chat({ max_tokens: 100 })
  for (let index = 0; index < 20 && got.status === 200; index++) got = await gateway.chat({ max_tokens: 100 })
  expect(got.status).toBe(402)
  const spent = await costInLedger()
  gateway.configure(
    configOf({
      providers: { a: upstream.baseUrl },
      over: keyWith({ max_budget: '0.01', budget_duration: 'day', budget_mode: 'strict' }),
    }),
  )
  await eventually(
    async () => (await gateway.chat({ max_tokens: 100 })).status === 200,
    'the budget is larger',
  )
  expect(spent).toBeGreaterThan(0)
  const refused = await untilRefused()
  const said = Number(/: ([\d.]+) of 0\.01 CNY spent/.exec(refused.text)?.[1])
  await eventually(async () => (await costInLedger()) === said, 'the ledger and the purse say the same')
})

async function untilRefused(): Promise<ClientAnswer> {
  for (let index = 0; index < 100; index++) {
    const got = await gateway.chat({ max_tokens: 100 })
    if (got.status !== 200) return got
  }
  throw new Error('never refused')
}

// litellm #36926, #40050
test('after streams, aborts, failures and fallbacks the purse is what the ledger says', async () => {
  const second = await startRawUpstream(answer('from b'))
  upstream.script((_request, count) => {
    if (count % 4 === 0) return { status: 500, steps: ['{"error":{"message":"down"}}'] }
    if (count % 4 === 1) return { steps: [ROLE_EVENT, contentEvent('hello'), 5], ending: 'hang' }
    return answer('from a')(_request)
  })
  await start(keyWith({ max_budget: '0.1', budget_mode: 'strict' }), {
    providers: { a: upstream.baseUrl, b: second.baseUrl },
    targets: ['a/x', { target: 'b/x', priority: 1 }],
    policy: { timeouts: { idle_ms: 300, total_ms: 2_000 }, outlier_detection: { consecutive_5xx: 1_000 } },
  })
  await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const stream = await gateway.chatStream({ max_tokens: 40 })
      if (index % 5 === 0) stream.abort()
      await stream.ended.catch(() => undefined)
    }),
  )
  await eventually(
    async () => readScrape(await gateway.metrics()).sum('sluice_requests_in_flight') === 0,
    'all requests have ended',
  )
  expect(readScrape(await gateway.metrics()).sum('sluice_holds_cny')).toBe(0)
  const refused = await gateway.chat({ messages: [{ role: 'user', content: 'x'.repeat(60_000) }] })
  const said = Number(/: ([\d.]+) of 0\.1 CNY spent/.exec(refused.error.message)?.[1])
  expect(said).toBeGreaterThan(0)
  await eventually(async () => (await costInLedger()) === said, 'the ledger and the purse say the same')
  await second.close()
})
