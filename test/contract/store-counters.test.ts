// Counters say what the rows say: after crashes, after a repair, whoever reads them.

import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type LedgerRow, ReportError, type UsageQuery, type UsageReport } from '#core/ledger.ts'
import { openReports, type Reports } from '#runtime/node/reports.ts'
import { openNodeSqlite, openNodeSqliteReader } from '#runtime/node/sqlite.ts'
import { checkCounters } from '#store/sqlite/counter-check.ts'
import { migrate } from '#store/sqlite/migrate.ts'
import { MIGRATIONS } from '#store/sqlite/migrations.ts'
import type { SqliteLedger, SqliteLedgerOptions } from '#store/sqlite/store.ts'
import { UsageTables } from '#store/sqlite/usage-tables.ts'
import {
  arbitraryRows,
  attemptRow,
  batchOf,
  discountedCost,
  HOUR_MS,
  openAttempt,
  openRequest,
  requestRow,
  START_MS,
} from '../support/ledger-rows.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'

const DAY_MS = 24 * HOUR_MS
const EVERYTHING: UsageQuery = { groupBy: [], bucket: null, fromMs: null, toMs: null }
const SEED = 1125
const RUNS = 40

let folder: ReturnType<typeof temporaryFolder>
let file = ''
let ledger: SqliteLedger | null = null
let reports: Reports | null = null

beforeEach(() => {
  folder = temporaryFolder()
  file = join(folder.path, 'ledger.db')
})

afterEach(async () => {
  await reports?.close()
  ledger?.close()
  ledger = null
  reports = null
  folder.remove()
})

function open(options: Partial<SqliteLedgerOptions> = {}): SqliteLedger {
  ledger = openLedger(file, options)
  return ledger
}

const attempts = (count: number, fields: (index: number) => object = () => ({})): LedgerRow[] =>
  Array.from({ length: count }, (_, index) => ({
    kind: 'attempt',
    row: attemptRow({ requestId: `c${index}`, ...fields(index) }),
  }))

function scalar(sql: string): unknown {
  const reader = openNodeSqliteReader(file)
  const row = reader.prepare(sql).get()
  reader.close()
  return row === undefined ? undefined : Object.values(row)[0]
}

/** Everything there is to say, from the coarsest tables and from the finest. */
const QUERIES: readonly UsageQuery[] = [
  EVERYTHING,
  { ...EVERYTHING, groupBy: ['model', 'target'], bucket: 'hour' },
  { ...EVERYTHING, groupBy: ['key', 'model'], bucket: 'day' },
  { ...EVERYTHING, groupBy: ['key', 'tag:app'], bucket: 'hour' },
  { ...EVERYTHING, groupBy: ['user', 'team'], bucket: 'day' },
]

describe('counters', () => {
  test('are written about once a second, and at once when somebody asks', async () => {
    const { store } = open()
    await store.apply(batchOf(attempts(5)))
    expect(scalar('SELECT count(*) FROM attempt_group')).toBe(1)
    expect(scalar('SELECT count(*) FROM usage_hour')).toBe(0)
    expect((await store.usage({ ...EVERYTHING, groupBy: ['key'] })).total.attempts).toBe(5)
    expect(scalar('SELECT attempts FROM rollup_day')).toBe(5)
    expect(scalar('SELECT attempts FROM rollup_hour')).toBe(5)
    expect(scalar('SELECT attempts FROM usage_hour')).toBe(5)
  })

  test('take up what a crash kept from them, once', async () => {
    const first = open()
    await first.store.apply(batchOf(attempts(3)))
    await first.store.usage(EVERYTHING)
    await first.store.apply(batchOf(attempts(5), 1))
    first.journal.stop()
    // As a killed process leaves it: the rows of the second batch are there, and nothing has counted them.
    expect(scalar('SELECT attempts FROM usage_hour')).toBe(3)
    const copy = join(folder.path, 'copy.db')
    const source = openNodeSqliteReader(file)
    source.prepare('VACUUM INTO ?').run(copy)
    source.close()
    for (const round of [1, 2]) {
      const again = openLedger(copy)
      for (const query of QUERIES)
        expect((await again.store.usage(query)).total.attempts, `round ${round}`).toBe(5)
      again.close()
    }
  })

  test('are exact between any two instants', async () => {
    const { store } = open()
    await store.apply(
      batchOf(
        attempts(9, (index) => ({
          startedAtMs: START_MS + index,
          ...(index > 3 ? { cost: discountedCost() } : {}),
        })),
      ),
    )
    const { total } = await store.usage({ ...EVERYTHING, fromMs: START_MS + 2, toMs: START_MS + 6 })
    expect(total).toMatchObject({ attempts: 4, discountNano: 2_000n, freeQuotaNano: 0n, packageNano: 4_000n })
  })

  test('number groups on where rows were deleted', async () => {
    const first = open()
    await first.store.apply(batchOf(attempts(3)))
    first.journal.flush()
    first.prune(START_MS + 10 * DAY_MS, 100)
    expect(scalar('SELECT count(*) FROM attempt_group')).toBe(0)
    first.close()
    const { store } = open()
    await store.apply(
      batchOf(
        attempts(2, (index) => ({ requestId: `later${index}` })),
        4,
      ),
    )
    expect((await store.usage(EVERYTHING)).total.attempts).toBe(5)
  })

  test('are not forgotten for groups that were not counted yet', async () => {
    const { store, prune } = open()
    await store.apply(batchOf(attempts(3)))
    prune(START_MS + 10 * DAY_MS, 100)
    expect((await store.usage(EVERYTHING)).total.attempts).toBe(3)
  })

  test(`agree with the rows whatever those are (seed ${SEED})`, async () => {
    let files = 0
    await fc.assert(
      fc.asyncProperty(arbitraryRows(40), async (rows) => {
        const one = openLedger(join(folder.path, `${files++}.db`))
        await one.store.apply(batchOf(rows))
        const answers = await Promise.all(QUERIES.map((query) => one.store.usage(query)))
        const [all, ...others] = answers.map(({ total }) => total)
        for (const other of others) expect(other).toEqual(all)
        const path = join(folder.path, `${files - 1}.db`)
        const reader = openNodeSqliteReader(path)
        expect(checkCounters(reader, { fromMs: 0 }, () => undefined)).toEqual({ hoursMs: [], daysMs: [] })
        reader.close()
        one.close()
      }),
      { seed: SEED, numRuns: RUNS },
    )
  })

  test.each([
    ['usage_hour', 'UPDATE usage_hour SET attempts = attempts + 1 WHERE hour_ms = ?', true],
    ['usage_hour', 'DELETE FROM usage_hour WHERE hour_ms = ?', true],
    ['rollup_hour', 'UPDATE rollup_hour SET cost_nano = 7 WHERE hour_ms = ?', true],
    ['rollup_hour', 'UPDATE rollup_hour SET package_nano = 7 WHERE hour_ms = ?', true],
    ['rollup_day', 'UPDATE rollup_day SET output_tokens = 0 WHERE day_ms <= ?', false],
  ])('of %s that are wrong are found and made anew: %s', async (_table, damage, isHour) => {
    const one = open()
    const spread = (index: number): object => ({
      startedAtMs: START_MS + (index % 30) * HOUR_MS,
      key: index % 2 === 0 ? 'demo' : '密"钥',
      target: index % 3 === 0 ? 'qwen/flash' : 'doubao/seed',
      ...(index % 4 === 0 ? { cost: discountedCost() } : {}),
    })
    await one.store.apply(batchOf(attempts(60, spread)))
    const before = await Promise.all(QUERIES.map((query) => one.store.usage(query)))
    one.close()
    const raw = openNodeSqlite(file)
    raw.prepare(damage).run(START_MS + HOUR_MS)
    raw.close()
    const two = open()
    const reader = openNodeSqliteReader(file)
    const drift = checkCounters(reader, { fromMs: two.rowsFromMs }, () => undefined)
    expect(isHour ? drift.hoursMs : drift.daysMs).not.toEqual([])
    await two.rebuild(drift)
    expect(checkCounters(reader, { fromMs: 0 }, () => undefined)).toEqual({ hoursMs: [], daysMs: [] })
    reader.close()
    expect(await Promise.all(QUERIES.map((query) => two.store.usage(query)))).toEqual(before)
  })

  test('of hours whose rows are gone are believed', async () => {
    const one = open()
    await one.store.apply(batchOf(attempts(6, (index) => ({ startedAtMs: START_MS + index * 10 * HOUR_MS }))))
    await one.store.usage(EVERYTHING)
    one.prune(START_MS + 25 * HOUR_MS, 100)
    expect(one.rowsFromMs).toBe(START_MS + 25 * HOUR_MS)
    const reader = openNodeSqliteReader(file)
    expect(checkCounters(reader, { fromMs: one.rowsFromMs }, () => undefined)).toEqual({
      hoursMs: [],
      daysMs: [],
    })
    reader.close()
    expect((await one.store.usage(EVERYTHING)).total.attempts).toBe(6)
  })

  test('of a file of the first schema are made from its own', async () => {
    const driver = openNodeSqlite(file)
    migrate(driver, MIGRATIONS.slice(0, 1))
    driver.exec(`INSERT INTO series VALUES (1, '["demo","长 \\"x\\"","doubao/seed",[["team","growth"]]]');
      INSERT INTO series VALUES (2, '["demo","长 \\"x\\"","qwen/flash",[]]');
      INSERT INTO attempt_group VALUES (7, ${START_MS}, 1, ${START_MS}, ${START_MS}, '[0,1,10,0,5,0,3,0]');
      INSERT INTO usage_hour VALUES (${START_MS}, 1, 1, 1, 10, 0, 5, 0, 3, 0, 0), (${START_MS}, 2, 1, 1, 1, 0, 1, 0, 4, 0, 0)`)
    driver.close()
    const copies: number[] = []
    const { store } = open({ backUp: (schema) => copies.push(schema) })
    expect(copies).toEqual([1])
    const { rows } = await store.usage({ ...EVERYTHING, groupBy: ['key', 'model'], bucket: 'day' })
    expect(rows).toMatchObject([{ group: ['demo', '长 "x"'], attempts: 2, costNano: 7n }])
    const byTarget = await store.usage({ ...EVERYTHING, groupBy: ['target'] })
    expect(byTarget.rows.map(({ group, costNano }) => [...group, costNano])).toEqual([
      ['doubao/seed', 3n],
      ['qwen/flash', 4n],
    ])
  })
})

describe('which tables answer', () => {
  const span = { fromMs: START_MS - 10 * DAY_MS, toMs: START_MS + 10 * DAY_MS }
  test.each([
    [['model', 'provider'], 'hour', ['rollup_hour']],
    [[], null, ['rollup_hour']],
    [['key'], 'day', ['usage_hour', 'rollup_day']],
    [['key'], 'hour', ['usage_hour']],
    [['key', 'target'], 'day', ['usage_hour']],
    [['team'], null, ['usage_hour']],
    [['user'], 'day', ['attempts']],
  ] as const)('usage by %s and %s', async (groupBy, bucket, sources) => {
    const { store } = open()
    await store.apply(
      batchOf(attempts(2, (index) => ({ startedAtMs: START_MS + (index - 1) * 30 * DAY_MS }))),
    )
    await store.usage(EVERYTHING)
    const reader = openNodeSqliteReader(file)
    const parts = new UsageTables(reader).plan({ groupBy, bucket, ...span })
    reader.close()
    expect([...new Set(parts.map(({ source }) => source))].toSorted()).toEqual(sources.toSorted())
    // Half-open parts, newest first, without a gap.
    expect(parts.at(0)?.toMs).toBeLessThanOrEqual(span.toMs)
    for (const [index, part] of parts.entries())
      expect(part.fromMs).toBe(parts[index + 1]?.toMs ?? parts.at(-1)?.fromMs)
  })
})

describe('a report on another thread', () => {
  /** So many series that no report of them is made in place. */
  const MANY = 12_000

  async function openLarge(timeoutMs?: number): Promise<SqliteLedger> {
    reports = openReports(file, timeoutMs)
    const large = open({ reports: reports.report })
    const rows = attempts(MANY, (index) => ({
      key: `k${index}`,
      startedAtMs: START_MS - (index % 50) * HOUR_MS,
      ...(index % 5 === 0 ? { cost: discountedCost() } : {}),
    }))
    await large.store.apply(batchOf(rows))
    return large
  }

  test('says what one in place says, and how far it is', async () => {
    const { store } = await openLarge()
    const progress: number[] = []
    const query: UsageQuery = {
      groupBy: ['key', 'team'],
      bucket: 'day',
      fromMs: START_MS - 40 * HOUR_MS + 1,
      toMs: null,
    }
    const found = await store.usage(query, (share) => progress.push(share))
    expect(progress.length).toBeGreaterThan(0)
    reports = null
    ledger?.close()
    const alone = open()
    expect(found).toEqual(await alone.store.usage(query))
    expect(found.rows).toHaveLength(9_600)
    expect(found.total).toMatchObject({
      discountNano: 1_920_000n,
      freeQuotaNano: 0n,
      packageNano: 3_840_000n,
    })
  })

  test('counts what running requests have ended, once', async () => {
    const large = await openLarge()
    const begin = (id: string): void => {
      large.journal.open(openRequest({ id }), openAttempt({ requestId: id }), () => undefined)
      large.journal.attempt(attemptRow({ requestId: id, outcome: 'timeout' }))
    }
    begin('ends')
    begin('runs')
    const asked: Promise<UsageReport> = large.store.usage({ ...EVERYTHING, groupBy: ['key', 'team'] })
    large.journal.request(requestRow({ id: 'ends' }), () => undefined)
    large.journal.flush()
    expect((await asked).total.attempts).toBe(MANY + 2)
  })

  test('is given up when it takes too long', async () => {
    const { store } = await openLarge(1)
    await expect(store.usage({ ...EVERYTHING, groupBy: ['key', 'team'] })).rejects.toThrow(ReportError)
  })

  test('checks counters too', async () => {
    await openLarge()
    ledger?.journal.flush()
    expect(await reports?.check({ fromMs: 0 }, () => undefined)).toEqual({ hoursMs: [], daysMs: [] })
  })
})
