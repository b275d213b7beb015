// Budgets that come, change and move while several gateways spend: each purse knows what its rows say, on every instance.

import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askKeys, makeKey } from '../support/admin-keys.ts'
import { eventually, KEY, type LocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { openRedisFleet, type RedisFleet } from '../support/redis-fleet.ts'
import { sendRedisCommand } from '../support/redis-server.ts'

let fleet: RedisFleet

beforeEach(async () => {
  fleet = await openRedisFleet()
})

afterEach(() => fleet.close())

/** 10 × 2 / 10⁶ + 5 × 8 / 10⁶ */
const COST_NANO = 60_000

async function spend(gateway: LocalGateway, key: string, count: number): Promise<number> {
  let served = 0
  for (let index = 0; index < count; index += 1)
    if ((await gateway.chat({ max_tokens: 20 }, { key })).status === 200) served += 1
  return served
}

async function expectSpent(gateways: readonly LocalGateway[], id: string, requests: number): Promise<void> {
  for (const gateway of gateways) {
    let last: unknown = null
    await eventually(async () => {
      const { data } = (await gateway.admin('/budgets?limit=500')) as {
        data: { id: string; budget: { spent: string } | null }[]
      }
      last = data.find((row) => row.id === id)?.budget
      return (
        Math.round(Number((last as { spent: string } | null)?.spent ?? -1) * 1e9) === requests * COST_NANO
      )
    }, `${id} has spent ${requests}`).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(last)}`)
    })
  }
}

const usable = (gateway: LocalGateway, key: string): Promise<void> =>
  eventually(async () => (await gateway.chat({ max_tokens: 20 }, { key })).status !== 401, 'the key is known')

test('a key that is made on one instance has one budget on all', async () => {
  const [first, second] = [await fleet.start(), await fleet.start()]
  const key = await makeKey(first, 'web', { max_budget: '0.3', rpm: 1_000 })
  await usable(second, key)
  const paid = 1 + (await spend(first, key, 3)) + (await spend(second, key, 3))
  expect(paid).toBe(7)
  await expectSpent([first, second], 'key:web', paid)
})

test('a budget that comes later, and one of another period, know what was spent before, amid requests', async () => {
  const [first, second] = [await fleet.start(), await fleet.start()]
  const key = await makeKey(first, 'web')
  await usable(second, key)
  let paid = 1 + (await spend(first, key, 4)) + (await spend(second, key, 4))
  for (const change of [
    { max_budget: '0.3' },
    { max_budget: '0.3', budget_duration: 'month' },
    { max_budget: '0.3', budget_duration: 'rolling:24h' },
  ]) {
    const running = Promise.all([spend(first, key, 12), spend(second, key, 12)])
    const got = await askKeys(first, 'PATCH', '/web', change)
    expect(got.status, got.text).toBe(200)
    paid += (await running).reduce((sum, count) => sum + count, 0)
    await expectSpent([first, second], 'key:web', paid)
  }
})

test('a team that gets an organisation takes along what it has spent', async () => {
  const keys = [{ name: 'tester', key: KEY, team: 'growth' }]
  const before = { teams: { growth: { max_budget: '0.3' } }, keys }
  const gateways = [await fleet.start(before), await fleet.start(before)]
  let paid = 0
  for (const gateway of gateways) paid += await spend(gateway, KEY, 4)
  await expectSpent(gateways, 'team:growth', paid)
  const after = {
    organisations: { acme: { max_budget: '0.3' } },
    teams: { growth: { max_budget: '0.3', organisation: 'acme' } },
    keys,
  }
  for (const gateway of gateways) {
    gateway.configure(configOf({ providers: { up: fleet.upstream.baseUrl }, over: after }))
    await eventually(() => gateway.logs.some(({ event }) => event === 'settings.reloaded'), 'it is in force')
  }
  let later = 0
  for (const gateway of gateways) later += await spend(gateway, KEY, 4)
  await expectSpent(gateways, 'team:growth', paid + later)
  await expectSpent(gateways, 'organisation:acme', later)
})

test('limits of a provider and a target are one for all instances, and the other target is asked', async () => {
  const other = fleet.upstream.baseUrl
  const config = configOf({
    providers: { up: fleet.upstream.baseUrl, other },
    targets: [
      { target: 'up/x', limits: { rpm: 6 } },
      { target: 'other/x', priority: 1, max_budget: '0.3' },
    ],
  })
  const gateways = [await fleet.start(config), await fleet.start(config)]
  const answers = await Promise.all(
    gateways.flatMap((gateway) => Array.from({ length: 8 }, () => gateway.chat({ max_tokens: 20 }))),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array(16).fill(200))
  expect(answers.filter(({ headers }) => headers['x-sluice-target'] === 'up/x')).toHaveLength(6)
  await expectSpent(gateways, 'target:other/x', 10)
})

test('fault 74: a user that may run no scripts any more: limits are kept alone, and again by all when it may', async () => {
  const gateway = await fleet.start({ keys: [{ name: 'tester', key: KEY, max_budget: '0.06' }] })
  let paid = await spend(gateway, KEY, 3)
  await wait(1_500)
  await sendRedisCommand(fleet.redis.url, 'ACL SETUSER default -eval -evalsha')
  const more = await spend(gateway, KEY, 30)
  paid += more
  expect(more).toBeLessThanOrEqual(10)
  expect(readScrape(await gateway.metrics()).sum('sluice_limits_local')).toBeGreaterThan(0)
  await sendRedisCommand(fleet.redis.url, 'ACL SETUSER default +eval +evalsha')
  await expectSpent([gateway], 'key:tester', paid)
})
