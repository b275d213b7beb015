// Marks, gaps and snapshots between a journal, Redis and the ledger of record: what is sent again, what is taken over, and
// that nothing counts twice.

import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { RedisConnection } from '#store/redis/connection.ts'
import { foundEmpty, lock, refound } from '#store/redis/founding.ts'
import { readMarks, readSnapshot } from '#store/redis/standing.ts'
import { createRedisStore, type RedisLedgerStore } from '#store/redis/store.ts'
import type { SqliteLedger } from '#store/sqlite/store.ts'
import {
  attemptRow,
  HOUR_MS,
  openAttempt,
  openRequest,
  requestRow,
  START_MS,
} from '../support/ledger-rows.ts'
import { type RedisServer, sendRedisCommand, startRedis } from '../support/redis-server.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'

const EVERYTHING = { groupBy: [], bucket: null, fromMs: null, toMs: null } as const
const POSITION = { life: 'l', entry: '0-0' }

let server: RedisServer
let connection: RedisConnection
let store: RedisLedgerStore
let folder: ReturnType<typeof temporaryFolder>
let opened: SqliteLedger[] = []

beforeEach(async () => {
  folder = temporaryFolder()
  server = await startRedis()
  connection = new RedisConnection({ url: server.url })
  store = createRedisStore({ connection })
  opened = []
})

afterEach(async () => {
  for (const ledger of opened) ledger.close()
  connection.close()
  await server.stop()
  folder.remove()
})

function open(name: string): SqliteLedger {
  const ledger = openLedger(join(folder.path, `${name}.db`), { shipping: true, makeInstance: () => name })
  opened.push(ledger)
  return ledger
}

function write(ledger: SqliteLedger, count: number, prefix: string): void {
  for (let index = 0; index < count; index += 1) {
    const id = `${prefix}${index}`
    const startedAtMs = START_MS + (index % 2) * HOUR_MS
    ledger.journal.open(
      openRequest({ id, timeMs: startedAtMs }),
      openAttempt({ requestId: id, startedAtMs }),
      () => {},
    )
    ledger.journal.attempt(attemptRow({ requestId: id, startedAtMs }))
    ledger.journal.request(requestRow({ id, timeMs: startedAtMs }), () => {})
  }
  ledger.journal.flush()
}

async function shipAll({ outbox }: SqliteLedger, rowsMax = 6): Promise<void> {
  for (let next = outbox.unshipped(rowsMax); next !== null; next = outbox.unshipped(rowsMax)) {
    expect(await store.ship(next)).toMatchObject({ kind: 'applied' })
    outbox.shipped(next)
  }
}

const attempts = async (): Promise<number> => (await store.usage(EVERYTHING)).total.attempts
const shippedMarks = async (ledger: SqliteLedger) => (await store.standing(ledger.instance)).marks

test('a ledger without life takes nothing, and one that has lost rows says from where', async () => {
  const ledger = open('one')
  write(ledger, 10, 'a')
  const first = ledger.outbox.unshipped(6)
  if (first === null) throw new Error('nothing to ship')
  expect(await store.ship(first)).toEqual({ kind: 'unfounded' })
  await foundEmpty(connection, 'life-1')
  ledger.outbox.shipped(first)
  const second = ledger.outbox.unshipped(6)
  if (second === null) throw new Error('nothing more to ship')
  expect(await store.ship(second)).toEqual({ kind: 'gap', life: 'life-1', mark: 0 })
  expect(await attempts()).toBe(0)
  expect(ledger.outbox.reconcile(await shippedMarks(ledger))).toBe(0)
  await shipAll(ledger)
  expect(await attempts()).toBe(10)
  expect(await store.ship(first)).toMatchObject({ kind: 'applied' })
  expect(await attempts()).toBe(10)
})

test('rows of former epochs are sent again too, and those that are gone are counted', async () => {
  await foundEmpty(connection, 'life-1')
  const before = open('one')
  write(before, 4, 'a')
  await shipAll(before)
  before.close()
  opened = []
  const ledger = open('one')
  write(ledger, 3, 'b')
  await shipAll(ledger)
  expect(await attempts()).toBe(7)
  await sendRedisCommand(server.url, 'FLUSHALL')
  await foundEmpty(connection, 'life-2')
  expect(ledger.outbox.reconcile(await shippedMarks(ledger))).toBe(0)
  await shipAll(ledger)
  expect(await attempts()).toBe(7)
  // Those of the first hour are pruned: two requests of each epoch; what this process has written is at hand still.
  ledger.outbox.prune(START_MS + 1, 500)
  await sendRedisCommand(server.url, 'FLUSHALL')
  await foundEmpty(connection, 'life-3')
  let lost = 0
  for (let rounds = 0; rounds < 10 && ledger.outbox.lastSequence > 0; rounds += 1) {
    lost += ledger.outbox.reconcile(await shippedMarks(ledger))
    for (let next = ledger.outbox.unshipped(6); next !== null; next = ledger.outbox.unshipped(6)) {
      if ((await store.ship(next)).kind !== 'applied') break
      ledger.outbox.shipped(next)
    }
    if (ledger.outbox.rowsWaiting === 0) break
  }
  expect(lost).toBe(4)
  expect(await attempts()).toBe(5)
})

test('a snapshot of Redis and of a file count the same, and each is made anew from the other', async () => {
  await foundEmpty(connection, 'life-1')
  const [one, two] = [open('one'), open('two')]
  write(one, 5, 'a')
  write(two, 6, 'b')
  await shipAll(one)
  await shipAll(two)
  // Not shipped yet: known to its own file alone.
  write(one, 2, 'c')
  one.record.adopt(await readSnapshot(connection), POSITION, 0)
  expect((await one.store.usage(EVERYTHING)).total).toMatchObject({ attempts: 13, costNano: 13_000_000n })
  expect((await one.store.usage({ ...EVERYTHING, groupBy: ['key'], bucket: 'day' })).total.attempts).toBe(13)
  await sendRedisCommand(server.url, 'FLUSHALL')
  expect(await lock(connection, 'life-2')).toBe(true)
  await refound(connection, 'life-2', one.record.snapshot())
  expect(await attempts()).toBe(13)
  expect(await readMarks(connection)).toEqual(one.record.marks())
  // What is counted is not sent again.
  for (const ledger of [one, two]) {
    expect(ledger.outbox.reconcile(await shippedMarks(ledger))).toBe(0)
    await shipAll(ledger)
  }
  expect(await attempts()).toBe(13)
  write(two, 1, 'd')
  await shipAll(two)
  expect(await attempts()).toBe(14)
})

test('what was spent comes with the rows that it counts, without those that wait to be shipped', async () => {
  await foundEmpty(connection, 'life-1')
  const one = open('one')
  write(one, 4, 'a')
  await shipAll(one)
  write(one, 2, 'b')
  one.record.adopt(await readSnapshot(connection), POSITION, 0)
  const key = { kind: 'key', name: 'demo' } as const
  const { marks, sums } = one.record.spent([
    { ...key, fromMs: null, byHour: false },
    { ...key, fromMs: null, byHour: true },
    { ...key, fromMs: START_MS + HOUR_MS, byHour: false },
    { kind: 'team', name: 'growth', fromMs: null, byHour: false },
    { kind: 'provider', name: 'doubao', fromMs: null, byHour: false },
    { kind: 'key', name: 'nobody', fromMs: null, byHour: false },
  ])
  const amounts = sums.map((list) => list.map(({ hourMs, amountNano }) => [hourMs, amountNano]))
  expect(amounts).toEqual([
    [[null, 4_000_000n]],
    [
      [START_MS, 2_000_000n],
      [START_MS + HOUR_MS, 2_000_000n],
    ],
    [[null, 2_000_000n]],
    [[null, 4_000_000n]],
    [[null, 4_000_000n]],
    [],
  ])
  expect([...marks.values()]).toEqual([8])
})

test('an archive that lacks rows before an entry applies nothing, and an entry that comes again counts once', () => {
  const one = open('one')
  one.record.adopt({ hours: new Map(), marks: new Map(), balances: [], adjustments: [] }, POSITION, 0)
  const other = open('other')
  write(other, 3, 'x')
  const shipment = other.outbox.unshipped(100)
  if (shipment?.kind !== 'requests') throw new Error('whole requests are shipped')
  const entries = shipment.requests.map(({ id, timeMs, text }, index) => {
    const [sequence, after] = [1 + 2 * index, 2 * index]
    return { instance: 'other', epoch: 1, sequence, after, kind: 'entry', id, timeMs, row: text } as const
  })
  expect(one.record.follow(entries.slice(1), POSITION)).toBe(false)
  expect(one.record.marks().get('other:1')).toBeUndefined()
  expect(one.record.follow(entries, POSITION)).toBe(true)
  expect(one.record.follow(entries, POSITION)).toBe(true)
  expect(one.record.marks().get('other:1')).toBe(6)
  expect(one.record.weight()).toBe(1)
  one.journal.flush()
  expect(one.record.snapshot().hours.size).toBe(2)
  expect(one.record.weight()).toBe(4)
})
