// Disks that lie, forget, are full or belong to somebody else (RELIABILITY.md 80 to 88).

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Log } from '#core/telemetry.ts'
import { openNodeAppendLog } from '#runtime/node/append-log.ts'
import { keepWithin } from '#runtime/node/ledger-care.ts'
import { openLedgerFile } from '#runtime/node/ledger-file.ts'
import { openNodeSqlite, openNodeSqliteReader } from '#runtime/node/sqlite.ts'
import { faultOf } from '#store/fault.ts'
import { migrate } from '#store/sqlite/migrate.ts'
import { MIGRATIONS } from '#store/sqlite/migrations.ts'
import type { SqliteLedger, SqliteLedgerOptions } from '#store/sqlite/store.ts'
import {
  attemptRow,
  HOUR_MS,
  openAttempt,
  openRequest,
  requestRow,
  START_MS,
} from '../support/ledger-rows.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'
import { FakeClock } from '../unit/pipeline/support.ts'

const EVERYTHING = { groupBy: [], bucket: null, fromMs: null, toMs: null } as const
const nobody = (): void => {}
const quiet: Log = { debug: nobody, info: nobody, warn: nobody, error: nobody }

let folder: ReturnType<typeof temporaryFolder>
let file = ''
const closers: (() => void)[] = []

beforeEach(() => {
  folder = temporaryFolder()
  file = join(folder.path, 'ledger.db')
})

afterEach(() => {
  for (const close of closers.splice(0).reverse()) {
    try {
      close()
    } catch {
      // Some tests leave a disk that cannot be written.
    }
  }
  folder.remove()
})

function open(options: Partial<SqliteLedgerOptions> = {}): SqliteLedger {
  const ledger = openLedger(file, options)
  closers.push(() => ledger.close())
  return ledger
}

function whole(ledger: SqliteLedger, id: string): Promise<Error | null> {
  ledger.journal.open(openRequest({ id }), openAttempt({ requestId: id }), nobody)
  ledger.journal.attempt(attemptRow({ requestId: id }))
  return new Promise((resolve) => ledger.journal.request(requestRow({ id }), resolve))
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** A log whose syncs the test ends. */
function syncedByHand() {
  const log = openNodeAppendLog(file)
  const sync = log.sync.bind(log)
  const syncs: ((error: Error | null) => void)[] = []
  let isByHand = true
  log.sync = (done) => {
    if (isByHand) syncs.push(done)
    else sync(done)
  }
  return {
    log,
    syncs,
    relieve: () => {
      isByHand = false
    },
  }
}

describe('rows that must survive the loss of power', () => {
  test('are acknowledged when the disk has said so, all of those that wait by one word', async () => {
    const { log, syncs } = syncedByHand()
    const ledger = open({ log, durability: 'power' })
    const heard: string[] = []
    void whole(ledger, 'a').then(() => heard.push('a'))
    await turns(2)
    for (const id of ['b', 'c']) {
      void whole(ledger, id).then(() => heard.push(id))
      await turns(2)
    }
    expect(heard).toEqual([])
    expect(syncs).toHaveLength(1)
    syncs.shift()?.(null)
    await turns(2)
    expect(heard).toEqual(['a'])
    expect(syncs).toHaveLength(1)
    syncs.shift()?.(null)
    await turns(2)
    expect(heard).toEqual(['a', 'b', 'c'])
  })

  test('are synced on a real disk', async () => {
    const ledger = open({ durability: 'power' })
    expect(await whole(ledger, 'a')).toBeNull()
    ledger.journal.rotate()
    expect(await whole(ledger, 'b')).toBeNull()
    const driver = openNodeSqliteReader(file)
    driver.close()
  })

  test('go whole into a new segment when a sync has failed, and the old one stays until that is safe', async () => {
    const { log, syncs, relieve } = syncedByHand()
    const clock = new FakeClock()
    const ledger = open({ log, durability: 'power', clock })
    ledger.recover((row) => row)
    const lost = whole(ledger, 'lost')
    ledger.journal.open(openRequest({ id: 'runs' }), openAttempt({ requestId: 'runs' }), nobody)
    await turns(2)
    const before = log.segment
    // The kernel drops the pages and calls them clean: nothing of this segment is to be believed.
    syncs.shift()?.(new Error('EIO'))
    expect((await lost)?.message).toBe('EIO')
    expect(ledger.journal.failure?.message).toBe('EIO')
    expect((await whole(ledger, 'meanwhile'))?.message).toBe('EIO')
    const segment = (of: number): string => `${file}.log.${of}`
    writeFileSync(segment(before), '')
    clock.advance(100)
    expect(log.segment).toBe(before + 1)
    expect(ledger.segment).toBeLessThanOrEqual(before)
    syncs.shift()?.(null)
    expect(ledger.segment).toBe(before + 1)
    expect(ledger.journal.failure).toBeNull()
    relieve()
    ledger.journal.stop()
    // Another process finds all of it in the new segment.
    const reader = openNodeAppendLog(file)
    const text = [...reader.read()].join('')
    reader.close()
    for (const id of ['lost', 'runs', 'meanwhile']) expect(text).toContain(id)
  })
})

describe('a damaged log', () => {
  async function writeThree(): Promise<string> {
    const ledger = open()
    for (const id of ['one', 'two', 'three']) expect(await whole(ledger, id)).toBeNull()
    ledger.journal.stop()
    const name = readdirSync(folder.path).find((entry) => /\.log\.\d+$/.test(entry)) ?? ''
    const copy = readFileSync(join(folder.path, name))
    closers.pop()
    ledger.close()
    // As a crash leaves it, beside tables that know nothing of it.
    for (const entry of readdirSync(folder.path)) rmSync(join(folder.path, entry))
    writeFileSync(join(folder.path, name), copy)
    return join(folder.path, name)
  }

  test('loses the piece that is damaged and none after it, says how much, and stays', async () => {
    const path = await writeThree()
    const bytes = readFileSync(path)
    const at = bytes.indexOf('two')
    bytes[at] = (bytes[at] ?? 0) ^ 0xff
    writeFileSync(path, bytes)
    const log = openNodeAppendLog(file)
    const ledger = open({ log })
    expect(log.damage).toMatchObject([{ segment: 1 }])
    expect(log.damage[0]?.bytesUnread).toBeGreaterThan(100)
    expect(log.damage[0]?.bytesUnread).toBeLessThan(bytes.length / 2)
    ledger.recover((row) => row)
    expect((await ledger.store.request('one'))?.request.outcome).toBe('success')
    expect((await ledger.store.request('three'))?.request.outcome).toBe('success')
    expect(await ledger.store.request('two')).toBeNull()
    ledger.checkpoint()
    ledger.checkpointed(ledger.segment)
    expect(existsSync(path)).toBe(false)
    expect(readFileSync(`${path}.damaged`)).toEqual(bytes)
  })

  test('whose length is damaged ends there, and says what is left unread', async () => {
    const path = await writeThree()
    const bytes = readFileSync(path)
    bytes.writeUInt32BE(0xffff_fff0, 0)
    writeFileSync(path, bytes)
    const log = openNodeAppendLog(file)
    expect([...log.read()]).toEqual([])
    expect(log.damage).toEqual([{ segment: 1, bytesUnread: bytes.length }])
    log.close()
  })

  test('that is put aside twice keeps both', () => {
    for (const content of ['first', 'second']) {
      writeFileSync(`${file}.log.1`, content)
      const log = openNodeAppendLog(file)
      expect([...log.read()]).toEqual([])
      log.drop(log.segment)
      log.close()
    }
    expect(readFileSync(`${file}.log.1.damaged`, 'utf8')).toBe('first')
    expect(readFileSync(`${file}.log.1.damaged.2`, 'utf8')).toBe('second')
  })
})

describe('the files of a ledger', () => {
  test('belong to one process: also a log that lies elsewhere', () => {
    const log = join(folder.path, 'journal.db')
    const first = openLedgerFile(file, log, quiet)
    expect(() => openLedgerFile(join(folder.path, 'other.db'), log, quiet)).toThrow(
      /journal\.db is used by another Sluice process/,
    )
    expect(() => openLedgerFile(file, join(folder.path, 'other-log'), quiet)).toThrow(/ledger\.db is used/)
    first.driver.close()
    first.close()
    const again = openLedgerFile(file, log, quiet)
    again.driver.close()
    again.close()
  })

  /** A ledger of a few hundred pages that nobody closed. */
  async function interrupted(): Promise<void> {
    const ledger = open()
    for (let index = 0; index < 300; index++) void whole(ledger, `r${index}`)
    await whole(ledger, 'last')
    closers.pop()
    ledger.close()
    const raw = openNodeSqlite(file)
    raw.exec("UPDATE meta SET value = '1' WHERE name = 'is_open'")
    raw.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    raw.close()
  }

  test('are looked at after a crash, and pass when they are whole', async () => {
    await interrupted()
    const opened = openLedgerFile(file, file, quiet)
    opened.driver.close()
  })

  test.each([
    ['a page', (bytes: Buffer) => bytes.fill(0xa5, 8_192 * 6, 8_192 * 12)],
    ['the head', (bytes: Buffer) => bytes.fill(0, 0, 100)],
  ])('are refused with %s damaged, and kept', async (_name, damage) => {
    await interrupted()
    const bytes = readFileSync(file)
    damage(bytes)
    writeFileSync(file, bytes)
    for (const _round of [1, 2])
      expect(() => openLedgerFile(file, file, quiet)).toThrow(/ledger\.db is corrupt .* a copy is kept at/)
    const copies = readdirSync(folder.path).filter((name) => name.includes('.corrupt-'))
    expect(copies).toHaveLength(1)
    expect(readFileSync(join(folder.path, copies[0] ?? ''))).toEqual(bytes)
  })

  test('of an older schema are copied before they are changed', () => {
    const old = openNodeSqlite(file)
    migrate(old, MIGRATIONS.slice(0, 1))
    old.close()
    const opened = openLedgerFile(file, file, quiet)
    migrate(opened.driver, MIGRATIONS, opened.backUp)
    opened.driver.close()
    const copy = openNodeSqliteReader(`${file}.schema-1`)
    expect(copy.prepare('SELECT max(number) AS number FROM migration').get()).toEqual({ number: 1 })
    copy.close()
  })

  test('are not changed when they cannot be copied', () => {
    const old = openNodeSqlite(file)
    migrate(old, MIGRATIONS.slice(0, 1))
    const fail = (): never => {
      throw new Error('no room')
    }
    expect(() => migrate(old, MIGRATIONS, fail)).toThrow('no room')
    expect(old.prepare('SELECT max(number) AS number FROM migration').get()).toEqual({ number: 1 })
    old.close()
  })

  test('say by their marker whether they were closed', async () => {
    const first = open()
    expect(first.wasInterrupted).toBe(false)
    await whole(first, 'a')
    closers.pop()
    first.close()
    expect(open().wasInterrupted).toBe(false)
  })
})

test('old rows go a few at a time until none is left, and counters stay', async () => {
  const clock = new FakeClock()
  const ledger = open()
  const startMs = clock.nowMs() - 100 * HOUR_MS
  for (let index = 0; index < 450; index++) {
    const id = `old${index}`
    const timeMs = startMs + index
    ledger.journal.request(requestRow({ id, timeMs, attempts: 0 }), nobody)
  }
  ledger.journal.request(requestRow({ id: 'young', timeMs: clock.nowMs(), attempts: 0 }), nobody)
  await whole(ledger, 'counted')
  const rows = async (): Promise<number> => {
    let count = 0
    let cursor: string | null = null
    do {
      const page = await ledger.store.requests({ limit: 500, cursor })
      count += page.rows.length
      cursor = page.nextCursor
    } while (cursor !== null)
    return count
  }
  expect(await rows()).toBe(452)
  const stop = keepWithin({ ledger, log: quiet, retentionMs: 50 * HOUR_MS, isRedis: false, clock })
  clock.advance(60_000)
  expect(await rows()).toBe(252)
  clock.advance(50)
  expect(await rows()).toBe(52)
  clock.advance(50)
  const isCountedOld = START_MS < clock.nowMs() - 50 * HOUR_MS
  expect(await rows()).toBe(isCountedOld ? 1 : 2)
  expect((await ledger.store.usage(EVERYTHING)).total.attempts).toBe(1)
  stop()
  expect(clock.timers).toBe(0)
})

test.each([
  [Object.assign(new Error('full'), { errcode: 13 }), 'disk_full'],
  [Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }), 'disk_full'],
  [Object.assign(new Error('read-only'), { errcode: 8 + 256 }), 'read_only'],
  [Object.assign(new Error('EROFS'), { code: 'EROFS' }), 'read_only'],
  [Object.assign(new Error('locked'), { errcode: 5 }), 'locked'],
  [Object.assign(new Error('malformed'), { errcode: 11 }), 'corrupt'],
  [new Error('?'), 'io_error'],
])('%s is one word for everybody', (error, fault) => {
  expect(faultOf(error)).toBe(fault)
})
