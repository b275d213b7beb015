// A ledger as the gateway opens it: what it finds, says and mends.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Log } from '#core/telemetry.ts'
import { openLedger } from '#runtime/node/ledger.ts'
import type { NodeLedger } from '#runtime/node/node-ledger.ts'
import { openNodeSqlite } from '#runtime/node/sqlite.ts'
import { createMetrics } from '#telemetry/prometheus.ts'
import { eventually } from '../support/gateway.ts'
import { attemptRow, batchOf, openAttempt, openRequest, requestRow } from '../support/ledger-rows.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { temporaryFolder } from '../support/sqlite-ledger.ts'

const EVERYTHING = { groupBy: [], bucket: null, fromMs: null, toMs: null } as const

let folder: ReturnType<typeof temporaryFolder>
let ledger: NodeLedger | null = null
let metrics = createMetrics()
const events: string[] = []

beforeEach(() => {
  folder = temporaryFolder()
  metrics = createMetrics()
  events.length = 0
})

afterEach(async () => {
  await ledger?.close()
  ledger = null
  folder.remove()
})

const file = (): string => join(folder.path, 'sluice.db')

function open(durability: 'process' | 'power' = 'process'): NodeLedger {
  const say = (event: string): void => void events.push(event)
  const log: Log = { debug: say, info: say, warn: say, error: say }
  const settings = { retentionMs: 86_400_000, durability, archive: 'auto', redisRowsMs: 3_600_000 } as const
  const options = { url: `sqlite:${file()}`, journalPath: join(folder.path, 'log', 'journal.db'), settings }
  ledger = openLedger({ ...options, metrics, log })
  ledger.recover((row) => row)
  return ledger
}

async function whole(on: NodeLedger, id: string): Promise<Error | null> {
  on.journal.open(openRequest({ id }), openAttempt({ requestId: id }), () => undefined)
  on.journal.attempt(attemptRow({ requestId: id }))
  return new Promise((resolve) => on.journal.request(requestRow({ id }), resolve))
}

const scraped = async (name: string): Promise<number> => readScrape(await metrics.render()).sum(name)

test('acknowledges what is synced when power is what rows must survive', async () => {
  expect(await whole(open('power'), 'a')).toBeNull()
  await ledger?.close()
  const again = open('power')
  expect((await again.store.request('a'))?.request.outcome).toBe('success')
})

test('mends counters that a lying disk parted from their rows', async () => {
  const first = open()
  await first.store.apply(batchOf([{ kind: 'attempt', row: attemptRow({}) }]))
  await first.store.usage(EVERYTHING)
  await first.close()
  const raw = openNodeSqlite(file())
  raw.exec("UPDATE usage_hour SET attempts = 7; UPDATE meta SET value = '1' WHERE name = 'is_open'")
  raw.close()
  const again = open()
  await eventually(() => events.includes('ledger.counters_rebuilt'), 'the counters are mended')
  expect((await again.store.usage({ ...EVERYTHING, groupBy: ['team'] })).total.attempts).toBe(1)
  expect(await scraped('sluice_counters_rebuilt_total')).toBe(1)
})

test('says what of a damaged log it could not read, and keeps it', async () => {
  mkdirSync(join(folder.path, 'log'))
  const segment = join(folder.path, 'log', 'journal.db.log.4')
  writeFileSync(segment, 'no piece of ours')
  open()
  expect(events).toContain('journal.damaged')
  expect(await scraped('sluice_journal_unread_bytes_total')).toBe(16)
  await ledger?.close()
  ledger = null
  expect(readFileSync(`${segment}.damaged`, 'utf8')).toBe('no piece of ours')
})

test('tells the size of its write-ahead log', async () => {
  await whole(open(), 'a')
  await eventually(async () => (await scraped('sluice_wal_bytes')) > 0, 'the gauge is set')
  expect(await scraped('sluice_checkpoint_age_seconds')).toBeLessThan(60)
})
