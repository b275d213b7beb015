// The instance's ledger by store URL: a local SQLite journal always; it is the ledger itself, or its rows are
// shipped to Redis.

import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AttemptRow, Journal, LedgerStore } from '#core/ledger.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import { createRedisKeyStore } from '#store/redis/key-store.ts'
import { createRedisStore } from '#store/redis/store.ts'
import { createShipper } from '#store/shipper.ts'
import { openSqliteLedger, type SqliteLedger } from '#store/sqlite/store.ts'
import { openNodeAppendLog } from './append-log.ts'
import { type Checkpointer, startCheckpointer } from './checkpointer.ts'
import type { SharedKeys } from './keys.ts'
import { openNodeSqlite } from './sqlite.ts'
import { clock } from './system.ts'

const TICK_MS = 1_000
/** How long a stop waits for Redis to take the last rows; what is left ships at the next start. */
const FLUSH_MS = 3_000
const JOURNAL_PATH = 'data/journal.db'

export interface NodeLedger {
  readonly journal: Journal
  /** Where reports are read. */
  readonly store: LedgerStore
  readonly keys: SharedKeys
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
  const isRedis = isRedisUrl(options.url)
  const path = databasePath(options, isRedis)
  const driver = openNodeSqlite(path)
  const ledger = openSqliteLedger(driver, {
    clock,
    log: openNodeAppendLog(isRedis ? path : (options.journalPath ?? path)),
    schedule: setImmediate,
    makeInstance: makeName,
    shipping: isRedis,
  })
  const recovered = ledger.recover(options.estimate)
  if (recovered > 0) options.log.warn('journal.recovered', { attempts: recovered })
  // Nothing has been refused yet: a start must not look like an outage.
  options.metrics.storeUp(true)
  const checkpointer = startCheckpointer(path, ledger, (error) =>
    options.log.error('journal.checkpoint_failed', { message: error.message }),
  )
  return isRedis ? withRedis(ledger, checkpointer, options) : alone(ledger, checkpointer, path, options)
}

const makeName = (): string => randomBytes(8).toString('hex')

/** Where the secret of a store is kept that was given none: beside its file. null: nowhere, it forgets anyway. */
export function secretPath(url: string, journalPath: string | undefined): string | null {
  if (url === 'memory:') return null
  const path = isRedisUrl(url) ? (journalPath ?? JOURNAL_PATH) : sqlitePath(url)
  return `${path}.secret`
}

function isRedisUrl(url: string): boolean {
  return /^rediss?:/.test(url)
}

function sqlitePath(url: string): string {
  return url.replace(/^sqlite:(\/\/(?=\/))?/, '')
}

function databasePath(options: LedgerOptions, isRedis: boolean): string {
  if (options.url === 'memory:') return join(mkdtempSync(join(tmpdir(), 'sluice-')), 'ledger.db')
  if (!isRedis) return sqlitePath(options.url)
  return options.journalPath ?? JOURNAL_PATH
}

function alone(
  ledger: SqliteLedger,
  checkpointer: Checkpointer,
  path: string,
  options: LedgerOptions,
): NodeLedger {
  const timer = setInterval(() => {
    options.metrics.storeUp(ledger.journal.failure === null)
    options.metrics.journal(ledger.journal.pendingRows, 0)
  }, TICK_MS)
  timer.unref()
  return {
    journal: ledger.journal,
    store: ledger.store,
    keys: { store: ledger.keys, secret: null },
    describe: `sqlite ${path}`,
    async close() {
      clearInterval(timer)
      await checkpointer.stop()
      ledger.close()
    },
  }
}

function withRedis(ledger: SqliteLedger, checkpointer: Checkpointer, options: LedgerOptions): NodeLedger {
  const store = createRedisStore({ url: options.url })
  const keys = createRedisKeyStore({ url: options.url, makeLife: makeName })
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
    keys: { store: keys, secret: (proposed) => keys.secret(proposed) },
    describe: `redis, journal ${options.journalPath ?? JOURNAL_PATH}`,
    async close() {
      const left = await shipper.stop(FLUSH_MS)
      if (left > 0) options.log.warn('store.rows_left', { rows: left })
      await store.close()
      await keys.close()
      await checkpointer.stop()
      ledger.close()
    },
  }
}
