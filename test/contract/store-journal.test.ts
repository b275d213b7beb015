// The journal: what is acknowledged is on disk, once.

import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AttemptRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { openNodeSqlite, openNodeSqliteReader } from '#runtime/node/sqlite.ts'
import { migrate } from '#store/sqlite/migrate.ts'
import { MIGRATIONS } from '#store/sqlite/migrations.ts'
import { openSqliteLedger, type SqliteLedger } from '#store/sqlite/store.ts'
import {
  attemptRow,
  HOUR_MS,
  openAttempt,
  openRequest,
  requestRow,
  START_MS,
} from '../support/ledger-rows.ts'
import { realClock } from '../support/real-clock.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'

const folder = { path: '', remove: (): void => {} }
let file = ''
const ledgers: SqliteLedger[] = []

beforeEach(() => {
  Object.assign(folder, temporaryFolder())
  file = join(folder.path, 'journal.db')
})

afterEach(() => {
  for (const ledger of ledgers.splice(0)) {
    try {
      ledger.close()
    } catch {
      // Some tests leave a disk that cannot be written.
    }
  }
  folder.remove()
})

function open(options: Parameters<typeof openLedger>[1] = {}): SqliteLedger {
  const ledger = openLedger(file, options)
  ledgers.push(ledger)
  return ledger
}

function committed(ledger: SqliteLedger, id = 'r1'): Promise<Error | null> {
  return new Promise((resolve) => ledger.journal.request(requestRow({ id }), resolve))
}

/** Closes as a crash does: nothing that waits is written. */
function crash(ledger: SqliteLedger): void {
  ledger.journal.flush = () => true
  ledger.close()
}

function countRows(sql: string): unknown {
  const reader = openNodeSqliteReader(file)
  const row = reader.prepare(sql).get()
  reader.close()
  return row?.['count']
}

describe('the journal', () => {
  const steps = {
    open: (ledger: SqliteLedger) => ledger.journal.open(openRequest({}), openAttempt({})),
    attempt: (ledger: SqliteLedger) => ledger.journal.attempt(attemptRow({})),
    request: (ledger: SqliteLedger) => ledger.journal.request(requestRow({}), () => {}),
    flush: (ledger: SqliteLedger) => ledger.journal.flush(),
  } as const
  const orders: (keyof typeof steps)[][] = [
    ['open', 'attempt', 'request'],
    ['open', 'flush', 'attempt', 'request'],
    ['open', 'flush', 'attempt', 'flush', 'request'],
    ['open', 'flush', 'request', 'flush', 'attempt'],
    ['attempt', 'open', 'request'],
    ['attempt', 'flush', 'open', 'flush', 'request'],
    ['attempt', 'flush', 'request', 'flush', 'open'],
    ['request', 'flush', 'attempt', 'flush', 'open'],
    ['request', 'attempt', 'open'],
    ['open', 'attempt', 'attempt', 'flush', 'attempt', 'request', 'flush', 'attempt'],
  ]
  test.each(orders.map((order) => ({ order, name: order.join(', ') })))(
    'keeps one row per attempt after $name',
    async ({ order }) => {
      const ledger = open({ shipping: true })
      for (const step of order) steps[step](ledger)
      ledger.journal.flush()
      expect(ledger.journal.failure).toBeNull()
      expect(await ledger.store.request('r1')).toEqual({
        request: requestRow({}),
        attempts: [attemptRow({})],
      })
      const { total } = await ledger.store.usage({ groupBy: [], bucket: null, fromMs: null, toMs: null })
      expect(total).toMatchObject({ requests: 1, attempts: 1, costNano: 1_000_000n })
      expect(
        ledger.outbox
          .unshipped(10)
          ?.rows.map((row) => row.kind)
          .toSorted(),
      ).toEqual(['attempt', 'request'])
      expect(countRows('SELECT count(*) AS count FROM attempt')).toBe(1)
      expect(ledger.journal.pendingRows).toBe(0)
    },
  )

  test('tells the caller only when another reader of the file sees the row', async () => {
    const ledger = open()
    ledger.journal.open(openRequest({}), openAttempt({}))
    ledger.journal.attempt(attemptRow({}))
    const before = countRows('SELECT count(*) AS count FROM attempt')
    expect(await committed(ledger)).toBeNull()
    expect(before).toBe(0)
    expect(countRows("SELECT count(*) AS count FROM attempt WHERE outcome = 'success'")).toBe(1)
  })

  test('writes an attempt that opens and closes in one turn once', () => {
    const ledger = open()
    ledger.journal.open(openRequest({}), openAttempt({}))
    expect(ledger.journal.pendingRows).toBe(2)
    ledger.journal.attempt(attemptRow({}))
    ledger.journal.request(requestRow({}), () => {})
    expect(ledger.journal.pendingRows).toBe(2)
  })

  test('shows open requests with their open attempts and counts them only when they end', async () => {
    const ledger = open()
    ledger.journal.open(openRequest({}), openAttempt({}))
    ledger.journal.flush()
    expect((await ledger.store.requests({ limit: 5, cursor: null })).rows).toEqual([openRequest({})])
    expect((await ledger.store.request('r1'))?.attempts).toEqual([openAttempt({})])
    const everything = { groupBy: [], bucket: null, fromMs: null, toMs: null } as const
    expect((await ledger.store.usage(everything)).total.attempts).toBe(0)
  })

  test('answers usage exactly between two instants inside an hour', async () => {
    const ledger = open()
    for (const minute of [0, 10, 59, 60, 61, 130]) {
      const row = attemptRow({ requestId: `m${minute}`, startedAtMs: START_MS + minute * 60_000 })
      ledger.journal.attempt(row)
    }
    ledger.journal.flush()
    const attempts = async (from: number, to: number): Promise<number> => {
      const query = { groupBy: [], bucket: null, fromMs: START_MS + from, toMs: START_MS + to } as const
      return (await ledger.store.usage(query)).total.attempts
    }
    expect(await attempts(600_000, 3_540_000)).toBe(1)
    expect(await attempts(600_001, 3_540_001)).toBe(1)
    expect(await attempts(1, 2 * HOUR_MS + 600_001)).toBe(5)
    expect(await attempts(0, HOUR_MS)).toBe(3)
  })

  test('refuses a row that the file could not hold, so that it cannot hold up others', () => {
    const ledger = open()
    const usage = { ...attemptRow({}).usage, inputTokens: Number.NaN }
    expect(() => ledger.journal.attempt(attemptRow({ usage }))).toThrow('counts')
    expect(ledger.journal.pendingRows).toBe(0)
  })
})

describe('recovery', () => {
  const amountNano = 42n as Nano
  const estimate = (row: AttemptRow): AttemptRow => ({
    ...row,
    usage: { ...row.usage, outputTokens: 7 },
    cost: {
      amountNano,
      currency: 'CNY',
      nativeNano: amountNano,
      nativeCurrency: 'CNY',
      lines: [],
      priceVersion: 'v',
    },
  })

  test('books what a crash left open as interrupted, once, and leaves the rest alone', async () => {
    const first = open()
    first.recover(estimate)
    first.journal.open(openRequest({ id: 'done' }), openAttempt({ requestId: 'done' }))
    first.journal.attempt(attemptRow({ requestId: 'done' }))
    first.journal.request(requestRow({ id: 'done' }), () => {})
    first.journal.open(openRequest({ id: 'left' }), openAttempt({ requestId: 'left' }))
    first.journal.attempt(attemptRow({ requestId: 'left', outcome: 'timeout' }))
    first.journal.open(openRequest({ id: 'left' }), openAttempt({ requestId: 'left', attempt: 2 }))
    first.journal.flush()
    first.checkpoint()
    crash(first)

    const second = open()
    expect(second.epoch).toBe(first.epoch + 1)
    second.journal.open(openRequest({ id: 'new' }), openAttempt({ requestId: 'new' }))
    second.journal.flush()
    expect(second.recover(estimate)).toBe(1)
    expect(second.recover(estimate)).toBe(0)
    const left = await second.store.request('left')
    expect(left?.request).toMatchObject({ outcome: 'interrupted', attempts: 2, costNano: 1_000_042n })
    expect(left?.request.decision).toEqual(requestRow({}).decision)
    expect(left?.attempts.map((row) => row.outcome)).toEqual(['timeout', 'interrupted'])
    expect(left?.attempts[1]).toMatchObject({ usageSource: 'recovered', cost: { amountNano: 42n } })
    expect((await second.store.request('done'))?.request.outcome).toBe('success')
    expect((await second.store.request('new'))?.request.outcome).toBe('open')
    crash(second)

    const third = open()
    expect(third.recover(estimate)).toBe(1)
    expect((await third.store.request('new'))?.request.outcome).toBe('interrupted')
    const { total } = await third.store.usage({ groupBy: [], bucket: null, fromMs: null, toMs: null })
    expect(total).toMatchObject({ requests: 3, attempts: 4, estimatedAttempts: 2 })
  })

  test('finds what was left open however many requests ended since', () => {
    const first = open()
    first.recover(estimate)
    first.journal.open(openRequest({ id: 'old' }), openAttempt({ requestId: 'old' }))
    for (let index = 0; index < 50; index += 1) {
      first.journal.request(requestRow({ id: `n${index}`, attempts: 0 }), () => {})
      first.journal.flush()
    }
    first.checkpoint()
    crash(first)
    expect(open().recover(estimate)).toBe(1)
  })

  test('has nothing to do after an orderly end', async () => {
    const first = open()
    first.recover(estimate)
    first.journal.attempt(attemptRow({}))
    await committed(first)
    first.close()
    expect(open().recover(estimate)).toBe(0)
  })
})

describe('a disk that cannot be written', () => {
  /** A ledger whose file may grow no further until told so. */
  function openFull(): { ledger: SqliteLedger; relieve(): void } {
    const driver = openNodeSqlite(file)
    const ledger = openSqliteLedger(driver, {
      clock: realClock,
      schedule: setImmediate,
      makeInstance: () => 'full',
      shipping: false,
      pendingRowsMax: 6,
    })
    ledgers.push(ledger)
    driver.exec('PRAGMA max_page_count = 1')
    return { ledger, relieve: () => driver.exec('PRAGMA max_page_count = 1000000') }
  }
  const long = (id: string): AttemptRow =>
    attemptRow({ requestId: id, upstreamRequestId: 'x'.repeat(20_000) })

  test('is reported to who waits, keeps the rows, and writes them once when there is room', async () => {
    const { ledger, relieve } = openFull()
    ledger.journal.attempt(long('r1'))
    expect((await committed(ledger))?.message).toContain('full')
    expect(ledger.journal.pendingRows).toBe(3)
    ledger.journal.attempt(long('r2'))
    expect((await committed(ledger, 'r2'))?.message).toContain('full')
    relieve()
    expect(ledger.journal.flush()).toBe(true)
    expect(ledger.journal.failure).toBeNull()
    expect((await ledger.store.request('r1'))?.attempts).toEqual([long('r1')])
    const { total } = await ledger.store.usage({ groupBy: [], bucket: null, fromMs: null, toMs: null })
    expect(total.attempts).toBe(2)
    expect(ledger.journal.pendingRows).toBe(0)
  })

  test('stops new requests at the bound and still takes the ends of those that run', async () => {
    const { ledger, relieve } = openFull()
    for (const id of ['a', 'b', 'c']) {
      ledger.journal.open(openRequest({ id }), openAttempt({ requestId: id, model: 'm'.repeat(20_000) }))
    }
    ledger.journal.flush()
    expect(() => ledger.journal.open(openRequest({ id: 'd' }), openAttempt({ requestId: 'd' }))).toThrow(
      expect.objectContaining({ code: 'store_unavailable' }),
    )
    ledger.journal.attempt(attemptRow({ requestId: 'a' }))
    relieve()
    expect(await committed(ledger, 'a')).toEqual(expect.any(Error))
    expect(ledger.journal.flush()).toBe(true)
    expect((await ledger.store.request('a'))?.request.outcome).toBe('success')
  })
})

describe('the file', () => {
  test('belongs to one process: a second opener is refused in plain words', () => {
    open()
    expect(() => openNodeSqlite(file)).toThrow(/used by another Sluice process/)
  })

  test('is free again after closing, and can be read beside its owner', async () => {
    const ledger = open()
    ledger.journal.attempt(attemptRow({}))
    ledger.journal.flush()
    expect(countRows('SELECT count(*) AS count FROM attempt')).toBe(1)
    ledger.close()
    expect(open().instance).toBe('instance-1')
  })

  test('keeps the name of its instance', () => {
    open({ makeInstance: () => 'first' }).close()
    expect(open({ makeInstance: () => 'second' }).instance).toBe('first')
  })

  test('of a newer version, or of an edited schema, is refused', () => {
    const driver = openNodeSqlite(file)
    migrate(driver, [...MIGRATIONS, { number: 99, sql: 'CREATE TABLE later (x INTEGER) STRICT' }])
    expect(() => migrate(driver)).toThrow(/written by a newer Sluice \(schema 99, this one knows/)
    expect(() => migrate(driver, [{ number: 1, sql: 'SELECT 1' }])).toThrow(/newer|another schema/)
    driver.close()
  })

  test('is left as it was when a step of its schema fails', () => {
    const driver = openNodeSqlite(file)
    const broken = { number: 2, sql: 'CREATE TABLE half (x INTEGER) STRICT; CREATE TABLE attempt (x) STRICT' }
    expect(() => migrate(driver, [...MIGRATIONS, broken])).toThrow()
    expect(driver.prepare("SELECT count(*) AS count FROM sqlite_schema WHERE name = 'half'").get()).toEqual({
      count: 0,
    })
    migrate(driver)
    driver.close()
  })
})
