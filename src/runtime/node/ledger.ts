// The instance's ledger by store URL: a local SQLite journal always; it is the ledger itself, or its rows are
// shipped to Redis.

import { randomBytes, randomInt } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Corrections } from '#core/adjustments.ts'
import type { AlertBook, FleetAlerts } from '#core/alerts.ts'
import type { BalanceUsed, Journal, LedgerBatch, LedgerStore } from '#core/ledger.ts'
import { JOURNAL_PENDING_ROWS_MAX } from '#core/limits.ts'
import type { Settings } from '#core/settings.ts'
import { isRedisUrl } from '#core/store-url.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import type { PursePort } from '#store/admission/lease-words.ts'
import { faultOf, type StoreFault } from '#store/fault.ts'
import { withOwnRows } from '#store/own-rows.ts'
import { createRedisAlerts } from '#store/redis/alerts.ts'
import { RedisConnection } from '#store/redis/connection.ts'
import { LedgerFounder } from '#store/redis/founder.ts'
import { createRedisKeyStore } from '#store/redis/key-store.ts'
import { createRedisPurses } from '#store/redis/purses.ts'
import { createRedisStore } from '#store/redis/store.ts'
import { createShipper } from '#store/shipper.ts'
import type { Estimate } from '#store/sqlite/recovery.ts'
import { openSqliteLedger, type SqliteLedger } from '#store/sqlite/store.ts'
import { openNodeAppendLog } from './append-log.ts'
import { type Checkpointer, startCheckpointer } from './checkpointer.ts'
import type { SharedKeys } from './keys.ts'
import { checkAfterCrash, keepWithin } from './ledger-care.ts'
import { openLedgerFile } from './ledger-file.ts'
import { careForRedis, claimInstance } from './redis-care.ts'
import { openReports, type Reports } from './reports.ts'
import { backgroundClock, clock } from './system.ts'
import { atTurnEnd } from './turn-end.ts'

const TICK_MS = 1_000
/** How long a stop waits for Redis to take the last rows; what is left ships at the next start. */
const FLUSH_MS = 3_000
/** Two copies of a journal go on in one epoch once in so many times; a file can be opened millions of times. */
const EPOCH_STEP_MAX = 2 ** 29
/** What a purse has not answered by then was lost; requests wait for a part of it. */
const PURSE_TIMEOUT_MS = 1_000
const JOURNAL_PATH = 'data/journal.db'

export interface NodeLedger {
  readonly journal: Journal
  /** Where reports are read. */
  readonly store: LedgerStore
  /** Of this instance, shipped or not, and of all others. */
  readonly balances: () => Promise<readonly BalanceUsed[]>
  /** Other instances write to it too. */
  readonly isShared: boolean
  readonly keys: SharedKeys
  /** A shared store has been looked at, or is away. @throws Error when it cannot be used as it is configured */
  readonly ready: Promise<void>
  readonly corrections: Corrections
  /** What instances that share a store need to know of each other; null: there is one instance. */
  readonly fleet: LedgerFleet | null
  /** What this instance has told, and what all have; null: it is alone. */
  readonly alerts: { readonly book: AlertBook; readonly fleet: FleetAlerts | null }
  /** Rates past rows of the ledger's file on a thread; null: the ledger is no file. */
  readonly rerate: Reports['rerate'] | null
  /** The same with a bill. */
  readonly reconcile: Reports['reconcile'] | null
  /** Books what a crash left open, as `estimate` prices it; once, before anything is read of what was spent. */
  recover(estimate: Estimate): void
  readonly describe: string
  /** What keeps rows in memory; null: nothing does. */
  readonly trouble: () => LedgerTrouble | null
  close(): Promise<void>
}

export interface LedgerFleet {
  readonly instance: string
  readonly epoch: number
  readonly outbox: Pick<SqliteLedger['outbox'], 'rowsAfter' | 'lastSequence' | 'rowsWaiting'>
  readonly purses: PursePort
  /** By session: the last row that the ledger has. */
  readonly marks: () => Promise<ReadonlyMap<string, number>>
  /** Where rows are charged, before the store has them; none leaves before this is said. */
  chargeTo(charge: (batch: LedgerBatch) => Promise<void>): void
  /** Runs when the last rows have left, at the end. */
  whenShipped(run: () => Promise<void>): void
}

export interface LedgerTrouble {
  readonly fault: StoreFault
  /** No request is admitted any more: too many rows wait. */
  readonly isFull: boolean
}

export interface LedgerOptions {
  /** `sqlite:PATH`, `memory:`, or one of Redis. */
  readonly url: string
  /** `SLUICE_JOURNAL`. */
  readonly journalPath: string | undefined
  readonly settings: Settings['ledger']
  readonly metrics: Metrics
  readonly log: Log
}

/** All that a ledger is made of, opened. */
interface Opened {
  readonly path: string
  readonly ledger: SqliteLedger
  readonly reports: Reports
  /** What runs beside it. */
  readonly stops: readonly (() => void)[]
  readonly checkpointer: Checkpointer
  readonly recover: NodeLedger['recover']
  close(): Promise<void>
}

/** @throws StoreFileError when the files cannot be used */
export function openLedger(options: LedgerOptions): NodeLedger {
  const isRedis = isRedisUrl(options.url)
  const opened = open(options, isRedis)
  return isRedis ? withRedis(opened, options) : alone(opened, options)
}

function open(options: LedgerOptions, isRedis: boolean): Opened {
  const { metrics, log, settings } = options
  const path =
    pathOfStore(options.url, options.journalPath) ?? join(mkdtempSync(join(tmpdir(), 'sluice-')), 'ledger.db')
  const logPath = isRedis || options.journalPath === undefined ? path : options.journalPath
  const file = openLedgerFile(path, logPath, log)
  const reports = openReports(path)
  let ledger: SqliteLedger
  try {
    const appendLog = openNodeAppendLog(logPath)
    ledger = openSqliteLedger(file.driver, {
      clock,
      log: appendLog,
      schedule: (run) => atTurnEnd('journal', run),
      makeInstance: makeName,
      epochStep: () => 1 + randomInt(EPOCH_STEP_MAX),
      shipping: isRedis,
      durability: settings.durability,
      backUp: file.backUp,
      reports: reports.report,
    })
    for (const { segment, bytesUnread } of appendLog.damage) {
      metrics.journalBytesUnread(bytesUnread)
      log.error('journal.damaged', { path: `${logPath}.log.${segment}`, bytes_unread: bytesUnread })
    }
  } catch (error) {
    file.driver.close()
    file.close()
    throw error
  }
  // Nothing has been refused yet: a start must not look like an outage.
  metrics.storeUp(true)
  const checkpointer = startCheckpointer({
    path,
    ledger,
    onError: (error) => log.error('journal.checkpoint_failed', { message: error.message }),
    onState: (bytes, ageMs) => metrics.writeAheadLog(bytes, ageMs),
  })
  if (ledger.wasInterrupted) checkAfterCrash({ ledger, reports, metrics, log })
  const { retentionMs } = settings
  const stops = [keepWithin({ ledger, log, retentionMs, isRedis, clock: backgroundClock })]
  return {
    path,
    ledger,
    reports,
    stops,
    checkpointer,
    recover(estimate) {
      const recovered = ledger.recover(estimate)
      metrics.usageRecovered(recovered)
      if (recovered > 0) log.warn('journal.recovered', { attempts: recovered })
    },
    async close() {
      for (const stop of stops) stop()
      await reports.close()
      await checkpointer.stop()
      ledger.close()
      file.close()
    },
  }
}

/** The database of this instance, by which its other files are called; null: in memory. */
export function pathOfStore(url: string, journalPath: string | undefined): string | null {
  if (url === 'memory:') return null
  return isRedisUrl(url) ? (journalPath ?? JOURNAL_PATH) : url.replace(/^sqlite:(\/\/(?=\/))?/, '')
}

const makeName = (): string => randomBytes(8).toString('hex')

/** Where the secret of a store is kept that was given none: beside its file. null: nowhere, it forgets anyway. */
export function secretPath(url: string, journalPath: string | undefined): string | null {
  const path = pathOfStore(url, journalPath)
  return path === null ? null : `${path}.secret`
}

function troubleOf({ journal }: SqliteLedger): LedgerTrouble | null {
  const { failure, pendingRows } = journal
  return failure === null
    ? null
    : { fault: faultOf(failure), isFull: pendingRows >= JOURNAL_PENDING_ROWS_MAX }
}

/** An instance books its own. */
function correctionsOf(ledger: SqliteLedger, { months }: LedgerStore): Corrections {
  return {
    adjust: async (rows) => ledger.adjust(rows),
    closedMonths: async () => new Set((await months?.list())?.map(({ month }) => month)),
  }
}

function alone(opened: Opened, options: LedgerOptions): NodeLedger {
  const { ledger } = opened
  let fault: StoreFault | null = null
  const timer = setInterval(() => {
    options.metrics.storeUp(ledger.journal.failure === null)
    options.metrics.journal(ledger.journal.pendingRows, 0)
    const now = troubleOf(ledger)?.fault ?? null
    if (now === fault) return
    fault = now
    if (now === null) options.log.info('store.up')
    else options.log.error('store.down', { fault: now, message: ledger.journal.failure?.message })
  }, TICK_MS)
  timer.unref()
  return {
    journal: ledger.journal,
    store: ledger.store,
    balances: () => ledger.store.balances(),
    isShared: false,
    describe: `sqlite ${opened.path}`,
    trouble: () => troubleOf(ledger),
    keys: { store: ledger.keys, secret: null },
    ready: Promise.resolve(),
    fleet: null,
    corrections: correctionsOf(ledger, ledger.store),
    alerts: { book: ledger.alerts, fleet: null },
    rerate(work, onProgress) {
      ledger.journal.flush()
      return opened.reports.rerate(work, onProgress)
    },
    reconcile(job, onProgress) {
      ledger.journal.flush()
      return opened.reports.reconcile(job, onProgress)
    },
    recover: opened.recover,
    async close() {
      clearInterval(timer)
      await opened.close()
    },
  }
}

function withRedis(opened: Opened, options: LedgerOptions): NodeLedger {
  const { ledger } = opened
  const connection = new RedisConnection({ url: options.url })
  const store = createRedisStore({ connection })
  const keys = createRedisKeyStore({ connection, makeLife: makeName })
  const care = careForRedis(connection, options.metrics, options.log)
  const { instance, epoch } = ledger
  const claim = claimInstance(
    connection,
    { path: opened.path, instance, epoch },
    options.metrics,
    options.log,
  )
  const purses = createRedisPurses({ url: options.url, commandTimeoutMs: PURSE_TIMEOUT_MS })
  const founder = new LedgerFounder({
    connection,
    clock,
    instance,
    weight: () => ledger.record.weight(),
    hasShipped: () => ledger.outbox.lastSequence > ledger.outbox.rowsWaiting,
    snapshot: () => ledger.record.snapshot(),
    makeName,
    onFounded: (from, attempts) => options.log.warn('store.founded', { from, attempts }),
  })
  let wasUp: boolean | null = null
  let charge = async (_batch: LedgerBatch): Promise<void> => {
    throw new Error('budgets are not open yet')
  }
  let whenShipped = async (): Promise<void> => undefined
  const shipper = createShipper({
    journal: ledger.outbox,
    store,
    charges: (batch) => charge(batch),
    clock,
    mayShip: claim.mayShip,
    found: () => founder.found(),
    onLost: (rows) => {
      options.metrics.rowsLost(rows)
      options.log.error('store.rows_lost', { rows })
    },
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
    ready: care.ready,
    keys: { store: keys, secret: (proposed) => keys.secret(proposed) },
    fleet: {
      instance,
      epoch,
      outbox: ledger.outbox,
      purses,
      marks: () => store.marks(),
      chargeTo(to) {
        charge = to
      },
      whenShipped(run) {
        whenShipped = run
      },
    },
    corrections: correctionsOf(ledger, store),
    alerts: { book: ledger.alerts, fleet: createRedisAlerts(connection, instance) },
    rerate: null,
    reconcile: null,
    recover: opened.recover,
    describe: `redis, journal ${options.journalPath ?? JOURNAL_PATH}`,
    trouble: () => troubleOf(ledger),
    async close() {
      const left = await shipper.stop(FLUSH_MS)
      if (left > 0) options.log.warn('store.rows_left', { rows: left })
      await whenShipped()
      purses.close()
      care.close()
      await claim.release()
      connection.close()
      await opened.close()
    },
  }
}
