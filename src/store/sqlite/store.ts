// The ledger in one SQLite file and its log: this instance's journal, and a store on the same tables. How rows are
// written and read stands in the files beside.

import type { AdjustmentRow } from '#core/adjustments.ts'
import type { AlertBook } from '#core/alerts.ts'
import type { KeyStore } from '#core/keys.ts'
import type { LedgerStore, ReportProgress } from '#core/ledger.ts'
import type { Clock } from '#core/ports.ts'
import { AdjustmentTable } from './adjustments.ts'
import { createAlertBook } from './alerts.ts'
import type { AppendLog } from './append-log.ts'
import { LedgerArchive } from './archive.ts'
import { readBalances } from './balance-counts.ts'
import { LedgerBook } from './book.ts'
import { monthBookOf } from './closed-months.ts'
import { type CounterDrift, rebuildDay, rebuildHour } from './counter-check.ts'
import type { SqlDriver } from './driver.ts'
import { SqliteJournal } from './journal.ts'
import { createSqliteKeyStore } from './key-store.ts'
import { migrate } from './migrate.ts'
import { MIGRATIONS } from './migrations.ts'
import { LedgerOutbox } from './outbox.ts'
import { LedgerReader } from './reader.ts'
import { LedgerRecord } from './record.ts'
import { type Estimate, recoverOpen } from './recovery.ts'
import type { ReportJob, ReportOutcome } from './report-job.ts'
import { assertAdjustment, text } from './row-checks.ts'

export interface SqliteLedgerOptions {
  readonly clock: Clock
  readonly log: AppendLog
  /** Runs a function at the end of this turn of the event loop: `setImmediate` on Node. */
  readonly schedule: (run: () => void) => void
  /** Makes the name of a new instance; kept in the file and never made again. */
  readonly makeInstance: () => string
  /** How far this epoch is from the last one, 1 by default. By chance: two copies of a file never write the same epoch. */
  readonly epochStep?: () => number
  /** True: final rows also wait in the outbox for a shared store. */
  readonly shipping: boolean
  /** What an acknowledged row survives: the death of the process (default), or the loss of power too. */
  readonly durability?: 'process' | 'power'
  readonly pendingRowsMax?: number
  /** Keeps a copy of a file of an older schema before it is changed. */
  readonly backUp?: (schema: number) => void
  /** Makes long reports on another thread; absent: all are made in place. */
  readonly reports?: (job: ReportJob, onProgress: ReportProgress) => Promise<ReportOutcome>
}

export interface SqliteLedger {
  readonly journal: SqliteJournal
  readonly store: LedgerStore
  /** This file as the ledger of record of a fleet. */
  readonly record: LedgerRecord
  /** Keys of this file; closed with it. */
  readonly keys: KeyStore
  readonly outbox: LedgerOutbox
  /** What was told of budgets. */
  readonly alerts: AlertBook
  readonly instance: string
  /** One more at each opening. */
  readonly epoch: number
  readonly sqliteVersion: string
  /**
   * Books what an earlier epoch left open as interrupted, with the usage and cost that `estimate` gives.
   * Call once after opening. Returns the number of attempts.
   */
  recover(estimate: Estimate): number
  /**
   * Books adjustments of this instance, all or none, durable when it returns. Those whose id is there already count once.
   * Returns how many were new. @throws when the tables cannot be written
   */
  adjust(rows: readonly AdjustmentRow[]): number
  /** Segments of the log below this one may go once a checkpoint that begins now has ended. */
  readonly segment: number
  /** Such a checkpoint has ended; `segment` is what it was when it began. */
  checkpointed(segment: number): void
  /** Moves the write-ahead log into the file, which syncs: for a thread of its own, or the end. */
  checkpoint(): void
  /** Deletes rows of requests that ended before this, a small batch per call; counters stay. Returns how many. */
  prune(beforeMs: number, requestsMax: number): number
  /** Deletes counters of hours before this. */
  pruneUsage(beforeMs: number): void
  /** The last process that had the file did not close it. */
  readonly wasInterrupted: boolean
  /** Rows of hours from here on are all there: counters can be compared with them. */
  readonly rowsFromMs: number
  /** Makes counters anew from rows, an hour or a day per turn of the event loop. */
  rebuild(drift: CounterDrift): Promise<void>
  /** Writes what waits and closes the files. @throws the last write error when rows could not be written */
  close(): void
}

/** @throws StoreFileError when the file is of a newer version */
export function openSqliteLedger(driver: SqlDriver, options: SqliteLedgerOptions): SqliteLedger {
  const { log } = options
  // No automatic checkpoints: one in a commit would sync on the request path.
  driver.exec('PRAGMA wal_autocheckpoint = 0')
  driver.exec(`PRAGMA synchronous = ${options.durability === 'power' ? 'FULL' : 'NORMAL'}`)
  driver.exec('PRAGMA journal_size_limit = 67108864')
  driver.exec('PRAGMA cache_size = -16384')
  migrate(driver, MIGRATIONS, options.backUp)
  const meta = metaOf(driver)
  const wasInterrupted = meta.read('is_open') === '1'
  const instance = meta.read('instance') ?? options.makeInstance()
  const epoch = Number(meta.read('epoch') ?? '0') + (options.epochStep?.() ?? 1)
  driver.transaction(() => {
    meta.write('instance', instance)
    meta.write('epoch', String(epoch))
    meta.write('is_open', '1')
  })
  const book = new LedgerBook(driver, epoch, options.shipping)
  const journal = new SqliteJournal({
    log,
    book,
    clock: options.clock,
    schedule: options.schedule,
    syncs: options.durability === 'power',
    pendingRowsMax: options.pendingRowsMax,
  })
  const left = journal.running()
  const outbox = new LedgerOutbox({ driver, book, journal, instance })
  const reader = new LedgerReader({
    driver,
    journal,
    book,
    schedule: options.schedule,
    reports: options.reports ?? null,
  })
  const nowMs = (): number => options.clock.nowMs()
  const archive = new LedgerArchive(driver, book, nowMs)
  const record = new LedgerRecord({ driver, book, journal, archive, instance, meta, nowMs })
  const adjustments = new AdjustmentTable(driver)
  const deleteUsage = [
    driver.prepare('DELETE FROM usage_hour WHERE hour_ms < ?'),
    driver.prepare('DELETE FROM rollup_hour WHERE hour_ms < ?'),
    driver.prepare('DELETE FROM rollup_day WHERE day_ms < ? - 86400000'),
  ]
  const version = driver.prepare('SELECT sqlite_version() AS version').get()
  let isRecovered = false
  let isClosed = false

  function close(): void {
    if (isClosed) return
    isClosed = true
    journal.stop()
    const isFlushed = journal.flush()
    journal.stop()
    const { failure } = journal
    if (isFlushed) {
      meta.write('is_open', '0')
      journal.rotate()
      driver.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      log.drop(log.segment)
    }
    log.close()
    driver.close()
    if (!isFlushed && failure !== null) throw failure
  }

  return {
    journal,
    record,
    keys: createSqliteKeyStore(driver),
    alerts: createAlertBook(driver),
    outbox,
    instance,
    epoch,
    sqliteVersion: version === undefined ? '' : text(version, 'version'),
    store: {
      apply: async (batch) => archive.apply(batch),
      usage: (query, onProgress) => reader.usage(query, onProgress),
      requests: (query) => reader.requests(query),
      request: async (id) => reader.request(id),
      adjustments: async (query) => adjustments.page(query),
      balances: async () => {
        journal.flush()
        return readBalances(driver)
      },
      months: monthBookOf(book.months, () => {
        if (!journal.flush()) throw journal.failure ?? new Error('the journal cannot be written')
      }),
      close: async () => close(),
    },
    recover(estimate) {
      if (isRecovered) return 0
      isRecovered = true
      const recovered = recoverOpen(journal, left, estimate)
      if (journal.flush()) journal.rotate()
      return recovered
    },
    adjust(rows) {
      for (const row of rows) assertAdjustment(row)
      const nowMs = options.clock.nowMs()
      let added = 0
      book.transaction(() => {
        added = rows.filter((row) => book.adjust(row, nowMs)).length
      })
      return added
    },
    get segment() {
      return journal.firstNeededSegment
    },
    checkpointed: (segment) => log.drop(segment),
    checkpoint: () => driver.exec('PRAGMA wal_checkpoint(PASSIVE)'),
    prune: (beforeMs, requestsMax) => outbox.prune(beforeMs, requestsMax),
    pruneUsage(beforeMs) {
      // Counters of a ledger of record stay.
      if (record.position !== null) return
      driver.transaction(() => {
        for (const statement of deleteUsage) statement.run(beforeMs)
      })
    },
    wasInterrupted,
    get rowsFromMs() {
      return Number(meta.read('rows_from_ms') ?? '0')
    },
    async rebuild({ hoursMs, daysMs }) {
      journal.flush()
      const inTurn = (run: () => void): Promise<void> =>
        new Promise((resolve, reject) => {
          options.schedule(() => {
            try {
              if (!isClosed) run()
              resolve()
            } catch (error) {
              reject(error)
            }
          })
        })
      for (const hourMs of hoursMs) await inTurn(() => rebuildHour(driver, hourMs))
      for (const dayMs of daysMs) await inTurn(() => rebuildDay(driver, dayMs))
    },
    close,
  }
}

function metaOf(driver: SqlDriver): {
  read(name: string): string | null
  write(name: string, value: string): void
} {
  const select = driver.prepare('SELECT value FROM meta WHERE name = ?')
  const upsert = driver.prepare(
    'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  )
  return {
    read(name) {
      const row = select.get(name)
      return row === undefined ? null : text(row, 'value')
    },
    write: (name, value) => void upsert.run(name, value),
  }
}
