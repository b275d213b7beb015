// Reports by hour, day and month of any zone, filtered and grouped by anything, against sums over the rows themselves.

import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AttemptRow, LedgerRow, UsageBucket, UsageGroup, UsageQuery } from '#core/ledger.ts'
import { createMemoryStore } from '#store/memory.ts'
import { arbitraryRows, attemptRow, batchOf, HOUR_MS } from '../support/ledger-rows.ts'
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

test('every bucket and the total of a report are the sums of the rows in it', async () => {
  const folder = temporaryFolder()
  let files = 0
  const times = fc.array(
    fc.oneof(
      fc.integer({ min: FROM_MS, max: TO_MS }),
      // Around midnight somewhere.
      fc
        .tuple(
          fc.nat(34),
          fc.constantFrom(...[0, 5.5, 5.75, -4, -3.5, 11, 10.5, 13.75]),
          fc.integer({ min: -900_000, max: 900_000 }),
        )
        .map(([day, offset, offMs]) => FROM_MS + (day * 24 - offset) * HOUR_MS + offMs),
    ),
    { minLength: 60, maxLength: 60 },
  )
  try {
    await fc.assert(
      fc.asyncProperty(
        arbitraryRows(60),
        times,
        fc.array(queries, { minLength: 4, maxLength: 4 }),
        async (all, starts, asked) => {
          const rows = all.flatMap((entry, index): AttemptRow[] =>
            entry.kind === 'attempt' ? [{ ...entry.row, startedAtMs: starts[index] ?? FROM_MS }] : [],
          )
          const entries = rows.map((row): LedgerRow => ({ kind: 'attempt', row }))
          const stores = [createMemoryStore(), openLedger(join(folder.path, `${files++}.db`)).store] as const
          for (const store of stores) {
            await store.apply(batchOf(entries))
            for (const query of asked.map((query) => ({ ...query, fromMs: null, toMs: null }))) {
              const report = await store.usage(query)
              const found = report.rows.map((row): [string, [number, bigint]] => [
                JSON.stringify([row.bucketMs === null ? '' : labelOf(row.bucketMs, query), ...row.group]),
                [row.attempts, row.costNano],
              ])
              const expected = summed(rows, query)
              // An hour that a clock repeats is two buckets of one name.
              const merged = new Map<string, [number, bigint]>()
              for (const [name, [attempts, nano]] of found) {
                const [a, n] = merged.get(name) ?? [0, 0n]
                merged.set(name, [a + attempts, n + nano])
              }
              expect(merged).toEqual(expected)
              const total = [...expected.values()].reduce((sum, [, nano]) => sum + nano, 0n)
              expect(report.total.costNano).toBe(total)
            }
            await store.close()
          }
        },
      ),
      { seed: SEED, numRuns: 40 },
    )
  } finally {
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
