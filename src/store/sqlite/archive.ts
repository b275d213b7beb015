// Batches of other instances, applied to this file exactly once. Rows of this instance come through journal.ts.

import type { AttemptRow, LedgerBatch, RequestRow } from '#core/ledger.ts'
import { assertFinal, parseAttempt, rowText } from '../row-json.ts'
import { sessionName } from '../shipment.ts'
import { countOf } from './attempt-counts.ts'
import type { LedgerBook } from './book.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { detailText, parseEntry } from './entry-text.ts'
import { assertAdjustment, assertAttempt, assertRequest, number, text } from './row-checks.ts'

/** Sessions whose marks are at hand. */
const MARKS_MAX = 10_000

export class LedgerArchive {
  readonly #book: LedgerBook
  readonly #nowMs: () => number
  readonly #marks = new Map<string, number>()
  readonly #applied: SqlStatement
  readonly #setApplied: SqlStatement
  readonly #find: SqlStatement
  readonly #setText: SqlStatement
  readonly #orphans: SqlStatement
  readonly #insertOrphan: SqlStatement
  readonly #deleteOrphans: SqlStatement

  constructor(driver: SqlDriver, book: LedgerBook, nowMs: () => number) {
    this.#book = book
    this.#nowMs = nowMs
    this.#applied = driver.prepare('SELECT sequence FROM applied WHERE instance = ? AND epoch = ?')
    this.#setApplied = driver.prepare(`INSERT INTO applied (instance, epoch, sequence) VALUES (?, ?, ?)
      ON CONFLICT (instance, epoch) DO UPDATE SET sequence = excluded.sequence`)
    this.#find = driver.prepare('SELECT number, time_ms, text FROM request WHERE id = ?')
    this.#setText = driver.prepare('UPDATE request SET text = ? WHERE number = ?')
    this.#orphans = driver.prepare('SELECT text FROM orphan WHERE request = ? ORDER BY attempt')
    this.#insertOrphan = driver.prepare(
      'INSERT INTO orphan (request, attempt, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    )
    this.#deleteOrphans = driver.prepare('DELETE FROM orphan WHERE request = ?')
  }

  /** The last row of an epoch that is applied. */
  markOf(instance: string, epoch: number): number {
    const name = sessionName(instance, epoch)
    const known = this.#marks.get(name)
    if (known !== undefined) return known
    const row = this.#applied.get(instance, epoch)
    const mark = row === undefined ? 0 : number(row, 'sequence')
    if (this.#marks.size >= MARKS_MAX) this.#marks.clear()
    this.#marks.set(name, mark)
    return mark
  }

  /** Inside a transaction. */
  mark(instance: string, epoch: number, sequence: number): void {
    if (sequence <= this.markOf(instance, epoch)) return
    this.#setApplied.run(instance, epoch, sequence)
    this.#marks.set(sessionName(instance, epoch), sequence)
  }

  /** After a rollback, or when others have written marks. */
  forget(): void {
    this.#marks.clear()
  }

  apply(batch: LedgerBatch): void {
    try {
      this.#book.transaction(() => this.applyNow(batch))
    } catch (error) {
      this.forget()
      throw error
    }
  }

  /** Inside a transaction. */
  applyNow(batch: LedgerBatch): void {
    const { instance, epoch, firstSequence, rows } = batch
    const fresh = rows.slice(Math.max(0, this.markOf(instance, epoch) + 1 - firstSequence))
    for (const entry of fresh) {
      assertFinal(entry)
      if (entry.kind === 'attempt') assertAttempt(entry.row)
      else if (entry.kind === 'request') assertRequest(entry.row)
      else assertAdjustment(entry.row)
    }
    for (const entry of fresh) {
      if (entry.kind === 'attempt') this.#applyAttempt(entry.row, entry.lateAtMs)
      else if (entry.kind === 'request') this.#applyRequest(entry.row)
      else this.#book.insertAdjustment(entry.row, this.#nowMs())
    }
    this.mark(instance, epoch, firstSequence + rows.length - 1)
  }

  #applyAttempt(row: AttemptRow, lateAtMs: number | undefined): void {
    const found = this.#find.get(row.requestId)
    if (found === undefined) {
      const { changes } = this.#insertOrphan.run(
        row.requestId,
        row.attempt,
        rowText({ kind: 'attempt', row }),
      )
      if (Number(changes) > 0) this.#count(row, lateAtMs)
      return
    }
    const timeMs = number(found, 'time_ms')
    const { request, attempts } = parseEntry(row.requestId, timeMs, text(found, 'text'))
    if (attempts.some((attempt) => attempt.attempt === row.attempt)) return
    const all = [...attempts, row].sort((left, right) => left.attempt - right.attempt)
    this.#setText.run(detailText({ request, attempts: all }), number(found, 'number'))
    this.#count(row, lateAtMs)
  }

  #count(row: AttemptRow, lateAtMs: number | undefined): void {
    if (this.#book.isShipping) this.#book.countOthers(countOf(row), lateAtMs)
    else this.#book.countOnce(countOf(row), this.#nowMs(), () => row)
  }

  #applyRequest(request: RequestRow): void {
    const { id, timeMs } = request
    const attempts = this.#orphans.all(id).map((orphan) => parseAttempt(text(orphan, 'text')))
    // Its attempts were counted when they came.
    const ended = { id, timeMs, text: detailText({ request, attempts }), attempts: [] }
    if (this.#book.insert(ended)) this.#deleteOrphans.run(id)
  }
}
