// Ended requests that wait for the shared store, in order, and what becomes of them after. Who sends them is shipper.ts.

import type { LedgerBatch, LedgerRow } from '#core/ledger.ts'
import { parseAdjustment } from '../row-json.ts'
import type { ShippableJournal } from '../shipper.ts'
import { hourStartMs } from '../usage-report.ts'
import type { LedgerBook } from './book.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { parseEntry } from './entry-text.ts'
import type { SqliteJournal } from './journal.ts'
import { number, text } from './row-checks.ts'

/** With more rows than this waiting nothing is pruned: the shipper is behind and every row may still be needed. */
const ROWS_TO_PRUNE_MAX = 10_000

export interface OutboxOptions {
  readonly driver: SqlDriver
  readonly book: LedgerBook
  readonly journal: SqliteJournal
  readonly instance: string
}

export class LedgerOutbox implements ShippableJournal {
  readonly instance: string
  readonly #book: LedgerBook
  readonly #journal: SqliteJournal
  readonly #waiting: SqlStatement
  readonly #after: SqlStatement
  readonly #oldest: SqlStatement
  readonly #shipped: SqlStatement
  readonly #setShipped: SqlStatement
  readonly #pruneRequests: SqlStatement
  readonly #pruneAttempts: SqlStatement
  readonly #setRowsFrom: SqlStatement

  constructor(options: OutboxOptions) {
    const { driver } = options
    this.instance = options.instance
    this.#book = options.book
    this.#journal = options.journal
    this.#waiting = driver.prepare(`SELECT sequence, epoch, id, time_ms, text, 0 AS adjusts FROM request
      WHERE sequence > ?1 UNION ALL SELECT sequence, epoch, id, time_ms, text, 1 FROM adjustment WHERE sequence > ?1
      ORDER BY sequence LIMIT ?2`)
    this.#oldest = driver.prepare(`SELECT sequence, written_at_ms FROM request WHERE sequence > ?1
      UNION ALL SELECT sequence, written_at_ms FROM adjustment WHERE sequence > ?1 ORDER BY sequence LIMIT 1`)
    // From the request on that the sequence lies in; none has as many rows.
    this.#after = driver.prepare(`SELECT sequence, epoch, id, time_ms, text, 0 AS adjusts FROM request
      WHERE sequence > ?2 - 64 AND epoch = ?1 AND sequence + rows - 1 > ?2
      UNION ALL SELECT sequence, epoch, id, time_ms, text, 1 FROM adjustment WHERE sequence > ?2 AND epoch = ?1
      ORDER BY sequence LIMIT ?3`)
    this.#shipped = driver.prepare(
      "SELECT CAST(value AS INTEGER) AS value FROM meta WHERE name = 'shipped_sequence'",
    )
    this.#setShipped = driver.prepare(`INSERT INTO meta (name, value) VALUES ('shipped_sequence', ?)
      ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
    this.#pruneRequests = driver.prepare(`DELETE FROM request WHERE number IN (SELECT number FROM request
      WHERE time_ms < ? AND (sequence IS NULL OR sequence <= ?) ORDER BY time_ms, id LIMIT ?)`)
    this.#pruneAttempts = driver.prepare(`DELETE FROM attempt_group WHERE number IN
      (SELECT number FROM attempt_group WHERE hour_ms < ? AND number <= ? LIMIT ?)`)
    this.#setRowsFrom =
      driver.prepare(`INSERT INTO meta (name, value) VALUES ('rows_from_ms', ?) ON CONFLICT (name)
      DO UPDATE SET value = excluded.value WHERE CAST(value AS INTEGER) < CAST(excluded.value AS INTEGER)`)
  }

  get rowsWaiting(): number {
    return this.#book.rowsWaiting
  }

  oldestWaitingAtMs(): number | null {
    const row = this.#oldest.get(this.#shippedSequence())
    return row === undefined ? null : number(row, 'written_at_ms')
  }

  /** Whole requests, of which at least one; so a batch may hold a few rows more than asked for. */
  unshipped(rowsMax: number): LedgerBatch | null {
    this.#journal.flush()
    return this.#batchOf(this.#waiting.all(this.#shippedSequence(), rowsMax), rowsMax)
  }

  /** Rows of an epoch behind a sequence, told before or not; those of the request that it lies in are all among them. */
  rowsAfter(epoch: number, sequence: number, rowsMax: number): LedgerBatch | null {
    this.#journal.flush()
    return this.#batchOf(this.#after.all(epoch, sequence, rowsMax), rowsMax)
  }

  /** The sequence of the last row that there is. */
  get lastSequence(): number {
    return this.#shippedSequence() + this.rowsWaiting
  }

  #batchOf(found: ReturnType<SqlStatement['all']>, rowsMax: number): LedgerBatch | null {
    const first = found[0]
    if (first === undefined) return null
    const epoch = number(first, 'epoch')
    const rows: LedgerRow[] = []
    for (const row of found) {
      if (number(row, 'epoch') !== epoch || rows.length >= rowsMax) break
      if (number(row, 'adjusts') === 1) {
        rows.push({ kind: 'adjustment', row: parseAdjustment(text(row, 'text')) })
        continue
      }
      const { request, attempts } = parseEntry(text(row, 'id'), number(row, 'time_ms'), text(row, 'text'))
      for (const attempt of attempts) rows.push({ kind: 'attempt', row: attempt })
      rows.push({ kind: 'request', row: request })
    }
    return { instance: this.instance, epoch, firstSequence: number(first, 'sequence'), rows }
  }

  shipped(batch: LedgerBatch): void {
    const lastSequence = batch.firstSequence + batch.rows.length - 1
    const before = this.#shippedSequence()
    if (lastSequence <= before) return
    this.#book.transaction(() => {
      this.#setShipped.run(String(lastSequence))
      this.#book.shipped(lastSequence - before)
    })
  }

  /**
   * Deletes requests that ended before this and wait for nothing, and what their attempts count, by whole hours.
   * Returns how many requests went; counters stay.
   */
  prune(beforeMs: number, requestsMax: number): number {
    if (this.rowsWaiting > ROWS_TO_PRUNE_MAX) return 0
    const hourMs = hourStartMs(beforeMs)
    let pruned = 0
    this.#book.transaction(() => {
      // Before anything is gone: from here on counters of those hours are all there is.
      this.#setRowsFrom.run(String(hourMs))
      const { changes } = this.#pruneRequests.run(beforeMs, this.#shippedSequence(), requestsMax)
      pruned = Number(changes)
      this.#pruneAttempts.run(hourMs, this.#book.countedNumber, 2 * requestsMax)
    })
    return pruned
  }

  #shippedSequence(): number {
    const row = this.#shipped.get()
    return row === undefined ? 0 : number(row, 'value')
  }
}
