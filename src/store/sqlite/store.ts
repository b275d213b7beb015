// The ledger in one SQLite file: this instance's journal, and a store on the same tables. How rows are written and
// read stands in the files beside.

import type { AttemptRow, LedgerStore } from '#core/ledger.ts'
import type { Clock } from '#core/ports.ts'
import { LedgerArchive } from './archive.ts'
import type { SqlDriver } from './driver.ts'
import { SqliteJournal } from './journal.ts'
import { migrate } from './migrate.ts'
import { LedgerOutbox } from './outbox.ts'
import { LedgerReader } from './reader.ts'
import { recoverOpen } from './recovery.ts'
import { text } from './rows.ts'
import { LedgerWriter } from './writer.ts'

export interface SqliteLedgerOptions {
  readonly clock: Clock
  /** Runs a function at the end of this turn of the event loop: `setImmediate` on Node. */
  readonly schedule: (run: () => void) => void
  /** Makes the name of a new instance; kept in the file and never made again. */
  readonly makeInstance: () => string
  /** True: final rows also wait in the outbox for a shared store. */
  readonly shipping: boolean
  /** What a commit survives: the death of the process (default), or the loss of power too (40 times the wait). */
  readonly durability?: 'process' | 'power'
  readonly pendingRowsMax?: number
}

export interface SqliteLedger {
  readonly journal: SqliteJournal
  readonly store: LedgerStore
  readonly outbox: LedgerOutbox
  readonly instance: string
  /** One more at each opening. */
  readonly epoch: number
  readonly sqliteVersion: string
  /**
   * Books what an earlier epoch left open as interrupted, with the usage and cost that `estimate` gives.
   * Call once after opening. Returns the number of attempts.
   */
  recover(estimate: (row: AttemptRow) => AttemptRow): number
  /**
   * Moves the log into the file, which syncs: call it from a timer, never from a request.
   * Returns why it could not; the next call tries again.
   */
  checkpoint(): Error | null
  /** Deletes final requests older than this, a small batch per call; counters stay. Returns how many. */
  prune(beforeMs: number, requestsMax: number): number
  /** Deletes counters of hours before this. */
  pruneUsage(beforeMs: number): void
  /** Writes what waits and closes the file. @throws the last write error when rows could not be written */
  close(): void
}

/** @throws StoreFileError when the file is of a newer version */
export function openSqliteLedger(driver: SqlDriver, options: SqliteLedgerOptions): SqliteLedger {
  // No automatic checkpoints: one in a commit would sync on the request path.
  driver.exec('PRAGMA wal_autocheckpoint = 0')
  driver.exec(`PRAGMA synchronous = ${options.durability === 'power' ? 'FULL' : 'NORMAL'}`)
  driver.exec('PRAGMA journal_size_limit = 67108864')
  driver.exec('PRAGMA cache_size = -16384')
  migrate(driver)
  const meta = metaOf(driver)
  const instance = meta.read('instance') ?? options.makeInstance()
  const epoch = Number(meta.read('epoch') ?? '0') + 1
  driver.transaction(() => {
    meta.write('instance', instance)
    meta.write('epoch', String(epoch))
  })
  const outboxTarget = options.shipping ? { epoch, nowMs: () => options.clock.nowMs() } : null
  const writer = new LedgerWriter(driver, outboxTarget)
  const journal = new SqliteJournal({
    driver,
    writer,
    clock: options.clock,
    schedule: options.schedule,
    pendingRowsMax: options.pendingRowsMax,
  })
  const firstLiveNumber = (): number => journal.firstLiveNumber
  const outbox = new LedgerOutbox({ driver, writer, instance, firstLiveNumber })
  const reader = new LedgerReader(driver)
  const archive = new LedgerArchive(driver, writer)
  const deleteUsage = driver.prepare('DELETE FROM usage_hour WHERE hour_ms < ?')
  const version = driver.prepare('SELECT sqlite_version() AS version').get()
  const span = {
    firstNumber: Number(meta.read('first_open_number') ?? '1'),
    lastNumber: writer.requestNumber,
  }
  let isRecovered = false
  let isClosed = false

  /** Where the next recovery has to start looking. Unknown until this one is done. */
  function keepFirstOpen(): void {
    if (!isRecovered || journal.failure !== null) return
    driver.transaction(() => meta.write('first_open_number', String(journal.firstLiveNumber)))
  }

  function close(): void {
    if (isClosed) return
    isClosed = true
    journal.stop()
    const isFlushed = journal.flush()
    journal.stop()
    if (isFlushed) keepFirstOpen()
    const { failure } = journal
    driver.close()
    if (!isFlushed && failure !== null) throw failure
  }

  return {
    journal,
    outbox,
    instance,
    epoch,
    sqliteVersion: version === undefined ? '' : text(version, 'version'),
    store: {
      apply: async (batch) => archive.apply(batch),
      usage: async (query) => reader.usage(query),
      requests: async (page) => reader.requests(page),
      request: async (id) => reader.request(id),
      close: async () => close(),
    },
    recover(estimate) {
      const recovered = recoverOpen(driver, writer, span, estimate)
      isRecovered = true
      return recovered
    },
    checkpoint() {
      try {
        keepFirstOpen()
        driver.exec('PRAGMA wal_checkpoint(PASSIVE)')
        return null
      } catch (error) {
        return error instanceof Error ? error : new Error(String(error))
      }
    },
    prune: (beforeMs, requestsMax) => outbox.prune(beforeMs, requestsMax),
    pruneUsage: (beforeMs) => void deleteUsage.run(beforeMs),
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
