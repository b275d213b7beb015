// Reports by hour, day and month of any zone, filtered and grouped by anything, against sums over the rows themselves.

import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AttemptRow, LedgerRow, LedgerStore, UsageBucket, UsageGroup, UsageQuery } from '#core/ledger.ts'
import { EVER_MS, NO_BOUND } from '#core/tariff.ts'
import { openReports } from '#runtime/node/reports.ts'
import { createMemoryStore } from '#store/memory.ts'
import { createRedisStore } from '#store/redis/store.ts'
import { arbitraryRows, attemptRow, batchOf, HOUR_MS } from '../support/ledger-rows.ts'
import { sendRedisCommand, startRedis } from '../support/redis-server.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'

const SEED = 20_261_031
const ZONES = [
  'Asia/Shanghai',
  'Asia/Kolkata',
  'Asia/Kathmandu',
  'America/New_York',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Pacific/Chatham',
  'Pacific/Apia',
]
/** New York, St John's and Lord Howe change their clocks within, and two months end. */
const FROM_MS = Date.UTC(2026, 8, 29)
const TO_MS = Date.UTC(2026, 10, 3)

const GROUPS: readonly UsageGroup[] = ['key', 'model', 'target', 'provider', 'team', 'user', 'tag:app']
const says: Record<string, (row: AttemptRow) => string> = {
  key: (row) => row.key,
  model: (row) => row.model,
  target: (row) => row.target,
  provider: (row) => row.target.split('/')[0] ?? '',
  team: (row) => row.tags['team'] ?? '',
  user: (row) => row.user ?? '',
  'tag:app': (row) => row.tags['app'] ?? '',
}

const queries = fc.record({
  bucket: fc.constantFrom<UsageBucket | null>(null, 'hour', 'day', 'month'),
  timeZone: fc.constantFrom(...ZONES),
  groupBy: fc.subarray([...GROUPS], { maxLength: 2 }),
  where: fc.array(
    fc.oneof(
      fc.record({ by: fc.constant<UsageGroup>('key'), values: fc.constant(['demo']) }),
      fc.record({ by: fc.constant<UsageGroup>('provider'), values: fc.constant(['qwen', 'x']) }),
      fc.record({ by: fc.constant<UsageGroup>('team'), values: fc.constantFrom([''], ['growth']) }),
      fc.record({ by: fc.constant<UsageGroup>('user'), values: fc.constant(['u-17']) }),
    ),
    { maxLength: 2 },
  ),
})

/** What a wall clock of the zone says, as far as the bucket goes. */
function labelOf(atMs: number, { bucket, timeZone }: UsageQuery): string {
  if (bucket === null) return ''
  const text = new Intl.DateTimeFormat('sv-SE', {
    timeZone,
    dateStyle: 'short',
    timeStyle: 'short',
  }).format(atMs)
  return text.slice(0, { hour: 13, day: 10, month: 7 }[bucket])
}

function summed(rows: readonly AttemptRow[], query: UsageQuery): Map<string, [number, bigint]> {
  const sums = new Map<string, [number, bigint]>()
  for (const row of rows) {
    if (row.startedAtMs < (query.fromMs ?? -Infinity) || row.startedAtMs >= (query.toMs ?? Infinity)) continue
    if (!(query.where ?? []).every(({ by, values }) => values.includes(says[by]?.(row) ?? ''))) continue
    const name = JSON.stringify([
      labelOf(row.startedAtMs, query),
      ...query.groupBy.map((by) => says[by]?.(row)),
    ])
    const [attempts, nano] = sums.get(name) ?? [0, 0n]
    sums.set(name, [attempts + 1, nano + (row.cost?.amountNano ?? 0n)])
  }
  return sums
}

/** Starts of attempts: anywhere, and around midnight somewhere. */
const starts = fc.array(
  fc.oneof(
    fc.integer({ min: FROM_MS, max: TO_MS }),
    fc
      .tuple(
        fc.nat(34),
        fc.constantFrom(0, 5.5, 5.75, -4, -3.5, 11, 10.5, 13.75),
        fc.integer({ min: -900_000, max: 900_000 }),
      )
      .map(([day, offset, offMs]) => FROM_MS + (day * 24 - offset) * HOUR_MS + offMs),
  ),
  { minLength: 60, maxLength: 60 },
)
const bounds = fc.record({
  fromMs: fc.option(fc.integer({ min: FROM_MS, max: TO_MS })),
  toMs: fc.option(fc.integer({ min: FROM_MS, max: TO_MS })),
})

function attemptsOf(all: readonly LedgerRow[], startsMs: readonly number[]): readonly AttemptRow[] {
  return all.flatMap((entry, index) =>
    entry.kind === 'attempt' ? [{ ...entry.row, startedAtMs: startsMs[index] ?? FROM_MS }] : [],
  )
}

/** A store that keeps sums rounds a range outward to them. */
function outward(query: UsageQuery, stepMs: number): UsageQuery {
  const { fromMs, toMs } = query
  return {
    ...query,
    fromMs: fromMs === null ? null : Math.floor(fromMs / stepMs) * stepMs,
    toMs: toMs === null ? null : Math.ceil(toMs / stepMs) * stepMs,
  }
}

async function expectSums(store: LedgerStore, rows: readonly AttemptRow[], query: UsageQuery): Promise<void> {
  const report = await store.usage(query)
  // An hour that a clock repeats is two buckets of one name.
  const found = new Map<string, [number, bigint]>()
  for (const row of report.rows) {
    const label = row.bucketMs === null ? '' : labelOf(row.bucketMs, query)
    const name = JSON.stringify([label, ...row.group])
    const [attempts, nano] = found.get(name) ?? [0, 0n]
    found.set(name, [attempts + row.attempts, nano + row.costNano])
  }
  const expected = summed(rows, query)
  expect(found).toEqual(expected)
  expect(report.total.costNano).toBe([...expected.values()].reduce((sum, [, nano]) => sum + nano, 0n))
}

const SQLITE_MS = 1
const MEMORY_MS = HOUR_MS / 4

test('every bucket and the total of a report are the sums of the rows in it', async () => {
  const folder = temporaryFolder()
  let files = 0
  const asked = fc.array(fc.tuple(queries, bounds), { minLength: 4, maxLength: 4 })
  try {
    await fc.assert(
      fc.asyncProperty(arbitraryRows(60), starts, asked, async (all, startsMs, questions) => {
        const rows = attemptsOf(all, startsMs)
        const sqlite = openLedger(join(folder.path, `${files++}.db`)).store
        for (const [store, stepMs] of [
          [sqlite, SQLITE_MS],
          [createMemoryStore(), MEMORY_MS],
        ] as const) {
          await store.apply(batchOf(rows.map((row): LedgerRow => ({ kind: 'attempt', row }))))
          for (const [query, range] of questions)
            await expectSums(store, rows, outward({ ...query, ...range }, stepMs))
          await store.close()
        }
      }),
      { seed: SEED, numRuns: 40 },
    )
  } finally {
    folder.remove()
  }
})

test('counters of Redis say the same for zones whose hours are those of UTC', async () => {
  const redis = await startRedis()
  const zones = ['Asia/Shanghai', 'America/New_York', 'Pacific/Apia']
  const known = queries.filter(
    ({ timeZone, groupBy, where }) =>
      zones.includes(timeZone) && !groupBy.includes('user') && !where.some(({ by }) => by === 'user'),
  )
  const asked = fc.array(fc.tuple(known, bounds), { minLength: 4, maxLength: 4 })
  try {
    await fc.assert(
      fc.asyncProperty(arbitraryRows(60), starts, asked, async (all, startsMs, questions) => {
        await sendRedisCommand(redis.url, 'FLUSHALL')
        const store = createRedisStore({ url: redis.url })
        const rows = attemptsOf(all, startsMs)
        await store.apply(batchOf(rows.map((row): LedgerRow => ({ kind: 'attempt', row }))))
        for (const [query, range] of questions)
          await expectSums(store, rows, outward({ ...query, ...range }, HOUR_MS))
        await store.close()
      }),
      { seed: SEED, numRuns: 15 },
    )
  } finally {
    await redis.stop()
  }
})

test('a report that is made on a thread values each attempt as one that is made in place', async () => {
  const folder = temporaryFolder()
  const path = join(folder.path, 'thread.db')
  const reports = openReports(path)
  const ledger = openLedger(path, { reports: reports.report })
  const memory = createMemoryStore()
  try {
    const rows = Array.from({ length: 6_000 }, (_, index): LedgerRow => {
      const inputTokens = index * 11
      const usage = { ...attemptRow({}).usage, inputTokens, cachedInputTokens: index, outputTokens: 7 }
      return { kind: 'attempt', row: attemptRow({ requestId: `r${index}`, key: `k${index}`, usage }) }
    })
    await ledger.store.apply(batchOf(rows))
    await memory.apply(batchOf(rows))
    const tier = { outputTokensMax: NO_BOUND, input: 1_000_000n, cachedInput: 200_000n, output: 3n }
    const tiers = [
      { ...tier, inputTokensMax: 32_000, thinkingOutput: 5n },
      { ...tier, inputTokensMax: NO_BOUND, input: 7_777_777n, thinkingOutput: 5n },
    ]
    const tariff = [{ fromMs: -EVER_MS, toMs: EVER_MS, rate: 7_100_000n as never, tiers }]
    const query: UsageQuery = {
      groupBy: ['key'],
      bucket: null,
      fromMs: null,
      toMs: null,
      valuation: { baseline: tariff, own: { 'doubao/seed': tariff } },
    }
    const shares: number[] = []
    const report = await ledger.store.usage(query, (share) => shares.push(share))
    expect(report).toEqual(await memory.usage(query))
    expect(report.total.values).toMatchObject({ baselineLeftOut: 0, cacheLeftOut: 0 })
    // Sums of several attempts do not say their tiers.
    const all = await memory.usage({ ...query, groupBy: [] })
    expect(all.total.values).toEqual(report.total.values)
    expect(shares.length).toBeGreaterThan(0)
  } finally {
    await ledger.store.close()
    await reports.close()
    folder.remove()
  }
})

test('hours whose rows are pruned keep their sums, counted to the bucket they begin in', async () => {
  const folder = temporaryFolder()
  const ledger = openLedger(join(folder.path, 'pruned.db'))
  try {
    const atMs = Date.UTC(2026, 9, 1, 18, 45)
    await ledger.store.apply(batchOf([{ kind: 'attempt', row: attemptRow({ startedAtMs: atMs }) }]))
    const query: UsageQuery = {
      groupBy: [],
      bucket: 'day',
      timeZone: 'Asia/Kolkata',
      fromMs: null,
      toMs: null,
    }
    const day = Date.UTC(2026, 9, 1, 18, 30)
    expect((await ledger.store.usage(query)).rows).toMatchObject([{ bucketMs: day, attempts: 1 }])
    ledger.prune(atMs + 3 * HOUR_MS, 100)
    expect((await ledger.store.usage(query)).rows).toMatchObject([
      { bucketMs: day - 24 * HOUR_MS, attempts: 1 },
    ])
    const hours = await ledger.store.usage({ ...query, bucket: 'hour' })
    expect(hours.total.attempts).toBe(1)
  } finally {
    await ledger.store.close()
    folder.remove()
  }
})
