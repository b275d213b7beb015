// What no price can rate, and what is billed at another price than was held for.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fullLength } from '../support/full-length.ts'
import { eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

type Json = Record<string, unknown>

let upstream: RawUpstream
let gateway: LocalGateway

const start = async (limits: Json, parts: Json = {}, over: Json = {}): Promise<void> => {
  const keys = [{ name: 'tester', key: KEY, ...limits }]
  gateway = await startLocalGateway({
    config: configOf({ providers: { a: upstream.baseUrl }, over: { keys, ...over }, ...parts }),
  })
}

interface Row {
  readonly unpriced: boolean
  readonly cost: {
    readonly amount: string
    readonly price_version: string
    readonly lines: readonly Json[]
  } | null
}

const rowOf = async (headers: Readonly<Record<string, string>>): Promise<Row> => {
  const { attempts } = await gateway.detail(headers['x-request-id'] ?? '')
  return attempts[0] as unknown as Row
}

const spent = async (): Promise<string> => {
  const { data } = (await gateway.admin('/budgets')) as { data: { budget: { spent: string } }[] }
  return data[0]?.budget.spent ?? ''
}

const inLedger = async (): Promise<string> => {
  const usage = (await gateway.admin('/usage?group_by=key')) as { total: { cost: string } }
  return usage.total.cost
}

const metric = async (name: string): Promise<number> => readScrape(await gateway.metrics()).sum(name)

beforeEach(async () => {
  upstream = await startRawUpstream((request) => fullLength(request))
})

afterEach(async () => {
  await gateway.close()
  await upstream.close()
})

describe('a target without a price', () => {
  const parts = {
    targets: ['a/new', { target: 'a/dear', priority: 1 }],
    prices: { 'a/dear': priceOf('20', '80') },
  }

  test('deny: is passed over under a budget, and the next one is asked', async () => {
    await start({ max_budget: '1' }, parts)
    const got = await gateway.chat({ max_tokens: 50 })
    expect(got.headers['x-sluice-target']).toBe('a/dear')
    const { decision } = await gateway.detail(got.headers['x-request-id'] ?? '')
    expect(decision.excluded).toMatchObject([{ target: 'a/new', reason: 'unpriced' }])
  })

  test("bound: is held and charged at the dearest price of the model's others, and marked", async () => {
    await start({ max_budget: '1', budget_mode: 'strict' }, parts, { unpriced: 'bound' })
    const got = await gateway.chat({ max_tokens: 50 })
    expect(got.headers['x-sluice-target']).toBe('a/new')
    const row = await rowOf(got.headers)
    expect(row).toMatchObject({ unpriced: true, cost: { price_version: 'unpriced;bound' } })
    expect(row.cost?.lines).toMatchObject([{ item: 'bound', quantity: 1 }])
    // 50 tokens at 80 per million, and one token for each byte of the request.
    expect(Number(row.cost?.amount)).toBeGreaterThan((50 * 80) / 1e6)
    expect(got.headers['x-sluice-cost']).toBe(`${row.cost?.amount} CNY`)
    expect(await spent()).toBe(row.cost?.amount)
    await eventually(async () => (await inLedger()) === row.cost?.amount, 'the ledger says the same')
    expect(await metric('sluice_unpriced_attempts_total')).toBe(1)
  })

  test('bound: what the upstream refuses is charged nothing', async () => {
    upstream.script({ status: 400, steps: ['{"error":{"message":"no","type":"invalid_request_error"}}'] })
    await start({ max_budget: '1' }, { ...parts, targets: ['a/new', 'a/dear'] }, { unpriced: 'bound' })
    const got = await gateway.chat({ max_tokens: 50 })
    expect(got.status).toBe(400)
    expect(await spent()).toBe('0')
  })

  test('allow_flagged: is served, charged nothing, and counted', async () => {
    await start({ max_budget: '0.000001', budget_mode: 'strict' }, parts, { unpriced: 'allow_flagged' })
    const got = await gateway.chat()
    expect([got.status, got.headers['x-sluice-target']]).toEqual([200, 'a/new'])
    expect(got.headers['x-sluice-max-tokens']).toBeUndefined()
    expect(await rowOf(got.headers)).toMatchObject({ unpriced: true, cost: null })
    expect(await spent()).toBe('0')
    expect(await metric('sluice_unpriced_attempts_total')).toBe(1)
  })

  test.each(['deny', 'bound', 'allow_flagged'])(
    '%s: without a budget it is served and marked',
    async (unpriced) => {
      await start({}, parts, { unpriced })
      const got = await gateway.chat()
      expect(got.headers['x-sluice-target']).toBe('a/new')
      expect(await rowOf(got.headers)).toMatchObject({ unpriced: true, cost: null })
    },
  )

  test('sort: price leaves it out, whatever the rule', async () => {
    await start({}, { ...parts, policy: { sort: 'price' } }, { unpriced: 'allow_flagged' })
    expect((await gateway.chat()).headers['x-sluice-target']).toBe('a/dear')
  })

  test('a reload changes the rule', async () => {
    await start({ max_budget: '1' }, parts)
    expect((await gateway.chat()).headers['x-sluice-target']).toBe('a/dear')
    const keys = [{ name: 'tester', key: KEY, max_budget: '1' }]
    const over = { keys, unpriced: 'allow_flagged' }
    gateway.configure(configOf({ providers: { a: upstream.baseUrl }, over, ...parts }))
    await eventually(
      async () => (await gateway.chat()).headers['x-sluice-target'] === 'a/new',
      'the new rule holds',
    )
  })
})

test('an answer that no price can rate is charged what was held, never nothing', async () => {
  const prices = { 'a/*': { currency: 'CNY', unit: 'per_image', tiers: [{ price: '0.25' }] } }
  await start({ max_budget: '1' }, { prices })
  const got = await gateway.chat()
  expect(await rowOf(got.headers)).toMatchObject({ unpriced: true, cost: { amount: '0.25' } })
  expect(await spent()).toBe('0.25')
  expect(await metric('sluice_unpriced_attempts_total')).toBe(1)
})

test('a price by the call is one call for each attempt', async () => {
  const prices = { 'a/*': { currency: 'CNY', unit: 'per_call', tiers: [{ price: '0.25' }] } }
  await start({ max_budget: '0.6', budget_mode: 'strict' }, { prices })
  const statuses = [await gateway.chat(), await gateway.chat(), await gateway.chat()].map((got) => got.status)
  expect(statuses).toEqual([200, 200, 402])
  expect(await spent()).toBe('0.5')
})

test('a model by the GPU second is held for as long as it may run, and charged what it took', async () => {
  const price = { currency: 'CNY', unit: 'per_gpu_second', gpus: 8, tiers: [{ price: '0.001' }] }
  const release = Promise.withResolvers<void>()
  upstream.script(async (request) => {
    await release.promise
    return fullLength(request)
  })
  await start(
    { max_budget: '0.9', budget_mode: 'strict' },
    { prices: { 'a/*': price }, policy: { timeouts: { total_ms: 60_000 } } },
  )
  const running = gateway.chat()
  await eventually(() => upstream.requests.length === 1, 'it is at the upstream')
  // A minute and a second on eight GPUs.
  expect(await metric('sluice_holds_cny')).toBeCloseTo(61 * 8 * 0.001, 9)
  expect((await gateway.chat({})).status).toBe(402)
  release.resolve()
  const got = await running
  expect(got.headers['x-sluice-max-tokens']).toBeUndefined()
  expect(Number(await spent())).toBeGreaterThan(0)
  expect(Number(await spent())).toBeLessThan(0.2)
})

describe('searches', () => {
  const prices = {
    'a/*': { ...priceOf('0', '0'), items: [{ item: 'search_call', price: '0.03' }] },
  }

  test('are held for at their cap', async () => {
    const release = Promise.withResolvers<void>()
    upstream.script(async (request) => {
      await release.promise
      return fullLength(request)
    })
    await start({ max_budget: '0.3' }, { prices })
    const running = gateway.chat({ enable_search: true })
    await eventually(() => upstream.requests.length === 1, 'it is at the upstream')
    expect(await metric('sluice_holds_cny')).toBeCloseTo(8 * 0.03, 9)
    expect((await gateway.chat({ enable_search: true })).status).toBe(402)
    release.resolve()
    expect((await running).status).toBe(200)
  })

  test('are no request for a strict budget, which says why', async () => {
    await start({ max_budget: '1', budget_mode: 'strict' }, { prices })
    const got = await gateway.chat({ web_search_options: {} })
    expect(got.status).toBe(503)
    expect(got.text).toContain("nothing bounds the provider's own searches")
    expect(upstream.requests).toHaveLength(0)
  })
})

describe('what is billed beyond what a strict budget held is counted', () => {
  test('where an upstream does not keep the bound', async () => {
    upstream.script((request) => fullLength({ ...request, json: {} }, 4_000))
    await start({ max_budget: '1', budget_mode: 'strict' })
    const got = await gateway.chat({ max_tokens: 10 })
    expect(got.status).toBe(200)
    const overrun = await metric('sluice_budget_overrun_cny_total')
    // 4,000 tokens at 8 per million where 10 were allowed; the input was held for at more than it had.
    expect(overrun).toBeGreaterThan((3_800 * 8) / 1e6)
    expect(overrun).toBeLessThan(Number(await spent()))
  })

  test('where it answers with a dearer model than the one asked for', async () => {
    const usage = { prompt_tokens: 90, completion_tokens: 100, total_tokens: 190 }
    const body = {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: 'deepseek-v4-pro',
      choices: [{ index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }],
      usage,
    }
    upstream.script({
      headers: { 'content-type': 'application/json' },
      framing: 'length',
      steps: [JSON.stringify(body)],
    })
    const a = {
      use: 'deepseek',
      base_url: upstream.baseUrl,
      api_key: 'sk-upstream-0123456789',
      allow_private: true,
    }
    await start(
      { max_budget: '1', budget_mode: 'strict' },
      { providers: { a }, targets: ['a/deepseek-chat'], prices: {} },
    )
    const got = await gateway.chat({ max_tokens: 100 })
    expect(got.status).toBe(200)
    expect(await metric('sluice_budget_overrun_cny_total')).toBeGreaterThan(0.0001)
    expect(await metric('sluice_budget_overrun_cny_total')).toBeLessThan(Number(await spent()))
  })
})
