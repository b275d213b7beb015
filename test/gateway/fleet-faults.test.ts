// What becomes of limits that several gateways share when their Redis is away, slow, full or has forgotten.

import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  type BudgetSaid,
  budgetOf,
  COST_NANO,
  keyed,
  nanoOf,
  served,
  spend,
} from '../support/fleet-budget.ts'
import { eventually, type LocalGateway } from '../support/gateway.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { openRedisFleet, type RedisFleet } from '../support/redis-fleet.ts'
import { sendRedisCommand } from '../support/redis-server.ts'

let fleet: RedisFleet

beforeEach(async () => {
  fleet = await openRedisFleet()
})

afterEach(() => fleet.close())

const HEADER = 'x-sluice-limits-mode'

const isLocal = async (gateway: LocalGateway): Promise<boolean> =>
  readScrape(await gateway.metrics()).sum('sluice_limits_local') > 0

/** Every instance says that exactly so many requests were paid for. */
async function expectSpent(gateways: readonly LocalGateway[], requests: number): Promise<void> {
  for (const gateway of gateways) {
    let last: BudgetSaid | null = null
    await eventually(async () => {
      last = await budgetOf(gateway)
      return nanoOf(last.spent) === requests * COST_NANO && nanoOf(last.held) === 0
    }, `${requests} requests are charged`).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(last)}, wanted ${requests * COST_NANO}`)
    })
  }
}

const FAULTS: readonly (readonly [string, () => unknown, () => unknown])[] = [
  ['fault 65: Redis dies', () => fleet.redis.kill(), () => fleet.restart()],
  ['fault 66: Redis freezes', () => fleet.redis.pause(), () => fleet.redis.resume()],
]

test.each(FAULTS)(
  '%s mid-run: a soft budget goes on within a small share, and all is booked',
  async (_name, fail, recover) => {
    const limits = { max_budget: '0.3', rpm: 1_000 }
    const [first, second] = [await fleet.start(keyed(limits)), await fleet.start(keyed(limits))]
    let paid = served(await spend(first, 5)) + served(await spend(second, 5))
    expect(paid).toBe(10)
    await expectSpent([first, second], paid)
    // What nothing needs goes back.
    await wait(1_500)
    await fail()
    const answers = await spend(first, 60)
    paid += served(answers)
    const away = answers.filter(({ status }) => status !== 200)
    // One hundredth of 0.3 CNY over two instances are 25 requests, of which the last must fit with all it may cost.
    expect(served(answers)).toBeGreaterThan(10)
    expect(served(answers)).toBeLessThanOrEqual(26)
    expect(away.every(({ status, error }) => status === 503 && error.code === 'store_unavailable')).toBe(true)
    expect(Number(away[0]?.headers['retry-after'])).toBeGreaterThan(0)
    expect(answers.at(-1)?.headers[HEADER]).toBe('local')
    expect(await isLocal(first)).toBe(true)
    expect(first.logs.map(({ event }) => event)).toContain('limits.local')
    await recover()
    await eventually(async () => !(await isLocal(first)), 'the store is back')
    paid += served(await spend(first, 3)) + served(await spend(second, 3))
    const last = await first.chat({ max_tokens: 20 })
    expect([last.status, last.headers[HEADER]]).toEqual([200, undefined])
    await expectSpent([first, second], paid + 1)
  },
)

test('fault 66: a strict budget spends nothing that was not lent', async () => {
  const limits = { max_budget: '0.003', budget_mode: 'strict' }
  const [first, second] = [await fleet.start(keyed(limits)), await fleet.start(keyed(limits))]
  let paid = served(await spend(first, 2)) + served(await spend(second, 2))
  await fleet.redis.pause()
  const during = [...(await spend(first, 30)), ...(await spend(second, 30))]
  paid += served(during)
  expect(paid * COST_NANO).toBeLessThanOrEqual(3_000_000)
  expect(during.filter(({ status }) => status === 503).length).toBeGreaterThan(10)
  await fleet.redis.resume()
  await eventually(async () => !(await isLocal(first)) && !(await isLocal(second)), 'the store is back')
  await expectSpent([first, second], paid)
})

test.each(FAULTS)(
  '%s, on_store_loss: deny: what has limits is refused at once, the rest goes on',
  async (_name, fail, recover) => {
    const free = 'sk-free-0123456789'
    const over = keyed({ max_budget: '1' }, { on_store_loss: 'deny' })
    const gateway = await fleet.start({ ...over, keys: [...over.keys, { name: 'free', key: free }] })
    expect((await gateway.chat()).status).toBe(200)
    await fail()
    await eventually(async () => (await gateway.chat()).status === 503, 'it is noticed')
    const got = await gateway.chat()
    expect(got.error.code).toBe('store_unavailable')
    expect((await gateway.chat({}, { key: free })).status).toBe(200)
    await recover()
    await eventually(async () => (await gateway.chat()).status === 200, 'the store is back')
  },
)

test('fault 64: Redis down at start: a soft budget has its small share, a rate its limit; nothing is charged twice', async () => {
  await fleet.redis.kill()
  const gateway = await fleet.start(keyed({ max_budget: '0.06', rpm: 1_000 }))
  const answers = await spend(gateway, 12)
  const paid = served(answers)
  expect(paid).toBeGreaterThan(0)
  expect(paid).toBeLessThanOrEqual(10)
  expect(answers.at(-1)?.status).toBe(503)
  await fleet.restart()
  await eventually(async () => !(await isLocal(gateway)), 'the store is there')
  await expectSpent([gateway], paid)
  expect((await gateway.chat({ max_tokens: 20 })).status).toBe(200)
})

test('seed 38: Redis lost and back empty: budgets are told once what was spent', async () => {
  const limits = { max_budget: '0.3', budget_mode: 'strict' }
  const [first, second] = [await fleet.start(keyed(limits)), await fleet.start(keyed(limits))]
  const paid = served(await spend(first, 6)) + served(await spend(second, 6))
  await expectSpent([first, second], paid)
  expect(await sendRedisCommand(fleet.redis.url, 'FLUSHALL')).toBe('+OK')
  await expectSpent([first, second], paid)
  const more = served(await spend(first, 3)) + served(await spend(second, 3))
  await expectSpent([first, second], paid + more)
})
