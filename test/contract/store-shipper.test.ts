// From the journal to Redis under faults: every row counts once, and nobody waits for a Redis that is gone.

import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { StoreUnavailableError } from '#store/errors.ts'
import { RedisConnection } from '#store/redis/connection.ts'
import { foundEmpty } from '#store/redis/founding.ts'
import { createRedisStore, type RedisLedgerStore } from '#store/redis/store.ts'
import { batchOfShipment } from '#store/shipment.ts'
import { createShipper, type Shipper, type ShipperState } from '#store/shipper.ts'
import type { SqliteLedger } from '#store/sqlite/store.ts'
import {
  attemptRow,
  batchOf,
  HOUR_MS,
  openAttempt,
  openRequest,
  requestRow,
  START_MS,
} from '../support/ledger-rows.ts'
import { realClock } from '../support/real-clock.ts'
import { type RedisServer, startRedis } from '../support/redis-server.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'

const EVERYTHING = { groupBy: [], bucket: null, fromMs: null, toMs: null } as const
const COMMAND_TIMEOUT_MS = 150

let server: RedisServer
let store: RedisLedgerStore
let ledger: SqliteLedger
let folder: ReturnType<typeof temporaryFolder>
let shipper: Shipper | null = null
let states: ShipperState[] = []
let watchers: ((state: ShipperState) => void)[] = []
let written = 0

beforeEach(async () => {
  folder = temporaryFolder()
  server = await startRedis({ appendOnly: true, folder: folder.path })
  store = createRedisStore({ url: server.url, commandTimeoutMs: COMMAND_TIMEOUT_MS })
  ledger = openLedger(join(folder.path, 'journal.db'), { shipping: true })
  states = []
  watchers = []
  written = 0
})

afterEach(async () => {
  await shipper?.stop(0)
  shipper = null
  await store.close()
  ledger.close()
  await server.stop()
  folder.remove()
})

function write(requests: number): void {
  for (let index = 0; index < requests; index += 1) {
    const id = `s${written++}`
    const startedAtMs = START_MS + (index % 3) * HOUR_MS
    const open = openAttempt({ requestId: id, startedAtMs })
    ledger.journal.open(openRequest({ id, timeMs: startedAtMs }), open, () => {})
    ledger.journal.attempt(attemptRow({ requestId: id, startedAtMs }))
    ledger.journal.request(requestRow({ id, timeMs: startedAtMs }), () => {})
  }
  ledger.journal.flush()
}

function ship(): void {
  shipper = createShipper({
    journal: ledger.outbox,
    store,
    found: () => foundIn(server.url),
    // The hour of the rows, so that the shipper does not prune what the tests still look at.
    clock: { ...realClock, nowMs: () => START_MS },
    batchRowsMax: 50,
    onState(state) {
      states.push(state)
      for (const watcher of watchers) watcher(state)
    },
  })
}

function until(holds: (state: ShipperState) => boolean): Promise<ShipperState> {
  return new Promise((resolve) => {
    const watcher = (state: ShipperState): void => {
      if (!holds(state)) return
      watchers = watchers.filter((other) => other !== watcher)
      resolve(state)
    }
    watchers.push(watcher)
  })
}

async function expectAllOnce(): Promise<void> {
  const { total } = await store.usage(EVERYTHING)
  expect(total).toMatchObject({
    requests: written,
    attempts: written,
    costNano: BigInt(written) * 1_000_000n,
  })
}

test('rows reach the shared store in order, and the journal forgets them an hour later', async () => {
  write(120)
  ship()
  await until((state) => state.rowsWaiting === 0)
  await expectAllOnce()
  expect(await store.request('s7')).toEqual(await ledger.store.request('s7'))
  expect(shipper?.state).toMatchObject({ isUp: true, rowsWaiting: 0, oldestAgeMs: 0 })
  expect(ledger.prune(START_MS + HOUR_MS, 30)).toBe(30)
  expect(ledger.prune(START_MS + HOUR_MS, 500)).toBe(10)
  expect(ledger.prune(START_MS + HOUR_MS, 500)).toBe(0)
  expect(await ledger.store.request('s0')).toBeNull()
})

test('requests that wait for the shipper are not forgotten', () => {
  write(3)
  expect(ledger.prune(START_MS + 100 * HOUR_MS, 500)).toBe(0)
})

test('a frozen Redis is down within the deadline, and what it had taken before it answered counts once', async () => {
  write(100)
  server.pause()
  ship()
  const down = await until((state) => !state.isUp)
  expect(down).toMatchObject({ rowsWaiting: 200, error: expect.any(StoreUnavailableError) })
  expect(down.oldestAgeMs).toBeGreaterThanOrEqual(0)
  await expect(store.usage(EVERYTHING)).rejects.toThrow(StoreUnavailableError)
  write(10)
  server.resume()
  await until((state) => state.rowsWaiting === 0)
  await expectAllOnce()
})

test('a batch whose answer was lost is not counted twice when it is sent again', async () => {
  write(20)
  const batch = ledger.outbox.unshipped(500)
  if (batch === null) throw new Error('nothing to ship')
  await store.usage(EVERYTHING)
  server.pause()
  const lost = await store.apply(batchOfShipment(batch)).catch((error: unknown) => error)
  expect(lost).toBeInstanceOf(StoreUnavailableError)
  server.resume()
  // The server now works off what it had received; the same rows come again, alone and with others.
  await expect
    .poll(() =>
      store.apply(batchOfShipment(batch)).then(
        () => true,
        () => false,
      ),
    )
    .toBe(true)
  write(5)
  for (let next = ledger.outbox.unshipped(500); next !== null; next = ledger.outbox.unshipped(500)) {
    await store.apply(batchOfShipment(next))
    ledger.outbox.shipped(next)
  }
  await expectAllOnce()
})

test('rows wait while Redis is dead and are there when it is back', async () => {
  write(60)
  ship()
  await until((state) => state.rowsWaiting === 0)
  await server.kill()
  write(60)
  const down = await until((state) => !state.isUp)
  expect(down.rowsWaiting).toBe(120)
  server = await startRedis({ appendOnly: true, folder: folder.path, port: Number(new URL(server.url).port) })
  await until((state) => state.rowsWaiting === 0)
  await expectAllOnce()
})

test('a server that forgot its scripts gets them again', async () => {
  write(10)
  ship()
  await until((state) => state.rowsWaiting === 0)
  await command('SCRIPT', 'FLUSH')
  write(10)
  await until((state) => state.rowsWaiting === 0)
  await expectAllOnce()
})

test('a full server takes nothing rather than half a batch', async () => {
  await command('CONFIG', 'SET', 'maxmemory', '1mb')
  await command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  write(10)
  ship()
  await until((state) => !state.isUp)
  await command('CONFIG', 'SET', 'maxmemory', '0')
  await until((state) => state.rowsWaiting === 0)
  await expectAllOnce()
})

test('stopping ships what is left, and gives up in time when it cannot', async () => {
  ship()
  write(300)
  expect(await shipper?.stop(5_000)).toBe(0)
  await expectAllOnce()
  await server.kill()
  write(10)
  ship()
  expect(await shipper?.stop(50)).toBe(20)
})

test('what could not be shipped is shipped by the next process under the same name', async () => {
  write(30)
  const batch = ledger.outbox.unshipped(30)
  if (batch !== null) await store.apply(batchOfShipment(batch))
  // The process dies before it notes that the batch was taken.
  ledger.close()
  ledger = openLedger(join(folder.path, 'journal.db'), { shipping: true, makeInstance: () => 'another' })
  write(5)
  ship()
  await until((state) => state.rowsWaiting === 0)
  await expectAllOnce()
})

test('the stream is capped, and what pointed at its rows goes with them', async () => {
  const small = createRedisStore({ url: server.url, rowsMax: 10 })
  const rows = Array.from({ length: 20 }, (_, index) => [
    { kind: 'attempt' as const, row: attemptRow({ requestId: `c${index}` }) },
    { kind: 'request' as const, row: requestRow({ id: `c${index}`, timeMs: START_MS + index }) },
  ]).flat()
  await small.apply(batchOf(rows))
  const page = await small.requests({ limit: 50, cursor: null })
  expect(page.rows.map((row) => row.id)).toEqual(['c19', 'c18', 'c17', 'c16', 'c15'])
  expect(await small.request('c14')).toBeNull()
  expect(await command('HLEN', '{sluice}:entries')).toBe(5)
  expect(await command('XLEN', '{sluice}:rows')).toBe(10)
  expect((await small.usage(EVERYTHING)).total.attempts).toBe(20)
  await small.close()
})

test('counters and high-water marks end some day', async () => {
  await store.apply(batchOf([{ kind: 'attempt', row: attemptRow({}) }]))
  for (const key of [
    `{sluice}:hour:${START_MS}`,
    `{sluice}:day:${START_MS - 23 * HOUR_MS}`,
    '{sluice}:applied:one',
  ]) {
    expect(await command('TTL', key)).toBeGreaterThan(399 * 86_400)
  }
})

async function command(name: string, ...values: string[]): Promise<unknown> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(server.url)
  try {
    return await redis.call(name, ...values)
  } finally {
    redis.disconnect()
  }
}

async function foundIn(url: string): Promise<void> {
  const connection = new RedisConnection({ url, commandTimeoutMs: COMMAND_TIMEOUT_MS })
  try {
    await foundEmpty(connection, crypto.randomUUID())
  } finally {
    connection.close()
  }
}
