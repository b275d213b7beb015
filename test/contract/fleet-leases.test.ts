// What becomes of leases: idle ones go to who lacks them, those of the dead come free by age, and a Redis that was emptied
// lends nothing before all have said what they hold.

import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Scope } from '#core/admission.ts'
import type { PursePort } from '#store/admission/lease-words.ts'
import { createRedisPurses } from '#store/redis/purses.ts'
import { FleetInstance, type FleetParts, RowLedger } from '../support/fleet-instances.ts'
import { eventually } from '../support/gateway.ts'
import { type RedisServer, sendRedisCommand, startRedis } from '../support/redis-server.ts'
import { budgetOf, claimOf, scopeOf } from '../unit/store/admission/support.ts'

const TURN_MS = 50

let redis: RedisServer
let port: PursePort
let instances: FleetInstance[]
let turning: NodeJS.Timeout

beforeAll(async () => {
  redis = await startRedis()
  port = createRedisPurses({ url: redis.url })
})

afterAll(async () => {
  port.close()
  await redis.stop()
})

beforeEach(async () => {
  await sendRedisCommand(redis.url, 'FLUSHALL')
  instances = []
  turning = setInterval(() => {
    for (const instance of instances) instance.turn()
  }, TURN_MS)
})

afterEach(async () => {
  clearInterval(turning)
  for (const instance of instances) await instance.keeper.close(500)
})

const ledgerOf = (): RowLedger => new RowLedger()

function start(name: string, scopes: readonly Scope[], parts: Partial<FleetParts> = {}): FleetInstance {
  const instance = new FleetInstance(name, { port, ledger: ledgerOf(), scopes: () => scopes, ...parts })
  instances.push(instance)
  return instance
}

const take = (instance: FleetInstance, scope: Scope, nano: number, tokens = 1): Promise<boolean> =>
  instance.begin([scope], [], claimOf(nano, tokens))

test('what one has idle is given to another one while its request waits', async () => {
  const key = scopeOf('key', { name: 'k', budget: budgetOf(1_000) })
  const [first, second] = [start('a', [key]), start('b', [key])]
  for (let index = 0; index < 10; index += 1) expect(await take(first, key, 90)).toBe(true)
  for (let index = 0; index < 10; index += 1) first.end(0n, { key: 'k' })
  // All of it is there, and the first may still keep some for those that will come.
  expect(await take(second, key, 1_000)).toBe(true)
})

test('leases that nobody uses are all given back', async () => {
  const key = scopeOf('key', { name: 'k', budget: budgetOf(10_000), limits: { concurrency: 50 } })
  const first = start('a', [key])
  await Promise.all(Array.from({ length: 20 }, () => take(first, key, 10)))
  for (let index = 0; index < 20; index += 1) first.end(0n, { key: 'k' })
  for (let round = 0; round < 5; round += 1) await first.ship(50)
  await eventually(
    async () => (await sendRedisCommand(redis.url, 'HLEN "{org:}:lent"')) === ':0',
    'nothing is lent',
  )
})

test('what a dead instance was lent comes free by its age, by the clock of Redis', async () => {
  const key = scopeOf('key', { name: 'k', budget: budgetOf(100) })
  const parts = { keptMs: 600 }
  const [first, second] = [start('a', [key], parts), start('b', [key], parts)]
  expect(await take(first, key, 80)).toBe(true)
  first.die()
  expect(await take(second, key, 80)).toBe(false)
  await eventually(() => take(second, key, 80), 'it is free')
})

test('a Redis that was emptied lends nothing that runs elsewhere', async () => {
  const key = scopeOf('key', { name: 'k', budget: budgetOf(100), limits: { concurrency: 3 } })
  const ledger = ledgerOf()
  const [first, second] = [start('a', [key], { ledger }), start('b', [key], { ledger })]
  // The ledger has rows, so there may be others that hold something.
  expect(await take(second, key, 10)).toBe(true)
  second.end(10n, { key: 'k' })
  while (!second.areAllShipped) await second.ship()
  expect(await take(first, key, 60)).toBe(true)
  await sendRedisCommand(redis.url, 'FLUSHALL')
  let taken = 0
  for (let round = 0; round < 12; round += 1) {
    if (await take(second, key, 30)) taken += 1
    await wait(100)
  }
  // 10 are spent and 60 are held: one of 30 fits, and not a second one.
  await eventually(async () => {
    if (taken === 0 && (await take(second, key, 30))) taken += 1
    return taken > 0
  }, 'it is there again')
  expect(taken).toBe(1)
  expect(await take(second, key, 1)).toBe(false)
})

test('a Redis that was emptied is told of the rates of the last minute', async () => {
  const key = scopeOf('key', { name: 'k', limits: { rpm: 10, tpm: 1_000 }, budget: budgetOf(1_000_000) })
  const ledger = ledgerOf()
  const [first, second] = [start('a', [key], { ledger }), start('b', [key], { ledger })]
  for (const instance of [first, second])
    for (let index = 0; index < 5; index += 1) expect(await take(instance, key, 1, 50)).toBe(true)
  for (const instance of [first, second]) {
    for (let index = 0; index < 5; index += 1) instance.end(1n, { key: 'k' })
    while (!instance.areAllShipped) await instance.ship()
  }
  await wait(300)
  await sendRedisCommand(redis.url, 'FLUSHALL')
  for (let round = 0; round < 30; round += 1) {
    expect(await take(first, key, 1, 1)).toBe(false)
    await wait(50)
  }
  expect(await take(second, key, 1, 1)).toBe(false)
})
