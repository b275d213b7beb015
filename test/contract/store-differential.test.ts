// Memory, SQLite and Redis answer alike, whatever they are given and however often.

import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LedgerStore, UsageQuery } from '#core/ledger.ts'
import { createMemoryStore } from '#store/memory.ts'
import { createRedisStore } from '#store/redis/store.ts'
import { arbitraryRows, batchOf, HOUR_MS, START_MS } from '../support/ledger-rows.ts'
import { startRedis } from '../support/redis-server.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'

const SEED = 20_261_001
const RUNS = 60

const QUERIES: readonly UsageQuery[] = [
  { groupBy: [], bucket: null, fromMs: null, toMs: null },
  { groupBy: ['model', 'key', 'target', 'tag:team'], bucket: 'hour', fromMs: null, toMs: null },
  { groupBy: ['model', 'provider'], bucket: 'hour', fromMs: null, toMs: null },
  { groupBy: ['key', 'model'], bucket: 'day', fromMs: START_MS - 25 * HOUR_MS, toMs: null },
  { groupBy: ['key'], bucket: null, fromMs: null, toMs: START_MS + 9 * HOUR_MS },
  { groupBy: ['model'], bucket: 'day', fromMs: null, toMs: START_MS + HOUR_MS },
  { groupBy: ['tag:app'], bucket: 'day', fromMs: null, toMs: null },
  { groupBy: ['key'], bucket: 'day', timeZone: 'America/New_York', fromMs: null, toMs: null },
  { groupBy: ['key'], bucket: 'day', fromMs: START_MS - 7 * HOUR_MS, toMs: START_MS + 20 * HOUR_MS },
  { groupBy: ['target'], bucket: null, fromMs: START_MS - 25 * HOUR_MS, toMs: START_MS + 2 * HOUR_MS },
]

/** Which part of the rows is sent when: parts repeat and overlap as after time-outs. */
const sends = fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 6 })

async function answers(store: LedgerStore): Promise<unknown> {
  const usage = await Promise.all(QUERIES.map((query) => store.usage(query)))
  const first = await store.requests({ limit: 7, cursor: null })
  const second =
    first.nextCursor === null ? null : await store.requests({ limit: 7, cursor: first.nextCursor })
  const details = await Promise.all(first.rows.map((row) => store.request(row.id)))
  const adjustments = await store.adjustments({ limit: 3, cursor: null })
  return { usage, first, second, details, adjustments }
}

test('memory, SQLite and Redis give the same answers to the same batches', async () => {
  const redis = await startRedis()
  const folder = temporaryFolder()
  let files = 0
  try {
    await fc.assert(
      fc.asyncProperty(arbitraryRows(30), sends, async (rows, parts) => {
        const shared = createRedisStore({ url: redis.url })
        const stores = [
          createMemoryStore(),
          openLedger(join(folder.path, `${files++}.db`)).store,
          shared,
        ] as const
        await flushRedis(redis.url)
        try {
          let known = 0
          for (const [end, back] of [...parts, [rows.length, rows.length] as const]) {
            const start = Math.max(0, known - back)
            const part = rows.slice(start, Math.max(known, end))
            known = start + part.length
            for (const store of stores) await store.apply(batchOf(part, start + 1))
          }
          const [expected, ...others] = await Promise.all(stores.map(answers))
          for (const other of others) expect(other).toEqual(expected)
        } finally {
          for (const store of stores) await store.close()
        }
      }),
      { seed: SEED, numRuns: RUNS },
    )
  } finally {
    await redis.stop()
    folder.remove()
  }
})

async function flushRedis(url: string): Promise<void> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(url)
  await redis.flushall()
  redis.disconnect()
}
