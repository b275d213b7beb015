// Limits that several gateways share over one Redis: nothing is multiplied by replicas, and nothing of a small purse is
// lost between them.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually, KEY, type LocalGateway } from '../support/gateway.ts'
import type { ClientAnswer } from '../support/http-client.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { openRedisFleet, type RedisFleet } from '../support/redis-fleet.ts'

let fleet: RedisFleet

beforeEach(async () => {
  fleet = await openRedisFleet()
})

afterEach(() => fleet.close())

const keyed = (limits: object) => ({ keys: [{ name: 'tester', key: KEY, ...limits }] })

async function startMany(count: number, limits: object): Promise<readonly LocalGateway[]> {
  const gateways: LocalGateway[] = []
  for (let index = 0; index < count; index += 1) gateways.push(await fleet.start(keyed(limits)))
  return gateways
}

const countOf = (answers: readonly ClientAnswer[], status: number): number =>
  answers.filter((got) => got.status === status).length

async function askAll(gateways: readonly LocalGateway[], each: number, body = {}): Promise<ClientAnswer[]> {
  return Promise.all(gateways.flatMap((gateway) => Array.from({ length: each }, () => gateway.chat(body))))
}

/** 10 × 2 / 10⁶ + 5 × 8 / 10⁶ */
const COST = 0.00006

async function spentOf(gateway: LocalGateway): Promise<{ spent: string; held: string; amount: string }> {
  const page = (await gateway.admin('/budgets')) as { data: { id: string; budget: never }[] }
  return page.data.find(({ id }) => id === 'key:tester')?.budget as never
}

test('seed 36: two replicas, one limit of requests', async () => {
  const gateways = await startMany(2, { rpm: 20 })
  const answers = await askAll(gateways, 30)
  expect([countOf(answers, 200), countOf(answers, 429)]).toEqual([20, 40])
  const refused = answers.find((got) => got.status === 429)
  expect(refused?.error).toMatchObject({ code: 'rate_limit_exceeded' })
  expect(refused?.headers).toMatchObject({
    'x-ratelimit-limit-requests': '20',
    'x-ratelimit-remaining-requests': '0',
  })
  expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(50)
})

test('seed 36: two replicas, one strict budget, usable to the last request that fits', async () => {
  const gateways = await startMany(2, { max_budget: '0.003', budget_mode: 'strict' })
  let answers: ClientAnswer[] = []
  for (let round = 0; round < 60 && countOf(answers, 402) === 0; round += 1)
    answers = await Promise.all([gateways[round % 2]?.chat({ max_tokens: 20 }) as Promise<ClientAnswer>])
  expect(answers[0]?.status, answers[0]?.text).toBe(402)
  expect(answers[0]?.error.message).toContain('of 0.003 CNY spent')
  for (const gateway of gateways) {
    await eventually(async () => Number((await spentOf(gateway)).held) === 0, 'all is counted')
    const { spent } = await spentOf(gateway)
    expect(Number(spent)).toBeLessThanOrEqual(0.003)
    // Less than one more request is left.
    expect(Number(spent)).toBeGreaterThan(0.003 - 0.0011)
  }
})

test('one thousand requests at once over three replicas do not overspend a strict budget', async () => {
  const gateways = await startMany(3, { max_budget: '0.01', budget_mode: 'strict' })
  const answers = await askAll(gateways, 334, { max_tokens: 50 })
  const served = countOf(answers, 200)
  const other = answers.find(({ status }) => status !== 200 && status !== 402)
  expect(other?.text).toBeUndefined()
  expect(served + countOf(answers, 402)).toBe(1002)
  expect(served * COST).toBeLessThanOrEqual(0.01)
  expect(served).toBeGreaterThan(10)
  for (const gateway of gateways) {
    await eventually(
      async () => Number((await spentOf(gateway)).spent) === Number((served * COST).toFixed(9)),
      'every instance tells what all have spent',
    )
    expect(readScrape(await gateway.metrics()).sum('sluice_limits_local')).toBe(0)
  }
})

test('places of a limit of concurrency are shared', async () => {
  const release = Promise.withResolvers<void>()
  const gateways = await startMany(2, { concurrency: 3 })
  const [first, second] = gateways as [LocalGateway, LocalGateway]
  expect((await first.chat()).status).toBe(200)
  fleet.upstream.script({
    ending: 'hang',
    steps: [],
  })
  const running = [first.chat(), first.chat(), second.chat()]
  for (const one of running) one.catch(() => undefined)
  await eventually(() => fleet.upstream.requests.length === 4, 'three run')
  const got = await second.chat()
  expect(got.status).toBe(429)
  expect(got.error.message).toContain('3 of 3 requests run')
  release.resolve()
})
