// Ended requests that wait for the shared store, in order, and what becomes of them after. Who sends them is shipper.ts.

import type { LedgerBatch, LedgerRow } from '#core/ledger.ts'
import type { ClosedMonth } from '#core/month-close.ts'
import { parseAdjustment } from '../row-json.ts'
import { type EndedRequest, rowsOf, SHIPPED_HOURS_MAX, type Shipment, sessionName } from '../shipment.ts'
import type { ShippableJournal } from '../shipper.ts'
import { hourStartMs } from '../usage-report.ts'
import { countOf } from './attempt-counts.ts'
import type { LedgerBook, WrittenRequest } from './book.ts'
import type { SqlDriver, SqlRow, SqlStatement } from './driver.ts'
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

/** What is written under a sequence: a request, or an adjustment as a row. */
type Written = WrittenRequest | (Omit<WrittenRequest, 'request'> & { readonly row: LedgerRow })

export class LedgerOutbox implements ShippableJournal {
  readonly instance: string
  readonly #book: LedgerBook
  readonly #journal: SqliteJournal
  readonly #after: SqlStatement
  readonly #afterInEpoch: SqlStatement
  readonly #oldest: SqlStatement
  readonly #setShipped: SqlStatement
  readonly #pruneRequests: SqlStatement
  readonly #pruneAttempts: SqlStatement
  readonly #setRowsFrom: SqlStatement
  #shippedSequence: number
  /** The store has had rows up to here, though it may have lost some since. */
  #shippedMax: number
  /** Where the store says that it is just before these rows, whatever lies between. */
  #joint: { readonly firstSequence: number; readonly previous: number } | null = null

  constructor(options: OutboxOptions) {
    const { driver } = options
    this.instance = options.instance
    this.#book = options.book
    this.#journal = options.journal
    // From the request on that the sequence lies in; none has as many rows.
    const after = (
      more: string,
    ): string => `SELECT sequence, epoch, rows, id, time_ms, text, 0 AS adjusts FROM request
      WHERE sequence > ?1 - 64 AND sequence + rows - 1 > ?1${more} UNION ALL
      SELECT sequence, epoch, 1, id, time_ms, text, 1 FROM adjustment WHERE sequence > ?1${more}
      ORDER BY sequence LIMIT ?2`
    this.#after = driver.prepare(after(''))
    this.#afterInEpoch = driver.prepare(after(' AND epoch = ?3'))
    this.#oldest = driver.prepare(`SELECT sequence, written_at_ms FROM request WHERE sequence > ?1
      UNION ALL SELECT sequence, written_at_ms FROM adjustment WHERE sequence > ?1 ORDER BY sequence LIMIT 1`)
    this.#shippedSequence = options.book.sequence - options.book.rowsWaiting
    this.#shippedMax = this.#shippedSequence
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

  /** The sequence of the last row that there is. */
  get lastSequence(): number {
    return this.#book.sequence
  }

  /** Those that rows here belong to. */
  sessions(): readonly string[] {
    return this.#book.epochs().map(({ epoch }) => sessionName(this.instance, epoch))
  }

  oldestWaitingAtMs(): number | null {
    if (this.rowsWaiting === 0) return null
    const row = this.#oldest.get(this.#shippedSequence)
    return row === undefined ? null : number(row, 'written_at_ms')
  }

  flush(): void {
    this.#journal.flush()
  }

  /** What waits in the tables; whole requests, of which at least one, so that there may be a few rows more. */
  unshipped(rowsMax: number): Shipment | null {
    if (this.rowsWaiting === 0) return null
    const after = this.#shippedSequence
    const atHand = this.#book.writtenAfter(after)
    const found = atHand.length > 0 ? atHand : this.#after.all(after, Math.ceil(rowsMax / 4)).map(writtenOf)
    const [first] = found
    if (first === undefined) return null
    const { epoch, sequence } = first
    if (!('request' in first)) return this.#rowsShipment(found, (written) => 'row' in written, rowsMax)
    const hours: number[] = []
    if (sequence <= after || this.#isLate(first) || !addHours(hours, first.request))
      return this.#rowsShipment(found, (written) => written === first, rowsMax)
    const requests: EndedRequest[] = []
    let next = sequence
    for (const written of found) {
      if (!('request' in written) || written.epoch !== epoch || written.sequence !== next) break
      if (this.#isLate(written)) break
      if (!addHours(hours, written.request)) break
      requests.push(written.request)
      next += written.rows
      if (next - sequence >= rowsMax) break
    }
    const place = { instance: this.instance, epoch, firstSequence: sequence, last: next - 1 }
    return { kind: 'requests', ...place, previous: this.#previousOf(epoch, sequence), requests }
  }

  /** Rows of an epoch behind a sequence, told before or not; those of the request that it lies in are all among them. */
  rowsAfter(epoch: number, sequence: number, rowsMax: number): LedgerBatch | null {
    this.#journal.flush()
    const found = this.#afterInEpoch.all(sequence, rowsMax, epoch).map(writtenOf)
    return this.#batchOf(found, () => true, rowsMax)
  }

  shipped({ last }: Shipment): void {
    if (last > this.#shippedSequence) this.#moveTo(last)
  }

  /**
   * Goes back, or on, to where the store is. Returns how many rows the store lacks that are no longer here: it gets what
   * comes after them.
   */
  reconcile(marks: ReadonlyMap<number, number>): number {
    this.#joint = null
    const before = this.#shippedSequence
    const markOf = (epoch: number): number => marks.get(epoch) ?? 0
    const spans = this.#book.epochs()
    let to = before
    for (const { epoch, base, end } of spans) {
      const has = Math.min(end, Math.max(base, markOf(epoch)))
      if (has < Math.min(end, before)) {
        to = has
        break
      }
      to = Math.max(to, markOf(epoch) === 0 ? 0 : has)
    }
    const [next] = this.#after.all(to, 1).map(writtenOf)
    const first = next?.sequence ?? this.lastSequence + 1
    if (next !== undefined && first > to) this.#joint = { firstSequence: first, previous: markOf(next.epoch) }
    let lost = 0
    for (const { epoch, base, end } of spans)
      lost += Math.max(0, Math.min(end, first - 1) - Math.max(base, to, markOf(epoch)))
    this.#moveTo(Math.max(to, first - 1))
    return lost
  }

  /**
   * Learns of months that the store has closed, when it had rows of this instance up to those that are shipped. Returns
   * those that it does not know of, though it was told once. Called where it was just seen how far the store is.
   * @throws when the tables cannot be written
   */
  closeMonths(closed: readonly ClosedMonth[], nowMs: number): readonly ClosedMonth[] {
    const known = this.#book.months.list()
    const fresh = closed.filter(({ month }) => !known.some((own) => own.month === month))
    if (fresh.length > 0) {
      if (!this.#journal.flush()) throw this.#journal.failure ?? new Error('the journal cannot be written')
      this.#book.learn(fresh, this.#shippedMax, nowMs)
    }
    return known.filter(({ month }) => !closed.some((their) => their.month === month))
  }

  /**
   * Deletes requests that ended before this and wait for nothing, and what their attempts count, by whole hours.
   * `archivedSequence`: rows above it are needed still. Returns how many requests went; counters stay.
   */
  prune(beforeMs: number, requestsMax: number, archivedSequence = Number.MAX_SAFE_INTEGER): number {
    if (this.rowsWaiting > ROWS_TO_PRUNE_MAX) return 0
    const hourMs = hourStartMs(beforeMs)
    let pruned = 0
    this.#book.transaction(() => {
      const upTo = Math.min(this.#shippedSequence, archivedSequence)
      const { changes } = this.#pruneRequests.run(beforeMs, upTo, requestsMax)
      pruned = Number(changes)
      const counts = this.#pruneAttempts.run(hourMs, this.#book.countedNumber, 2 * requestsMax)
      // From here on counters of those hours are all there is.
      if (pruned > 0 || Number(counts.changes) > 0) this.#setRowsFrom.run(String(hourMs))
    })
    return pruned
  }

  #moveTo(sequence: number): void {
    const before = this.#shippedSequence
    if (sequence === before) return
    this.#book.transaction(() => {
      this.#setShipped.run(String(sequence))
      this.#book.shipped(sequence - before)
    })
    this.#shippedSequence = sequence
    this.#shippedMax = Math.max(this.#shippedMax, sequence)
  }

  #previousOf(epoch: number, firstSequence: number): number {
    if (this.#joint?.firstSequence === firstSequence) return this.#joint.previous
    const span = this.#book.epochs().find((known) => known.epoch === epoch)
    return span !== undefined && firstSequence - 1 <= span.base ? 0 : firstSequence - 1
  }

  #rowsShipment(
    found: readonly Written[],
    isPart: (written: Written) => boolean,
    rowsMax: number,
  ): Shipment | null {
    const batch = this.#batchOf(found, isPart, rowsMax)
    if (batch === null) return null
    const { instance, epoch, firstSequence, rows } = batch
    const previous = this.#previousOf(epoch, firstSequence)
    const last = firstSequence + rows.length - 1
    return { kind: 'rows', instance, epoch, previous, firstSequence, last, batch }
  }

  /** Its month was closed before: it goes row by row, each of which says when it counts. */
  #isLate({ sequence, request }: WrittenRequest): boolean {
    const { months } = this.#book
    return request.attempts.some(({ startedAtMs }, index) => months.isLate(startedAtMs, sequence + index))
  }

  #rowsOf({ sequence, request }: WrittenRequest): readonly LedgerRow[] {
    return rowsOf(request).map((entry, index) => {
      const late = entry.kind === 'attempt' ? this.#book.months.lateAt(entry.row, sequence + index) : null
      return late === null || entry.kind !== 'attempt' ? entry : { ...entry, lateAtMs: late.bookedAtMs }
    })
  }

  /** Neighbours of one epoch from the first on, row by row. */
  #batchOf(
    found: readonly Written[],
    isPart: (written: Written) => boolean,
    rowsMax: number,
  ): LedgerBatch | null {
    const [first] = found
    if (first === undefined) return null
    const rows: LedgerRow[] = []
    for (const written of found) {
      const isNext = written.epoch === first.epoch && written.sequence === first.sequence + rows.length
      if (!isNext || !isPart(written) || rows.length >= rowsMax) break
      if ('row' in written) rows.push(written.row)
      else rows.push(...this.#rowsOf(written))
    }
    return { instance: this.instance, epoch: first.epoch, firstSequence: first.sequence, rows }
  }
}

function writtenOf(row: SqlRow): Written {
  const place = { epoch: number(row, 'epoch'), sequence: number(row, 'sequence'), rows: number(row, 'rows') }
  if (number(row, 'adjusts') === 1)
    return { ...place, row: { kind: 'adjustment', row: parseAdjustment(text(row, 'text')) } }
  const [id, timeMs, entry] = [text(row, 'id'), number(row, 'time_ms'), text(row, 'text')]
  const { attempts } = parseEntry(id, timeMs, entry)
  return { ...place, request: { id, timeMs, text: entry, attempts: attempts.map(countOf) } }
}

/** Adds the hours of its attempts. False: there would be too many. */
function addHours(hours: number[], { attempts }: EndedRequest): boolean {
  for (const { startedAtMs } of attempts) {
    const hourMs = hourStartMs(startedAtMs)
    if (hours.includes(hourMs)) continue
    if (hours.length >= SHIPPED_HOURS_MAX) return false
    hours.push(hourMs)
  }
  return true
}
