// Final rows that wait for the shared store, in order, and what becomes of them after. Who sends them is shipper.ts.

import { assert } from '#core/assert.ts'
import type { LedgerBatch, LedgerRow } from '#core/ledger.ts'
import type { ShippableJournal } from '../shipper.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { ATTEMPT_COLUMNS, attemptOf, number, REQUEST_COLUMNS, requestOf } from './rows.ts'
import type { LedgerWriter } from './writer.ts'

/** With more rows than this waiting nothing is pruned: the shipper is behind and every row may still be needed. */
const OUTBOX_ROWS_TO_PRUNE_MAX = 10_000

export interface OutboxOptions {
  readonly driver: SqlDriver
  readonly writer: LedgerWriter
  readonly instance: string
  /** Request rows below this number have no rows to come. */
  readonly firstLiveNumber: () => number
}

export class LedgerOutbox implements ShippableJournal {
  readonly instance: string
  readonly #writer: LedgerWriter
  readonly #firstLiveNumber: () => number
  readonly #waiting: SqlStatement
  readonly #attempts: SqlStatement
  readonly #requests: SqlStatement
  readonly #oldest: SqlStatement
  readonly #delete: SqlStatement
  readonly #setShipped: SqlStatement
  readonly #firstWaiting: SqlStatement
  readonly #prunable: SqlStatement
  readonly #pruneAttempts: SqlStatement

  constructor(options: OutboxOptions) {
    const { driver } = options
    this.instance = options.instance
    this.#writer = options.writer
    this.#firstLiveNumber = options.firstLiveNumber
    this.#waiting = driver.prepare('SELECT sequence, epoch FROM outbox ORDER BY sequence LIMIT ?')
    this.#attempts = driver.prepare(`SELECT o.sequence, ${ATTEMPT_COLUMNS} FROM outbox AS o
      JOIN attempt AS a ON a.request = o.request AND a.attempt = o.attempt
      JOIN request AS r ON r.number = a.request JOIN series AS s ON s.id = a.series
      WHERE o.sequence BETWEEN ? AND ?`)
    this.#requests = driver.prepare(`SELECT o.sequence, ${REQUEST_COLUMNS} FROM outbox AS o
      JOIN request AS r ON r.number = o.request LEFT JOIN decision AS d ON d.request = r.number
      WHERE o.sequence BETWEEN ? AND ? AND o.attempt = 0`)
    this.#oldest = driver.prepare('SELECT at_ms FROM outbox ORDER BY sequence LIMIT 1')
    this.#delete = driver.prepare('DELETE FROM outbox WHERE sequence <= ?')
    this.#setShipped = driver.prepare(`INSERT INTO meta (name, value) VALUES ('shipped_sequence', ?)
      ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
    this.#firstWaiting = driver.prepare('SELECT min(request) AS number FROM outbox')
    this.#prunable =
      driver.prepare(`SELECT number FROM request WHERE time_ms < ? AND number < ? AND outcome <> 'open'
      ORDER BY time_ms, id LIMIT ?`)
    this.#pruneAttempts = driver.prepare('DELETE FROM attempt WHERE request = ?')
  }

  get rowsWaiting(): number {
    return this.#writer.outboxRows
  }

  oldestWaitingAtMs(): number | null {
    const row = this.#oldest.get()
    return row === undefined ? null : number(row, 'at_ms')
  }

  unshipped(rowsMax: number): LedgerBatch | null {
    const waiting = this.#waiting.all(rowsMax)
    const [first] = waiting
    if (first === undefined) return null
    const epoch = number(first, 'epoch')
    const firstSequence = number(first, 'sequence')
    const ofEpoch = waiting.filter((row) => number(row, 'epoch') === epoch).length
    const lastSequence = firstSequence + ofEpoch - 1
    const rows = new Array<LedgerRow | undefined>(ofEpoch)
    for (const row of this.#attempts.all(firstSequence, lastSequence)) {
      rows[number(row, 'sequence') - firstSequence] = { kind: 'attempt', row: attemptOf(row) }
    }
    for (const row of this.#requests.all(firstSequence, lastSequence)) {
      rows[number(row, 'sequence') - firstSequence] = { kind: 'request', row: requestOf(row) }
    }
    return { instance: this.instance, epoch, firstSequence, rows: rows.map(present) }
  }

  shipped(batch: LedgerBatch): void {
    const lastSequence = batch.firstSequence + batch.rows.length - 1
    this.#writer.transaction(() => {
      this.#setShipped.run(String(lastSequence))
      this.#writer.shipped(Number(this.#delete.run(lastSequence).changes))
    })
  }

  prune(beforeMs: number, requestsMax: number): number {
    if (this.rowsWaiting > OUTBOX_ROWS_TO_PRUNE_MAX) return 0
    const firstWaiting = this.#firstWaiting.get()?.['number']
    const bound = Math.min(
      this.#firstLiveNumber(),
      typeof firstWaiting === 'number' ? firstWaiting : Number.MAX_SAFE_INTEGER,
    )
    const found = this.#prunable.all(beforeMs, bound, requestsMax)
    if (found.length === 0) return 0
    this.#writer.transaction(() => {
      for (const row of found) {
        this.#pruneAttempts.run(number(row, 'number'))
        this.#writer.deleteRequest(number(row, 'number'))
      }
    })
    return found.length
  }
}

function present(row: LedgerRow | undefined): LedgerRow {
  assert(row !== undefined, 'a row in the outbox is in the ledger')
  return row
}
