// The instance's ledger by store URL: a local SQLite journal always; it is the ledger itself, or its rows are
// shipped to Redis.

import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AttemptRow, BalanceUsed, Journal, LedgerStore } from '#core/ledger.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import { withOwnRows } from '#store/own-rows.ts'
import { createRedisStore } from '#store/redis/store.ts'
import { createShipper } from '#store/shipper.ts'
import { openSqliteLedger, type SqliteLedger } from '#store/sqlite/store.ts'
import { openNodeAppendLog } from './append-log.ts'
import { type Checkpointer, startCheckpointer } from './checkpointer.ts'
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
  /** Of this instance, shipped or not, and of all others. */
  readonly balances: () => Promise<readonly BalanceUsed[]>
  /** Other instances write to it too. */
  readonly isShared: boolean
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
  const path =
    pathOfStore(options.url, options.journalPath) ?? join(mkdtempSync(join(tmpdir(), 'sluice-')), 'ledger.db')
  const driver = openNodeSqlite(path)
  const ledger = openSqliteLedger(driver, {
    clock,
    log: openNodeAppendLog(isRedis ? path : (options.journalPath ?? path)),
    schedule: setImmediate,
    makeInstance: () => randomBytes(8).toString('hex'),
    shipping: isRedis,
  })
  const recovered = ledger.recover(options.estimate)
  options.metrics.usageRecovered(recovered)
  if (recovered > 0) options.log.warn('journal.recovered', { attempts: recovered })
  // Nothing has been refused yet: a start must not look like an outage.
  options.metrics.storeUp(true)
  const checkpointer = startCheckpointer(path, ledger, (error) =>
    options.log.error('journal.checkpoint_failed', { message: error.message }),
  )
  return isRedis ? withRedis(ledger, checkpointer, options) : alone(ledger, checkpointer, path, options)
}

/** The database of this instance, by which its other files are called; null: in memory. */
export function pathOfStore(url: string, journalPath: string | undefined): string | null {
  if (url === 'memory:') return null
  return /^rediss?:/.test(url) ? (journalPath ?? JOURNAL_PATH) : url.replace(/^sqlite:(\/\/(?=\/))?/, '')
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
    balances: () => ledger.store.balances(),
    isShared: false,
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
    store: withOwnRows(store, ledger.store),
    balances: async () => [...(await ledger.store.balances()), ...(await store.balances())],
    isShared: true,
    describe: `redis, journal ${options.journalPath ?? JOURNAL_PATH}`,
    async close() {
      const left = await shipper.stop(FLUSH_MS)
      if (left > 0) options.log.warn('store.rows_left', { rows: left })
      await store.close()
      await checkpointer.stop()
      ledger.close()
    },
  }
}
