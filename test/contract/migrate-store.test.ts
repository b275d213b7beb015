// A ledger moved from a file into Redis and back: the sums are the same on each side, whatever was cut off on the way.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { LedgerRow } from '#core/ledger.ts'
import { type Moved, migrateStore } from '#runtime/node/migrate-store.ts'
import { RedisConnection } from '#store/redis/connection.ts'
import { createRedisKeyStore } from '#store/redis/key-store.ts'
import { createRedisStore } from '#store/redis/store.ts'
import {
  adjustmentRow,
  arbitraryRows,
  attemptRow,
  batchOf,
  discounted,
  HOUR_MS,
  requestRow,
  START_MS,
} from '../support/ledger-rows.ts'
import { type RedisServer, startRedis } from '../support/redis-server.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'
import { storedKey } from '../support/stored-keys.ts'

const SEED = 31_127
const DAY_MS = 24 * HOUR_MS

let redis: RedisServer
let folder: ReturnType<typeof temporaryFolder>
let files = 0

beforeAll(async () => {
  redis = await startRedis()
  folder = temporaryFolder()
})

beforeEach(() => flush())

afterAll(async () => {
  await redis.stop()
  folder.remove()
})

async function flush(): Promise<void> {
  const connection = new RedisConnection({ url: redis.url })
  await connection.run((client) => client.flushall())
  connection.close()
}

const newFile = (): string => join(folder.path, `${files++}.db`)

/** Closed, as a gateway leaves it. */
async function fileOf(rows: readonly LedgerRow[], path = newFile()): Promise<string> {
  const ledger = openLedger(path)
  await ledger.store.apply(batchOf(rows))
  await ledger.keys.create(storedKey({ id: 'key_0001', name: 'web' }))
  await ledger.keys.replace(storedKey({ id: 'key_0001', name: 'web', version: 2 }))
  ledger.close()
  return path
}

const ROWS: readonly LedgerRow[] = [
  ...discounted('a', START_MS),
  ...discounted('b', START_MS + 3 * DAY_MS),
  { kind: 'attempt', row: attemptRow({ requestId: 'c', startedAtMs: START_MS + 40 * DAY_MS, cost: null }) },
  { kind: 'request', row: requestRow({ id: 'c', timeMs: START_MS + 40 * DAY_MS, costNano: null }) },
  { kind: 'adjustment', row: adjustmentRow({ requestId: 'a' }) },
]

const isProven = ({ proof, rows }: Moved): boolean =>
  (rows === 0 || proof.length > 0) && proof.every(({ isEqual }) => isEqual)

test('everything that a file has is in Redis, and back in a new file', async () => {
  const path = await fileOf(ROWS)
  writeFileSync(`${path}.secret`, 'a-secret-of-keys\n')
  const there = await migrateStore(`sqlite:${path}`, redis.url, {})
  expect(isProven(there)).toBe(true)
  expect(there).toMatchObject({ rows: 6, adjustments: 1, hours: 3, keys: 1 })
  const store = createRedisStore({ url: redis.url })
  const keys = createRedisKeyStore({ url: redis.url, makeLife: () => 'x' })
  expect(await store.request('a')).toMatchObject({
    request: { id: 'a' },
    attempts: [{ target: 'doubao/seed' }],
  })
  expect((await keys.named('web'))?.version).toBe(2)
  expect(await keys.secret('another')).toBe('a-secret-of-keys')
  const target = newFile()
  const back = await migrateStore(redis.url, `sqlite:${target}`, {})
  expect(isProven(back)).toBe(true)
  expect(readFileSync(`${target}.secret`, 'utf8')).toBe('a-secret-of-keys\n')
  expect(existsSync(`${target}.migrating`)).toBe(false)
  const [before, after] = [openLedger(path), openLedger(target)]
  const query = { groupBy: ['key', 'tag:team', 'target'], bucket: 'day', fromMs: null, toMs: null } as const
  expect(await after.store.usage(query)).toEqual(await before.store.usage(query))
  expect(await after.store.balances()).toEqual(await before.store.balances())
  expect(await after.store.request('b')).toEqual(await before.store.request('b'))
  expect(await after.store.adjustments({ limit: 9, cursor: null })).toEqual(
    await before.store.adjustments({ limit: 9, cursor: null }),
  )
  expect((await after.keys.named('web'))?.version).toBe(2)
  before.close()
  after.close()
  await store.close()
  await keys.close()
})

test('a second run changes nothing, and a ledger of something else is left alone', async () => {
  const path = await fileOf(ROWS)
  await migrateStore(`sqlite:${path}`, redis.url, {})
  expect(isProven(await migrateStore(`sqlite:${path}`, redis.url, {}))).toBe(true)
  const other = await fileOf(discounted('z', START_MS))
  await expect(migrateStore(`sqlite:${other}`, redis.url, {})).rejects.toThrow('not from this file')
  const store = createRedisStore({ url: redis.url })
  await store.apply({ ...batchOf(discounted('new', START_MS)), instance: 'gateway' })
  await store.close()
  await expect(migrateStore(`sqlite:${path}`, redis.url, {})).rejects.toThrow('not from this file as it is')
  const target = newFile()
  await migrateStore(redis.url, `sqlite:${target}`, {})
  await expect(migrateStore(redis.url, `sqlite:${target}`, {})).rejects.toThrow('is there already')
})

test('what was cut off anywhere goes on, and comes out the same', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryRows(25), fc.nat(30), async (rows, taken) => {
      await flush()
      const path = await fileOf(rows)
      // As after a crash: some rows are there under the marks of the run, and counters are half written.
      const cut = createRedisStore({ url: redis.url })
      const whole = await migrateStore(`sqlite:${path}`, redis.url, {})
      expect(isProven(whole)).toBe(true)
      const connection = new RedisConnection({ url: redis.url })
      const hours = await connection.run((client) => client.zrange('{sluice}:hours', '0', '-1'))
      for (const hour of hours.slice(0, taken))
        await connection.run((client) => client.del(`{sluice}:hour:${hour}`))
      connection.close()
      expect(isProven(await migrateStore(`sqlite:${path}`, redis.url, {}))).toBe(true)
      const target = newFile()
      expect(isProven(await migrateStore(redis.url, `sqlite:${target}`, {}))).toBe(true)
      await cut.close()
    }),
    { seed: SEED, numRuns: 12 },
  )
})

test('hours whose rows are gone move as counters, both ways', async () => {
  const path = newFile()
  const ledger = openLedger(path)
  await ledger.store.apply(batchOf(ROWS))
  await ledger.store.usage({ groupBy: [], bucket: null, fromMs: null, toMs: null })
  expect(ledger.prune(START_MS + 10 * DAY_MS, 100)).toBe(2)
  ledger.close()
  const there = await migrateStore(`sqlite:${path}`, redis.url, {})
  expect(there).toMatchObject({ rows: 2, hours: 3 })
  expect(isProven(there)).toBe(true)
  const target = newFile()
  expect(isProven(await migrateStore(redis.url, `sqlite:${target}`, {}))).toBe(true)
  const after = openLedger(target)
  expect(
    (await after.store.usage({ groupBy: [], bucket: null, fromMs: null, toMs: null })).total.requests,
  ).toBe(3)
  expect(after.rowsFromMs).toBe(START_MS + 3 * DAY_MS + HOUR_MS)
  after.close()
})

test('a file that a gateway holds is left alone, and so is one that is not there', async () => {
  const path = await fileOf(ROWS)
  const holder = openLedger(path)
  await expect(migrateStore(`sqlite:${path}`, redis.url, {})).rejects.toThrow(
    'used by another Sluice process',
  )
  holder.close()
  await expect(migrateStore(`sqlite:${path}.none`, redis.url, {})).rejects.toThrow('there is no')
  const connection = new RedisConnection({ url: redis.url })
  await connection.run((client) => client.hset('{sluice}:instance:abc', 'owner', 'x'))
  await expect(migrateStore(`sqlite:${path}`, redis.url, {})).rejects.toThrow('stop them first')
  connection.close()
})
