// Limits that several gateways share over a Redis that is slow, loses replies, is full, forgets its scripts, or lets nobody
// run them; and what becomes of what a gateway was lent that dies or starts again.

import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import {
  type BudgetSaid,
  budgetOf,
  COST_NANO,
  keyed,
  nanoOf,
  served,
  spend,
} from '../support/fleet-budget.ts'
import { eventually, type TestGateway } from '../support/gateway.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { openRedisFleet, type RedisFleet } from '../support/redis-fleet.ts'
import { sendRedisCommand } from '../support/redis-server.ts'

let fleet: RedisFleet
let proxy: FaultProxy

beforeEach(async () => {
  fleet = await openRedisFleet()
  proxy = await startFaultProxy(Number(new URL(fleet.redis.url).port), 20_261_125)
})

afterEach(async () => {
  proxy.delayReplies(0)
  proxy.dropReplies(0)
  await fleet.close()
  await proxy.stop()
})

const throughProxy = (): string => `redis://127.0.0.1:${proxy.port}`

async function expectSpent(gateway: TestGateway, requests: number): Promise<void> {
  let last: BudgetSaid | null = null
  await eventually(async () => {
    last = await budgetOf(gateway)
    return nanoOf(last.spent) === requests * COST_NANO && nanoOf(last.held) === 0
  }, 'all is charged').catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(last)}, wanted ${requests * COST_NANO}`)
  })
}

test('seed 37, fault 67: Redis answers after 50 ms: all goes on', async () => {
  const gateway = await fleet.start(
    keyed({ max_budget: '1', budget_mode: 'strict', rpm: 1_000 }),
    throughProxy(),
  )
  proxy.delayReplies(50)
  const answers = await Promise.all(Array.from({ length: 30 }, () => gateway.chat({ max_tokens: 20 })))
  expect(served(answers)).toBe(30)
  await expectSpent(gateway, 30)
})

test('seed 37, fault 67: Redis answers after 500 ms: nobody waits for it, and nothing is spent that was not lent', async () => {
  const gateway = await fleet.start(keyed({ max_budget: '0.3', rpm: 1_000 }), throughProxy())
  let paid = served(await spend(gateway, 3))
  proxy.delayReplies(500)
  const answers = await spend(gateway, 30)
  paid += served(answers)
  expect(served(answers)).toBeGreaterThan(5)
  expect(answers.filter(({ status }) => status !== 200 && status !== 503)).toEqual([])
  proxy.delayReplies(0)
  await eventually(
    async () => readScrape(await gateway.metrics()).sum('sluice_limits_local') === 0,
    'it is quick again',
  )
  paid += served(await spend(gateway, 3))
  await expectSpent(gateway, paid)
})

test('fault 68: a third of the replies get lost: each request is charged once', async () => {
  const limits = { max_budget: '0.05' }
  const gateways = [await fleet.start(keyed(limits), throughProxy()), await fleet.start(keyed(limits))]
  proxy.dropReplies(0.3)
  let paid = 0
  for (let round = 0; round < 6; round += 1)
    for (const gateway of gateways) paid += served(await spend(gateway, 4))
  proxy.dropReplies(0)
  expect(proxy.lostReplies).toBeGreaterThan(0)
  expect(paid).toBeGreaterThan(20)
  for (const gateway of gateways) await expectSpent(gateway, paid)
})

test('fault 70: a full Redis lends nothing and forgets nothing', async () => {
  const gateway = await fleet.start(keyed({ max_budget: '0.06' }))
  let paid = served(await spend(gateway, 4))
  await expectSpent(gateway, paid)
  // What nothing needs goes back.
  await wait(1_500)
  await sendRedisCommand(fleet.redis.url, 'CONFIG SET maxmemory 1')
  const answers = await spend(gateway, 30)
  paid += served(answers)
  // One hundredth of the budget are ten requests.
  expect(served(answers)).toBeLessThanOrEqual(10)
  expect(answers.at(-1)?.error.code).toBe('store_unavailable')
  await sendRedisCommand(fleet.redis.url, 'CONFIG SET maxmemory 0')
  await expectSpent(gateway, paid)
  expect((await gateway.chat()).status).toBe(200)
})

test('fault 72: FLUSHALL amid requests: what was spent is read again before anything is lent', async () => {
  const gateway = await fleet.start(keyed({ max_budget: '0.3', budget_mode: 'strict' }))
  let paid = 0
  for (let round = 0; round < 3; round += 1) {
    const running = spend(gateway, 10)
    await sendRedisCommand(fleet.redis.url, 'FLUSHALL')
    paid += served(await running)
  }
  await expectSpent(gateway, paid)
})

test('fault 73: scripts that Redis forgets all the time are sent again', async () => {
  const gateway = await fleet.start(keyed({ max_budget: '1', rpm: 1_000 }))
  let isOver = false
  const flushing = (async () => {
    while (!isOver) await sendRedisCommand(fleet.redis.url, 'SCRIPT FLUSH')
  })()
  expect(served(await spend(gateway, 40))).toBe(40)
  isOver = true
  await flushing
  await expectSpent(gateway, 40)
})

test('fault 78: a clock that is five minutes off changes nothing that Redis counts', async () => {
  const gateways = [await fleet.start(keyed({ rpm: 5 })), await fleet.start(keyed({ rpm: 5 }))]
  const real = Date.now
  Date.now = () => real() + 5 * 60_000
  try {
    const answers = (await Promise.all(gateways.map((gateway) => spend(gateway, 5)))).flat()
    expect(served(answers)).toBe(5)
    Date.now = () => real() - 5 * 60_000
    expect(served((await Promise.all(gateways.map((gateway) => spend(gateway, 2)))).flat())).toBe(0)
  } finally {
    Date.now = real
  }
})

test('a gateway that is killed and starts again gives back what it was lent, and its open attempt is charged once', async () => {
  const over = keyed({ max_budget: '0.004', budget_mode: 'strict' })
  const first = await fleet.startChild(undefined, over)
  expect(served(await spend(first, 5))).toBe(5)
  await expectSpent(first, 5)
  fleet.upstream.script({ ending: 'hang', steps: [] })
  void first.chat({ max_tokens: 20 }).catch(() => undefined)
  await eventually(() => fleet.upstream.requests.length === 6, 'one request hangs')
  await first.kill('SIGKILL')
  const second = await fleet.startChild(first.folder, over)
  let last: BudgetSaid | null = null
  await eventually(
    async () => {
      last = await budgetOf(second)
      return nanoOf(last.spent) > 5 * COST_NANO && nanoOf(last.held) === 0
    },
    `the estimate is charged and nothing is held (${JSON.stringify(last)})`,
  )
  const usage = (await second.admin('/usage')) as { total: { cost: string; requests: number } }
  expect(usage.total.requests).toBe(6)
  expect((await budgetOf(second)).spent).toBe(usage.total.cost)
})

test('what a gateway was lent is free for others when it has ended', async () => {
  const over = keyed({ max_budget: '0.004', budget_mode: 'strict', concurrency: 2 })
  const first = await fleet.startChild(undefined, over)
  expect(served(await spend(first, 5))).toBe(5)
  await first.kill('SIGTERM')
  const lent = await sendRedisCommand(fleet.redis.url, 'HGETALL {org:}:lent')
  expect(lent).toBe('*0')
  const second = await fleet.start(over)
  expect(served(await spend(second, 1))).toBe(1)
  await expectSpent(second, 6)
})
