// Batches of other instances, applied to this file exactly once. Rows of this instance come through journal.ts.

import { assert } from '#core/assert.ts'
import type { AttemptRow, LedgerBatch, RequestOutcome, RequestRow } from '#core/ledger.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { requestFromAttempt } from './journal-entry.ts'
import { assertAttempt, assertRequest, number, text } from './rows.ts'
import type { LedgerWriter } from './writer.ts'

/** Outcome of a request of which only attempts have come so far: not listed. */
const ATTEMPTS_ONLY = '' as RequestOutcome

export class LedgerArchive {
  readonly #writer: LedgerWriter
  readonly #applied: SqlStatement
  readonly #setApplied: SqlStatement
  readonly #find: SqlStatement

  constructor(driver: SqlDriver, writer: LedgerWriter) {
    this.#writer = writer
    this.#applied = driver.prepare('SELECT sequence FROM applied WHERE instance = ? AND epoch = ?')
    this.#setApplied = driver.prepare(`INSERT INTO applied (instance, epoch, sequence) VALUES (?, ?, ?)
      ON CONFLICT (instance, epoch) DO UPDATE SET sequence = excluded.sequence`)
    this.#find = driver.prepare('SELECT number, outcome FROM request WHERE id = ?')
  }

  apply(batch: LedgerBatch): void {
    const row = this.#applied.get(batch.instance, batch.epoch)
    const applied = row === undefined ? 0 : number(row, 'sequence')
    const fresh = batch.rows.slice(Math.max(0, applied + 1 - batch.firstSequence))
    if (fresh.length === 0) return
    for (const entry of fresh) {
      assert(entry.row.outcome !== 'open', 'only final rows are applied')
      if (entry.kind === 'attempt') assertAttempt(entry.row)
      else assertRequest(entry.row)
    }
    this.#writer.transaction(() => {
      for (const entry of fresh) {
        if (entry.kind === 'attempt') this.#applyAttempt(entry.row)
        else this.#applyRequest(entry.row)
      }
      this.#setApplied.run(batch.instance, batch.epoch, batch.firstSequence + batch.rows.length - 1)
    })
  }

  #applyAttempt(row: AttemptRow): void {
    const found = this.#find.get(row.requestId)
    const requestNumber = found === undefined ? this.#writer.nextRequestNumber() : number(found, 'number')
    if (found === undefined) {
      this.#writer.openRequest(requestNumber, { ...requestFromAttempt(row), outcome: ATTEMPTS_ONLY })
    }
    this.#writer.closeAttempt(requestNumber, row)
  }

  #applyRequest(row: RequestRow): void {
    const found = this.#find.get(row.id)
    if (found !== undefined && text(found, 'outcome') !== ATTEMPTS_ONLY) return
    const requestNumber = found === undefined ? this.#writer.nextRequestNumber() : number(found, 'number')
    if (found !== undefined) this.#writer.deleteRequest(requestNumber)
    this.#writer.closeRequest(requestNumber, row, null)
  }
}
