// The faults of budgets that peers' trackers are full of, each once: the numbers are those of their list.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { fullLength } from '../support/full-length.ts'
import { eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

type Json = Record<string, unknown>

let upstream: RawUpstream
let gateway: LocalGateway

const start = async (limits: Json, parts: Json = {}): Promise<void> => {
  const over = { keys: [{ name: 'tester', key: KEY, ...limits }] }
  gateway = await startLocalGateway({
    config: configOf({ providers: { a: upstream.baseUrl }, over, ...parts }),
  })
}

/** Upstream answers wait until they are let go. */
function gated(): () => void {
  const gate = Promise.withResolvers<void>()
  upstream.script(async (request) => {
    await gate.promise
    return fullLength(request)
  })
  return gate.resolve
}

const costInLedger = async (): Promise<number> => {
  const usage = (await gateway.admin('/usage?group_by=key')) as { total: { cost: string } }
  return Number(usage.total.cost)
}

const budget = async (): Promise<Json> => {
  const { data } = (await gateway.admin('/budgets')) as { data: { budget: Json }[] }
  return data[0]?.budget ?? {}
}

beforeEach(async () => {
  upstream = await startRawUpstream((request) => fullLength(request))
})

afterEach(async () => {
  await gateway.close()
  await upstream.close()
})

// litellm #40095, new-api #5690
test('PEERS 27: of eight first requests at once against a budget for one, one is served', async () => {
  const release = gated()
  // About 100 bytes and 64 tokens of input at 2, 100 tokens of output at 8 per million: 0.0011.
  await start({ max_budget: '0.0015', budget_mode: 'strict' })
  const statuses: number[] = []
  const running = Array.from({ length: 8 }, () =>
    gateway.chat({ max_tokens: 100 }).then((got) => statuses.push(got.status)),
  )
  await eventually(() => upstream.requests.length === 1, 'the first one is at the upstream')
  await eventually(() => statuses.length === 7, 'the others are refused')
  release()
  await Promise.all(running)
  expect(statuses.sort()).toEqual([200, ...Array(7).fill(402)])
  expect(upstream.requests).toHaveLength(1)
})

// litellm PR #27509
test('PEERS 28: without max_tokens the hold is bounded, and others pass meanwhile', async () => {
  const release = gated()
  // 4,096 tokens at 8 per million and the input are 0.033 each: three of them, and nothing is left for a fourth.
  await start({ max_budget: '0.12' })
  const open = Array.from({ length: 3 }, () => gateway.chat())
  await eventually(() => upstream.requests.length === 3, 'three are at the upstream')
  const held = Number((await budget())['held'])
  expect(held).toBeGreaterThan(3 * 0.0327)
  expect(held).toBeLessThan(0.1)
  const small = gateway.chat({ max_tokens: 100 })
  await eventually(() => upstream.requests.length === 4, 'a small one passes meanwhile')
  const refused = await gateway.chat()
  expect([refused.status, refused.error.code]).toEqual([402, 'insufficient_quota'])
  release()
  for (const got of await Promise.all([...open, small])) expect(got.status).toBe(200)
  expect(upstream.requests[0]?.json['max_tokens']).toBeUndefined()
})

// litellm PR #27509
test('PEERS 29: a max_tokens of 999,999,999 is held for as long as the model can answer', async () => {
  const entry = { input: '2', output: '8' }
  const prices = { 'a/*': { currency: 'CNY', unit: 'per_million_tokens', tiers: [entry], max_output: 8_192 } }
  const release = gated()
  await start({ max_budget: '0.08' }, { prices })
  const running = gateway.chat({ max_tokens: 999_999_999 })
  await eventually(() => upstream.requests.length === 1, 'it is at the upstream')
  const { held, overshoot_bound: overshoot } = await budget()
  expect(Number(held)).toBeLessThan(0.034)
  expect(Number(overshoot)).toBeCloseTo(((8_192 - 4_096) * 8) / 1e6, 6)
  release()
  expect((await running).status).toBe(200)
})

test('PEERS 29: a strict budget sends the ceiling of the model in its place', async () => {
  const entry = { input: '2', output: '8' }
  const prices = { 'a/*': { currency: 'CNY', unit: 'per_million_tokens', tiers: [entry], max_output: 8_192 } }
  await start({ max_budget: '1', budget_mode: 'strict' }, { prices })
  const got = await gateway.chat({ max_tokens: 999_999_999 })
  expect(got.headers['x-sluice-max-tokens']).toBe('8192')
  expect(upstream.requests[0]?.json['max_tokens']).toBe(8_192)
})

// litellm PR #38647
test('PEERS 30: ten agents with 64k max_tokens are not blocked at zero spent, and the bound on overshoot is told', async () => {
  const release = gated()
  await start({ max_budget: '1' })
  const agents = Array.from({ length: 10 }, () => gateway.chat({ max_tokens: 64_000 }))
  await eventually(() => upstream.requests.length === 10, 'all are at the upstream')
  const scrape = readScrape(await gateway.metrics())
  expect(scrape.sum('sluice_holds_cny')).toBeLessThan(1)
  // 64,000 tokens at 8 per million each, of which 4,096 are held.
  const beyond = (10 * (64_000 - 4_096) * 8) / 1e6
  expect(scrape.sum('sluice_overshoot_bound_cny')).toBeCloseTo(beyond, 5)
  expect(Number((await budget())['overshoot_bound'])).toBeCloseTo(beyond, 5)
  release()
  for (const got of await Promise.all(agents)) expect(got.status).toBe(200)
  const after = readScrape(await gateway.metrics())
  expect(after.sum('sluice_holds_cny')).toBe(0)
  expect(after.sum('sluice_overshoot_bound_cny')).toBe(0)
  expect(await budget()).toMatchObject({ held: '0', overshoot_bound: '0' })
})

// litellm #38176
test.each(['soft', 'strict'])('PEERS 34: completions move the same budget as chats (%s)', async (mode) => {
  await start({ max_budget: '0.02', budget_mode: mode })
  const complete = (max_tokens: number) =>
    ask(`${gateway.url}/v1/completions`, { body: { model: 'm', prompt: 'hello', max_tokens }, key: KEY })
  const chat = await gateway.chat({ max_tokens: 50 })
  const completion = await complete(50)
  const both = [chat, completion].map((got) => Number((got.headers['x-sluice-cost'] ?? '').split(' ')[0]))
  expect(Math.min(...both)).toBeGreaterThan(0)
  const sum = both.reduce((left, right) => left + right)
  await eventually(async () => Math.abs((await costInLedger()) - sum) < 1e-9, 'the ledger has both')
  expect(Number((await budget())['spent'])).toBeCloseTo(sum, 9)
  let got = completion
  for (let index = 0; index < 60 && got.status === 200; index++) got = await complete(50)
  expect(got.status).toBe(402)
  expect(
    (await gateway.chat({ max_tokens: 2_000, messages: [{ role: 'user', content: 'x'.repeat(9_000) }] }))
      .status,
  ).toBe(402)
  expect(Number((await budget())['spent'])).toBeLessThanOrEqual(0.02)
})

test('PEERS 34: a completion that its client leaves open is bounded under a strict budget', async () => {
  await start({ max_budget: '1', budget_mode: 'strict' })
  const got = await ask(`${gateway.url}/v1/completions`, { body: { model: 'm', prompt: 'hello' }, key: KEY })
  expect([got.status, got.headers['x-sluice-max-tokens']]).toEqual([200, '4096'])
  expect(upstream.requests[0]?.json['max_tokens']).toBe(4_096)
})

test('PEERS 35: a limit of tokens charges tokens, and an open answer is bounded and told', async () => {
  await start({ tpm: 100_000 })
  const got = await gateway.chat()
  expect(got.headers['x-sluice-max-tokens']).toBe('4096')
  expect(upstream.requests[0]?.json['max_tokens']).toBe(4_096)
  const { data } = (await gateway.admin('/budgets')) as { data: { tpm: { remaining: number } }[] }
  const used = 100_000 - (data[0]?.tpm.remaining ?? 0)
  // What the answer's own usage says, about 25 tokens in and 100 out.
  expect(used).toBeGreaterThan(110)
  expect(used).toBeLessThan(200)
})
