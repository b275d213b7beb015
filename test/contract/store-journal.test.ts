// The journal: what is acknowledged is on disk, once.

import { readdirSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NO_AMOUNTS } from '#core/amounts.ts'
import type { AttemptRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { openNodeAppendLog } from '#runtime/node/append-log.ts'
import { openNodeSqlite, openNodeSqliteReader } from '#runtime/node/sqlite.ts'
import { batchOfShipment } from '#store/shipment.ts'
import type { AppendLog } from '#store/sqlite/append-log.ts'
import type { SqlDriver } from '#store/sqlite/driver.ts'
import { replay } from '#store/sqlite/live-request.ts'
import { migrate } from '#store/sqlite/migrate.ts'
import { MIGRATIONS } from '#store/sqlite/migrations.ts'
import { openSqliteLedger, type SqliteLedger, type SqliteLedgerOptions } from '#store/sqlite/store.ts'
import {
  attemptRow,
  HOUR_MS,
  openAttempt,
  openRequest,
  requestRow,
  START_MS,
} from '../support/ledger-rows.ts'
import { realClock } from '../support/real-clock.ts'
import { temporaryFolder } from '../support/sqlite-ledger.ts'

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

/** Closes as a crash does: nothing that waits is written, and the log stays as it is. */
function crash(ledger: SqliteLedger): void {
  ledgers.splice(ledgers.indexOf(ledger), 1)
  ledger.journal.stop()
  drivers.get(ledger)?.close()
}

const drivers = new WeakMap<SqliteLedger, SqlDriver>()

function open(options: Partial<SqliteLedgerOptions> = {}): SqliteLedger {
  const driver = openNodeSqlite(file)
  const ledger = openSqliteLedger(driver, { ...defaults(), log: openNodeAppendLog(file), ...options })
  drivers.set(ledger, driver)
  ledgers.push(ledger)
  return ledger
}

function defaults(): Omit<SqliteLedgerOptions, 'log'> {
  return { clock: realClock, schedule: setImmediate, makeInstance: () => 'instance-1', shipping: false }
}

const nobody = (): void => {}

/** Opens a request and its first attempt. */
function begin(ledger: SqliteLedger, id = 'r1'): void {
  ledger.journal.open(openRequest({ id }), openAttempt({ requestId: id }), nobody)
}

function committed(ledger: SqliteLedger, id = 'r1'): Promise<Error | null> {
  return new Promise((resolve) => ledger.journal.request(requestRow({ id }), resolve))
}

/** One request from its opening to its end; resolves when it is durable. */
function whole(ledger: SqliteLedger, id = 'r1', fields: Partial<AttemptRow> = {}): Promise<Error | null> {
  begin(ledger, id)
  ledger.journal.attempt(attemptRow({ requestId: id, ...fields }))
  return committed(ledger, id)
}

function countRows(sql: string): unknown {
  const reader = openNodeSqliteReader(file)
  const row = reader.prepare(sql).get()
  reader.close()
  return row?.['count']
}

/** What a process that starts now would find in the log. */
function logged(id: string): string | undefined {
  const log = openNodeAppendLog(file)
  const found = replay(log.read()).get(id)
  log.close()
  return found?.request.outcome
}

const EVERYTHING = { groupBy: [], bucket: null, fromMs: null, toMs: null } as const

describe('the journal', () => {
  test.each([
    ['at the end', []],
    ['after each step', ['open', 'attempt', 'request']],
    ['while the attempt runs', ['open']],
    ['between the attempt and the end', ['attempt']],
  ])('keeps one row per attempt when the tables are written %s', async (_name, moments) => {
    const ledger = open({ shipping: true })
    const flushAt = (moment: string): void => void (moments.includes(moment) && ledger.journal.flush())
    begin(ledger)
    flushAt('open')
    ledger.journal.attempt(attemptRow({}))
    flushAt('attempt')
    ledger.journal.request(requestRow({}), nobody)
    flushAt('request')
    expect(await ledger.store.request('r1')).toEqual({ request: requestRow({}), attempts: [attemptRow({})] })
    const { total } = await ledger.store.usage(EVERYTHING)
    expect(total).toMatchObject({ requests: 1, attempts: 1, costNano: 1_000_000n })
    const shipment = ledger.outbox.unshipped(10)
    const rows = shipment === null ? [] : batchOfShipment(shipment).rows
    expect(rows.map((row) => row.kind)).toEqual(['attempt', 'request'])
    expect(countRows('SELECT count(*) AS count FROM attempt_group')).toBe(1)
    expect(ledger.journal.pendingRows).toBe(0)
  })

  test('tells the caller only when another process would find the row', async () => {
    const ledger = open()
    const opened = new Promise((resolve) => ledger.journal.open(openRequest({}), openAttempt({}), resolve))
    expect(logged('r1')).toBeUndefined()
    expect(await opened).toBeNull()
    expect(logged('r1')).toBe('open')
    ledger.journal.attempt(attemptRow({}))
    const ended = committed(ledger)
    expect(logged('r1')).toBe('open')
    expect(await ended).toBeNull()
    expect(logged('r1')).toBe('success')
  })

  test('shows open requests with their open attempts and counts attempts as they end', async () => {
    const ledger = open()
    begin(ledger)
    expect((await ledger.store.requests({ limit: 5, cursor: null })).rows).toEqual([openRequest({})])
    expect((await ledger.store.request('r1'))?.attempts).toEqual([openAttempt({})])
    expect((await ledger.store.usage(EVERYTHING)).total.attempts).toBe(0)
    ledger.journal.attempt(attemptRow({ outcome: 'timeout' }))
    ledger.journal.open(openRequest({}), openAttempt({ attempt: 2 }), nobody)
    expect((await ledger.store.usage(EVERYTHING)).total.attempts).toBe(1)
    ledger.journal.attempt(attemptRow({ attempt: 2 }))
    ledger.journal.request(requestRow({ attempts: 2 }), nobody)
    expect((await ledger.store.usage(EVERYTHING)).total.attempts).toBe(2)
    expect((await ledger.store.requests({ limit: 5, cursor: null })).rows).toHaveLength(1)
  })

  test('lists running and ended requests in one order, page by page', async () => {
    const ledger = open()
    for (const [index, id] of ['a', 'b', 'c', 'd'].entries()) {
      const timeMs = START_MS + index
      ledger.journal.open(openRequest({ id, timeMs }), openAttempt({ requestId: id }), nobody)
      if (id === 'b' || id === 'd') continue
      ledger.journal.attempt(attemptRow({ requestId: id }))
      ledger.journal.request(requestRow({ id, timeMs }), nobody)
    }
    const first = await ledger.store.requests({ limit: 2, cursor: null })
    const second = await ledger.store.requests({ limit: 2, cursor: first.nextCursor })
    expect([...first.rows, ...second.rows].map((row) => row.id)).toEqual(['d', 'c', 'b', 'a'])
    expect(second.nextCursor).toBeNull()
  })

  test('answers usage exactly between two instants inside an hour', async () => {
    const ledger = open()
    for (const minute of [0, 10, 59, 60, 61, 130]) {
      await whole(ledger, `m${minute}`, { startedAtMs: START_MS + minute * 60_000 })
    }
    const attempts = async (from: number, to: number): Promise<number> => {
      const query = { groupBy: [], bucket: null, fromMs: START_MS + from, toMs: START_MS + to } as const
      return (await ledger.store.usage(query)).total.attempts
    }
    expect(await attempts(600_000, 3_540_000)).toBe(1)
    expect(await attempts(600_001, 3_540_001)).toBe(1)
    expect(await attempts(1, 2 * HOUR_MS + 600_001)).toBe(5)
    expect(await attempts(0, HOUR_MS)).toBe(3)
  })

  test('keeps what one transaction counts apart by hour and series, and sums it exactly', async () => {
    const ledger = open()
    const rows = [
      { startedAtMs: START_MS, cost: null },
      { startedAtMs: START_MS + 1, target: 'qwen/flash', usageSource: 'recovered' },
      { startedAtMs: START_MS + 2, outcome: 'timeout', usageSource: 'estimated' },
      { startedAtMs: START_MS + HOUR_MS },
    ] as const
    for (const [index, fields] of rows.entries()) {
      begin(ledger, `g${index}`)
      ledger.journal.attempt(attemptRow({ requestId: `g${index}`, ...fields }))
      ledger.journal.request(requestRow({ id: `g${index}` }), nobody)
    }
    const part = { fromMs: START_MS + 1, toMs: START_MS + HOUR_MS - 1 }
    const report = await ledger.store.usage({ groupBy: ['target'], bucket: 'hour', ...part })
    expect(report.rows.map((row) => [row.group[0], row.attempts])).toEqual([
      ['doubao/seed', 1],
      ['qwen/flash', 1],
    ])
    expect(report.total).toMatchObject({ requests: 2, estimatedAttempts: 2, unpricedAttempts: 0 })
    const gap = { fromMs: START_MS + 1, toMs: START_MS + 2 }
    const ofGap = await ledger.store.usage({ groupBy: ['target'], bucket: null, ...gap })
    expect(ofGap.rows.map((row) => row.group)).toEqual([['qwen/flash']])
    const first = { groupBy: [], bucket: null, fromMs: START_MS, toMs: START_MS + 1 } as const
    expect((await ledger.store.usage(first)).total).toEqual({
      requests: 1,
      attempts: 1,
      adjustmentNano: 0n,
      inputTokens: 100,
      cachedInputTokens: 10,
      outputTokens: 20,
      reasoningTokens: 5,
      costNano: 0n,
      estimatedAttempts: 0,
      unpricedAttempts: 1,
      ...NO_AMOUNTS,
    })
    expect(countRows('SELECT count(*) AS count FROM attempt_group')).toBe(3)
  })

  test('counts an id that is in the tables already no second time', async () => {
    const ledger = open({ shipping: true })
    await whole(ledger)
    ledger.journal.flush()
    await whole(ledger, 'r1', { outcome: 'timeout' })
    ledger.journal.flush()
    expect((await ledger.store.usage(EVERYTHING)).total.attempts).toBe(1)
    expect((await ledger.store.request('r1'))?.attempts[0]?.outcome).toBe('success')
    expect(ledger.outbox.rowsWaiting).toBe(2)
  })

  test('forgets what attempts count with their requests, and keeps the counters', async () => {
    const ledger = open()
    for (const hour of [0, 1]) {
      await whole(ledger, `h${hour}`, { startedAtMs: START_MS + hour * HOUR_MS })
      ledger.journal.flush()
    }
    ledger.prune(START_MS + HOUR_MS, 10)
    expect(countRows('SELECT count(*) AS count FROM attempt_group')).toBe(1)
    expect((await ledger.store.usage(EVERYTHING)).total.attempts).toBe(2)
  })

  test('refuses a row that the file could not hold, so that it cannot hold up others', () => {
    const ledger = open()
    begin(ledger)
    ledger.journal.flush()
    const usage = { ...attemptRow({}).usage, inputTokens: Number.NaN }
    expect(() => ledger.journal.attempt(attemptRow({ usage }))).toThrow('counts')
    expect(ledger.journal.pendingRows).toBe(0)
  })

  test('begins a new segment when one is long, and drops old ones only after a checkpoint', async () => {
    const ledger = open()
    ledger.recover((row) => row)
    begin(ledger, 'runs')
    for (let index = 0; index < 40; index += 1) {
      await whole(ledger, `s${index}`, { upstreamRequestId: 'x'.repeat(500_000) })
      ledger.journal.flush()
    }
    const segments = (): string[] => readdirSync(folder.path).filter((name) => name.includes('.log.'))
    const before = ledger.segment
    expect(segments().length).toBeGreaterThan(1)
    ledger.checkpoint()
    ledger.checkpointed(before)
    expect(segments()).toHaveLength(1)
    expect(logged('runs')).toBe('open')
    expect((await ledger.store.usage(EVERYTHING)).total.attempts).toBe(40)
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
    await whole(first, 'done')
    begin(first, 'left')
    first.journal.attempt(attemptRow({ requestId: 'left', outcome: 'timeout' }))
    await new Promise((resolve) =>
      first.journal.open(
        openRequest({ id: 'left' }),
        openAttempt({ requestId: 'left', attempt: 2 }),
        resolve,
      ),
    )
    crash(first)

    const second = open()
    expect(second.epoch).toBe(first.epoch + 1)
    expect(second.recover(estimate)).toBe(1)
    expect(second.recover(estimate)).toBe(0)
    const left = await second.store.request('left')
    expect(left?.request).toMatchObject({ outcome: 'interrupted', attempts: 2, costNano: 1_000_042n })
    expect(left?.request.decision).toEqual(requestRow({}).decision)
    expect(left?.attempts.map((row) => row.outcome)).toEqual(['timeout', 'interrupted'])
    expect(left?.attempts[1]).toMatchObject({ usageSource: 'recovered', cost: { amountNano: 42n } })
    expect((await second.store.request('done'))?.request.outcome).toBe('success')
    await new Promise((resolve) =>
      second.journal.open(openRequest({ id: 'new' }), openAttempt({ requestId: 'new' }), resolve),
    )
    crash(second)

    const third = open()
    expect(third.recover(estimate)).toBe(1)
    expect((await third.store.request('new'))?.request.outcome).toBe('interrupted')
    const { total } = await third.store.usage(EVERYTHING)
    expect(total).toMatchObject({ requests: 3, attempts: 4, estimatedAttempts: 2 })
  })

  test('says of what request it was, and until when the instance is known to have lived', async () => {
    const first = open()
    first.recover(estimate)
    begin(first, 'left')
    const ended = requestRow({ id: 'other', timeMs: START_MS + 5_000, durationMs: 700 })
    await new Promise((resolve) =>
      first.journal.open(
        openRequest({ id: 'other', timeMs: ended.timeMs }),
        openAttempt({ requestId: 'other', startedAtMs: ended.timeMs }),
        resolve,
      ),
    )
    first.journal.attempt(attemptRow({ requestId: 'other', startedAtMs: ended.timeMs + 10, durationMs: 650 }))
    await new Promise((resolve) => first.journal.request({ ...ended, attempts: 1 }, resolve))
    crash(first)
    const told: unknown[] = []
    open().recover((row, { request, aliveAtMs }) => {
      told.push([row.requestId, request.id, request.decision?.policy, aliveAtMs])
      return row
    })
    expect(told).toEqual([['left', 'left', requestRow({}).decision?.policy, START_MS + 5_700]])
  })

  test('brings what was acknowledged and not yet in the tables into them, once', async () => {
    const first = open({ shipping: true })
    await whole(first, 'a')
    first.journal.flush()
    await whole(first, 'b')
    crash(first)
    for (const round of [1, 2]) {
      const again = open({ shipping: true })
      expect(again.recover(estimate), `round ${round}`).toBe(0)
      expect((await again.store.usage(EVERYTHING)).total.attempts).toBe(2)
      expect(countRows('SELECT count(*) AS count FROM request')).toBe(2)
      expect(again.outbox.rowsWaiting).toBe(4)
      crash(again)
    }
  })

  test.each([
    ['as it opened', openRequest({}), requestRow({})],
    ['with another decision', openRequest({ decision: null }), requestRow({})],
    ['with another time', openRequest({ timeMs: START_MS - 1 }), requestRow({})],
  ])('reads a request that ended %s whole from the log', async (_name, opened, ended) => {
    const first = open()
    first.journal.open(opened, openAttempt({}), nobody)
    first.journal.attempt(attemptRow({}))
    expect(await new Promise((resolve) => first.journal.request(ended, resolve))).toBeNull()
    crash(first)
    const second = open()
    expect(second.recover(estimate)).toBe(0)
    expect(await second.store.request('r1')).toEqual({ request: ended, attempts: [attemptRow({})] })
  })

  test('reads what waits for the tables from a new segment too', async () => {
    const first = open()
    const driver = drivers.get(first)
    driver?.exec('PRAGMA max_page_count = 1')
    await whole(first, 'ended', { upstreamRequestId: '豆包'.repeat(40_000) })
    begin(first, 'runs')
    expect(first.journal.flush()).toBe(false)
    first.journal.rotate()
    crash(first)
    const second = open()
    expect(second.recover(estimate)).toBe(1)
    const ended = attemptRow({ requestId: 'ended', upstreamRequestId: '豆包'.repeat(40_000) })
    expect(await second.store.request('ended')).toEqual({
      request: requestRow({ id: 'ended' }),
      attempts: [ended],
    })
    expect((await second.store.request('runs'))?.request.outcome).toBe('interrupted')
    expect((await second.store.usage(EVERYTHING)).total.attempts).toBe(2)
  })

  test('keeps a refusal that no attempt came before', async () => {
    const first = open()
    const refused = requestRow({ id: 'no', attempts: 0, outcome: 'refused', status: 429, costNano: null })
    expect(await new Promise((resolve) => first.journal.request(refused, resolve))).toBeNull()
    crash(first)
    const second = open()
    second.recover(estimate)
    expect(await second.store.request('no')).toEqual({ request: refused, attempts: [] })
  })

  test('believes a log up to the piece that a loss of power tore', async () => {
    const first = open()
    await whole(first, 'kept')
    const name = readdirSync(folder.path).find((entry) => entry.includes('.log.')) ?? ''
    const bytes = readFileSync(join(folder.path, name)).length
    await whole(first, 'torn')
    crash(first)
    truncateSync(join(folder.path, name), bytes + 20)
    const second = open()
    second.recover(estimate)
    expect((await second.store.request('kept'))?.request.outcome).toBe('success')
    expect(await second.store.request('torn')).toBeNull()
  })

  test('has nothing to do after an orderly end, which leaves no log', async () => {
    const first = open()
    first.recover(estimate)
    await whole(first)
    first.close()
    expect(readdirSync(folder.path).filter((entry) => entry.includes('.log.'))).toEqual([])
    expect(open().recover(estimate)).toBe(0)
  })
})

describe('a disk that cannot be written', () => {
  const long = (id: string): AttemptRow =>
    attemptRow({ requestId: id, upstreamRequestId: 'x'.repeat(20_000) })

  test('in the tables: rows stay in the log, and are written once when there is room', async () => {
    const ledger = open()
    const driver = drivers.get(ledger)
    driver?.exec('PRAGMA max_page_count = 1')
    expect(await whole(ledger, 'r1', long('r1'))).toBeNull()
    expect(ledger.journal.flush()).toBe(false)
    expect(ledger.journal.failure?.message).toContain('full')
    expect(ledger.journal.pendingRows).toBe(1)
    expect((await ledger.store.request('r1'))?.attempts).toEqual([long('r1')])
    driver?.exec('PRAGMA max_page_count = 1000000')
    expect(ledger.journal.flush()).toBe(true)
    expect(ledger.journal.failure).toBeNull()
    expect((await ledger.store.usage(EVERYTHING)).total.attempts).toBe(1)
  })

  /** A log that takes nothing until told so. */
  function fullLog(): { log: AppendLog; relieve(): void } {
    const log = openNodeAppendLog(file)
    const append = log.append.bind(log)
    let isFull = true
    log.append = (piece) => {
      if (isFull) throw new Error('no space left on device')
      append(piece)
    }
    return {
      log,
      relieve: () => {
        isFull = false
      },
    }
  }

  test('in the log: who waits is told, rows are kept, and written once when there is room', async () => {
    const { log, relieve } = fullLog()
    const ledger = open({ log })
    expect((await whole(ledger, 'r1'))?.message).toContain('no space')
    expect((await whole(ledger, 'r2'))?.message).toContain('no space')
    expect(ledger.journal.failure?.message).toContain('no space')
    expect(countRows('SELECT count(*) AS count FROM request')).toBe(0)
    relieve()
    expect(ledger.journal.flush()).toBe(true)
    expect((await ledger.store.usage(EVERYTHING)).total.attempts).toBe(2)
    expect(countRows('SELECT count(*) AS count FROM request')).toBe(2)
  })

  test('stops new requests at the bound and still takes the ends of those that run', async () => {
    const { log, relieve } = fullLog()
    const ledger = open({ log, pendingRowsMax: 6 })
    for (const id of ['a', 'b', 'c']) begin(ledger, id)
    expect(() => begin(ledger, 'd')).toThrow(expect.objectContaining({ code: 'store_unavailable' }))
    ledger.journal.attempt(attemptRow({ requestId: 'a' }))
    expect(await committed(ledger, 'a')).toEqual(expect.any(Error))
    relieve()
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
    await whole(ledger)
    ledger.journal.flush()
    expect(countRows('SELECT count(*) AS count FROM attempt_group')).toBe(1)
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
    const broken = {
      number: 2,
      sql: 'CREATE TABLE half (x INTEGER) STRICT; CREATE TABLE request (x INTEGER) STRICT',
    }
    expect(() => migrate(driver, [...MIGRATIONS, broken])).toThrow()
    expect(driver.prepare("SELECT count(*) AS count FROM sqlite_schema WHERE name = 'half'").get()).toEqual({
      count: 0,
    })
    migrate(driver)
    driver.close()
  })
})
