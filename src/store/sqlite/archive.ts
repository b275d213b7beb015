// Batches of other instances, applied to this file exactly once. Rows of this instance come through journal.ts.

import { assert } from '#core/assert.ts'
import type { AttemptRow, LedgerBatch, RequestRow } from '#core/ledger.ts'
import { detailText, parseAttempt, parseDetail, partText, requestText, rowText } from '../row-json.ts'
import type { LedgerBook } from './book.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { assertAttempt, assertRequest, number, text } from './row-checks.ts'

export class LedgerArchive {
  readonly #book: LedgerBook
  readonly #applied: SqlStatement
  readonly #setApplied: SqlStatement
  readonly #find: SqlStatement
  readonly #setText: SqlStatement
  readonly #orphans: SqlStatement
  readonly #insertOrphan: SqlStatement
  readonly #deleteOrphans: SqlStatement

  constructor(driver: SqlDriver, book: LedgerBook) {
    this.#book = book
    this.#applied = driver.prepare('SELECT sequence FROM applied WHERE instance = ? AND epoch = ?')
    this.#setApplied = driver.prepare(`INSERT INTO applied (instance, epoch, sequence) VALUES (?, ?, ?)
      ON CONFLICT (instance, epoch) DO UPDATE SET sequence = excluded.sequence`)
    this.#find = driver.prepare('SELECT number, text FROM request WHERE id = ?')
    this.#setText = driver.prepare('UPDATE request SET text = ?, rows = rows + 1 WHERE number = ?')
    this.#orphans = driver.prepare('SELECT text FROM orphan WHERE request = ? ORDER BY attempt')
    this.#insertOrphan = driver.prepare(
      'INSERT INTO orphan (request, attempt, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    )
    this.#deleteOrphans = driver.prepare('DELETE FROM orphan WHERE request = ?')
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
    this.#book.transaction(() => {
      for (const entry of fresh) {
        if (entry.kind === 'attempt') this.#applyAttempt(entry.row)
        else this.#applyRequest(entry.row, batch.epoch)
      }
      this.#setApplied.run(batch.instance, batch.epoch, batch.firstSequence + batch.rows.length - 1)
    })
  }

  #applyAttempt(row: AttemptRow): void {
    const found = this.#find.get(row.requestId)
    if (found === undefined) {
      const { changes } = this.#insertOrphan.run(
        row.requestId,
        row.attempt,
        rowText({ kind: 'attempt', row }),
      )
      // Rows without a request of their own are told apart by a number that no request has.
      if (Number(changes) > 0) this.#book.count(orphanNumber(row.requestId), row)
      return
    }
    const { request, attempts } = parseDetail(text(found, 'text'))
    if (attempts.some((attempt) => attempt.attempt === row.attempt)) return
    const all = [...attempts, row].sort((left, right) => left.attempt - right.attempt)
    this.#setText.run(detailText(requestText(request), all.map(partText)), number(found, 'number'))
    this.#book.count(number(found, 'number'), row)
  }

  #applyRequest(row: RequestRow, epoch: number): void {
    const attempts = this.#orphans.all(row.id).map((orphan) => parseAttempt(text(orphan, 'text')))
    const ended = {
      id: row.id,
      timeMs: row.timeMs,
      text: detailText(requestText(row), attempts.map(partText)),
      attempts,
    }
    if (this.#book.insert(ended, epoch, null, row.timeMs) !== null) this.#deleteOrphans.run(row.id)
  }
}

/** Negative, and the same for the same id: FNV-1a over its characters. */
function orphanNumber(id: string): number {
  let hash = 0xcbf29ce484222325n
  for (let index = 0; index < id.length; index++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(id.charCodeAt(index))) * 0x100000001b3n)
  }
  return -Number(hash & 0x1fffffffffffffn) - 1
}
