// The instance's ledger by store URL: a local SQLite journal always; it is the ledger itself, or its rows are
// shipped to Redis.

import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { AttemptRow, Journal, LedgerStore } from '#core/ledger.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import { createRedisStore } from '#store/redis/store.ts'
import { createShipper } from '#store/shipper.ts'
import { openSqliteLedger, type SqliteLedger } from '#store/sqlite/store.ts'
import { openNodeSqlite } from './sqlite.ts'
import { clock } from './system.ts'

const CHECKPOINT_MS = 1_000
/** How long a stop waits for Redis to take the last rows; what is left ships at the next start. */
const FLUSH_MS = 3_000
const JOURNAL_PATH = 'data/journal.db'

export interface NodeLedger {
  readonly journal: Journal
  /** Where reports are read. */
  readonly store: LedgerStore
  readonly describe: string
  close(): Promise<void>
}

export interface LedgerOptions {
  /** `sqlite:PATH`, `memory:`, `redis://…`, `rediss://…`. */
  readonly url: string
  /** `SLUICE_JOURNAL`. */
  readonly journalPath: string | undefined
  readonly metrics: Metrics
  readonly log: Log
  /** Prices a row that a crash left open. */
  readonly estimate: (row: AttemptRow) => AttemptRow
}

export function openLedger(options: LedgerOptions): NodeLedger {
  const isRedis = /^rediss?:/.test(options.url)
  const path = journalPath(options, isRedis)
  mkdirSync(dirname(path), { recursive: true })
  const ledger = openSqliteLedger(openNodeSqlite(path), {
    clock,
    schedule: setImmediate,
    makeInstance: () => randomBytes(8).toString('hex'),
    shipping: isRedis,
  })
  const recovered = ledger.recover(options.estimate)
  if (recovered > 0) options.log.warn('journal.recovered', { attempts: recovered })
  const timer = setInterval(() => tick(ledger, isRedis, options), CHECKPOINT_MS)
  timer.unref()
  return isRedis ? withRedis(ledger, timer, options) : alone(ledger, timer, path)
}

function journalPath(options: LedgerOptions, isRedis: boolean): string {
  if (options.url === 'memory:') return join(mkdtempSync(join(tmpdir(), 'sluice-')), 'ledger.db')
  if (!isRedis) return options.url.replace(/^sqlite:(\/\/(?=\/))?/, '')
  return options.journalPath ?? JOURNAL_PATH
}

function tick(ledger: SqliteLedger, isRedis: boolean, options: LedgerOptions): void {
  const failure = ledger.checkpoint()
  if (failure !== null) options.log.error('journal.checkpoint_failed', { message: failure.message })
  if (!isRedis) options.metrics.storeUp(ledger.journal.failure === null)
}

function alone(ledger: SqliteLedger, timer: NodeJS.Timeout, path: string): NodeLedger {
  return {
    journal: ledger.journal,
    store: ledger.store,
    describe: `sqlite ${path}`,
    async close() {
      clearInterval(timer)
      ledger.close()
    },
  }
}

function withRedis(ledger: SqliteLedger, timer: NodeJS.Timeout, options: LedgerOptions): NodeLedger {
  const store = createRedisStore({ url: options.url })
  let wasUp: boolean | null = null
  const shipper = createShipper({
    journal: ledger.outbox,
    store,
    clock,
    onState(state) {
      options.metrics.storeUp(state.isUp)
      options.metrics.journal(state.rowsWaiting, state.oldestAgeMs)
      if (state.isUp === wasUp) return
      wasUp = state.isUp
      if (state.isUp) options.log.info('store.up', { rows_waiting: state.rowsWaiting })
      else options.log.error('store.down', { rows_waiting: state.rowsWaiting, message: String(state.error) })
    },
  })
  return {
    journal: ledger.journal,
    store,
    describe: `redis, journal ${options.journalPath ?? JOURNAL_PATH}`,
    async close() {
      clearInterval(timer)
      const left = await shipper.stop(FLUSH_MS)
      if (left > 0) options.log.warn('store.rows_left', { rows: left })
      await store.close()
      ledger.close()
    },
  }
}
