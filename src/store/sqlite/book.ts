// Writes ended requests inside a transaction, and what they count: requests and groups of attempts move together or
// not at all, counters follow by the number of the group (rollups.ts). When a transaction runs is decided by journal.ts
// and archive.ts.

import type { AdjustmentRow } from '#core/adjustments.ts'
import { assert } from '#core/assert.ts'
import type { AttemptRow } from '#core/ledger.ts'
import type { ClosedMonth } from '#core/month-close.ts'
import type { AttemptCount, EndedRequest } from '../shipment.ts'
import { hourStartMs } from '../usage-report.ts'
import { AdjustmentTable, type ShippedPlace } from './adjustments.ts'
import { AttemptCounts, countOfAdjustment, negated } from './attempt-counts.ts'
import { BalanceCounts } from './balance-counts.ts'
import { ClosedMonths, lateAdjustment, lateCount, type OwnForm, ownForm } from './closed-months.ts'
import type { SqlDriver, SqlRow, SqlStatement } from './driver.ts'
import { parseEntry } from './entry-text.ts'
import { EpochBases, type EpochSpan } from './epochs.ts'
import { Rollups } from './rollups.ts'
import { number, text } from './row-checks.ts'
import { TextNumbers } from './text-numbers.ts'

/** A request in the order of what is shipped. */
export interface WrittenRequest {
  readonly epoch: number
  /** Of its first row. */
  readonly sequence: number
  readonly rows: number
  readonly request: EndedRequest
}

/** A second or two at full load: more is read from the tables again. */
const WRITTEN_MAX = 10_000

export class LedgerBook {
  readonly #driver: SqlDriver
  readonly #epoch: number
  /** Several instances write to a ledger; this file is one's journal, and may be the record of all. */
  readonly isShipping: boolean
  readonly #series: TextNumbers
  readonly #counts: AttemptCounts
  readonly #balances: BalanceCounts
  readonly #rollups: Rollups
  readonly #adjustments: AdjustmentTable
  readonly months: ClosedMonths
  readonly #insert: SqlStatement
  readonly #insertWaiting: SqlStatement
  readonly #waitingRequests: SqlStatement
  readonly #epochs: EpochBases
  #number: number
  #sequence: number
  #rowsWaiting: number
  /** Of a transaction that has not ended. */
  #adding: WrittenRequest[] = []
  /** What was written last, so that the shipper need not read it again. */
  #written: WrittenRequest[] = []

  constructor(driver: SqlDriver, epoch: number, isShipping: boolean) {
    this.#driver = driver
    this.#epoch = epoch
    this.isShipping = isShipping
    this.#series = new TextNumbers(driver, 'series')
    this.#rollups = new Rollups(driver)
    this.#adjustments = new AdjustmentTable(driver)
    this.months = new ClosedMonths(driver)
    const newestGroup = readCount(driver, 'SELECT max(number) AS value FROM attempt_group')
    this.#counts = new AttemptCounts(driver, this.#series, Math.max(newestGroup, this.#rollups.writtenNumber))
    this.#balances = new BalanceCounts(driver)
    this.#insert = driver.prepare(
      'INSERT INTO request (number, id, time_ms, text) VALUES (?,?,?,?) ON CONFLICT DO NOTHING',
    )
    this.#insertWaiting =
      driver.prepare(`INSERT INTO request (number, id, time_ms, text, epoch, sequence, rows,
      written_at_ms) VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`)
    // From the request on that the sequence lies in; none has as many rows.
    this.#waitingRequests = driver.prepare(`SELECT sequence, id, time_ms, text FROM request
      WHERE sequence > ?1 - 64 AND sequence + rows - 1 > ?1 AND time_ms < ?2 ORDER BY sequence`)
    this.#number = readCount(driver, 'SELECT max(number) AS value FROM request')
    const shipped = readCount(
      driver,
      "SELECT CAST(value AS INTEGER) AS value FROM meta WHERE name = 'shipped_sequence'",
    )
    const newest = 'SELECT max(sequence + rows - 1) AS value FROM request WHERE sequence IS NOT NULL'
    const adjusted = 'SELECT max(sequence) AS value FROM adjustment WHERE sequence IS NOT NULL'
    this.#sequence = Math.max(readCount(driver, newest), readCount(driver, adjusted), shipped)
    this.#rowsWaiting = this.#sequence - shipped
    this.#epochs = new EpochBases(driver, isShipping ? { epoch, base: this.#sequence } : null)
  }

  /** Of the last row that has one. */
  get sequence(): number {
    return this.#sequence
  }

  /** Epochs that have rows, in order: the rows of one are those above its base, up to its end. */
  epochs(): readonly EpochSpan[] {
    return this.#epochs.spans(this.#sequence)
  }

  /** Requests that were written one after the other, the first of which has the row after this; or none at hand. */
  writtenAfter(sequence: number): readonly WrittenRequest[] {
    const first = this.#written.findIndex((request) => request.sequence > sequence)
    if (first > 0) this.#written = this.#written.slice(first)
    if (first === -1) this.#written = []
    return this.#written[0]?.sequence === sequence + 1 ? this.#written : []
  }

  /** Rows that wait for the shipper. */
  get rowsWaiting(): number {
    return this.#rowsWaiting
  }

  /** Runs `write` in one transaction; what it added is forgotten when that fails. */
  transaction(write: () => void): void {
    const before = { number: this.#number, sequence: this.#sequence, rowsWaiting: this.#rowsWaiting }
    try {
      this.#driver.transaction(() => {
        write()
        this.#counts.write()
        this.#balances.write()
      })
      const groups = this.#counts.take()
      this.#rollups.add(groups, this.#counts.lastNumber)
      for (const request of this.#adding) this.#written.push(request)
      if (this.#written.length > WRITTEN_MAX) this.#written = this.#written.slice(-WRITTEN_MAX / 2)
    } catch (error) {
      this.#number = before.number
      this.#sequence = before.sequence
      this.#rowsWaiting = before.rowsWaiting
      this.#series.forget()
      this.#counts.clear()
      this.months.read()
      throw error
    } finally {
      this.#adding = []
      this.#balances.clear()
    }
  }

  /** Counters lack something that the rows have. */
  get isRollUpDue(): boolean {
    return this.#rollups.isPending
  }

  /** Groups of attempts up to this one are in the counters. */
  get countedNumber(): number {
    return this.#rollups.writtenNumber
  }

  /** Adds to the counters what the rows are ahead. @throws when the tables cannot be written; nothing is lost then */
  rollUp(): void {
    this.#rollups.write()
  }

  /** Writes a request of this instance and counts its attempts; one that is there already stays as it is. */
  add(request: EndedRequest, nowMs: number): void {
    const first = this.#sequence + 1
    const isNew = this.isShipping ? this.#insertForShipper(request, nowMs) : this.insert(request)
    if (!isNew) return
    if (this.isShipping) return this.#countOwn(request, first, nowMs)
    for (const [index, attempt] of request.attempts.entries())
      this.countOnce(attempt, nowMs, () => attemptAt(request, index))
  }

  /** False: its id is there already. */
  insert({ id, timeMs, text }: EndedRequest): boolean {
    const { changes } = this.#insert.run(this.#number + 1, id, timeMs, text)
    if (Number(changes) === 0) return false
    this.#number += 1
    return true
  }

  /** Writes an adjustment of this instance and counts it. False: its id is there already. */
  adjust(row: AdjustmentRow, nowMs: number): boolean {
    const sequence = this.#sequence + 1
    const shipment = { epoch: this.#epoch, sequence, writtenAtMs: nowMs }
    if (!this.insertAdjustment(row, nowMs, this.isShipping ? shipment : null)) return false
    if (!this.isShipping) return true
    this.#sequence = sequence
    this.#rowsWaiting += 1
    return true
  }

  /** The same of another instance, which ships it itself. */
  insertAdjustment(said: AdjustmentRow, nowMs: number, shipment: ShippedPlace | null = null): boolean {
    const row = this.#openedRow(said, nowMs, shipment)
    if (!this.#adjustments.insert(row, shipment)) return false
    this.count(countOfAdjustment(row))
    return true
  }

  /** Counts an ended attempt in its month, or in an open one when that is closed. */
  countOnce(attempt: AttemptCount, nowMs: number, rowOf: () => AttemptRow): void {
    const closed = this.months.around(attempt.startedAtMs)
    if (closed === null) return this.count(attempt)
    const bookedAtMs = this.months.openFrom(nowMs)
    this.count(lateCount(attempt, bookedAtMs))
    const late = lateAdjustment(rowOf(), closed, bookedAtMs)
    if (late !== null) this.adjust(late, nowMs)
  }

  /** Counts an attempt of another instance, as that one has said: in its month, or late. */
  countOthers(attempt: AttemptCount, lateAtMs: number | undefined): void {
    this.count(lateAtMs === undefined ? attempt : lateCount(attempt, lateAtMs))
  }

  /**
   * A fleet has closed months when its ledger had own rows up to `afterSequence`: what waits beyond that is late, and is
   * counted so. Nothing may wait in the log. One transaction.
   */
  learn(closed: readonly ClosedMonth[], afterSequence: number, nowMs: number): void {
    this.transaction(() => {
      const { months } = this
      const toMs = Math.max(...closed.map((month) => month.toMs))
      const waiting = this.#waitingRequests.all(afterSequence, toMs)
      const former = waiting.map((row) => this.#formOf(row, afterSequence))
      for (const month of closed) months.learn(month, afterSequence)
      for (const [index, row] of waiting.entries()) {
        const forms = this.#formOf(row, afterSequence)
        for (const [place, { count, late, sequence }] of forms.entries()) {
          const before = former[index]?.[place]
          if (before === undefined || before.count.startedAtMs === count.startedAtMs) continue
          assert(sequence > afterSequence, 'what the ledger has keeps its month')
          this.count(negated(before.count))
          this.count(count)
          if (before.late === null && late !== null) this.adjust(late, nowMs)
        }
      }
      for (const { row, sequence } of this.#adjustments.waiting(afterSequence, toMs)) {
        const opened = months.reopened(row, sequence)
        if (opened === row) continue
        this.count(negated(countOfAdjustment(row)))
        this.count(countOfAdjustment(opened))
        this.#adjustments.replace(opened)
      }
    })
  }

  /** What the attempts of an own request that is in the table count, behind a sequence. */
  #formOf(row: SqlRow, afterSequence: number): readonly OwnForm[] {
    const first = number(row, 'sequence')
    const { attempts } = parseEntry(text(row, 'id'), number(row, 'time_ms'), text(row, 'text'))
    return attempts.flatMap((attempt, index) =>
      first + index > afterSequence ? [ownForm(this.months, attempt, first + index)] : [],
    )
  }

  #countOwn(request: EndedRequest, first: number, nowMs: number): void {
    for (const [index, attempt] of request.attempts.entries()) {
      if (!this.months.isLate(attempt.startedAtMs, first + index)) {
        this.count(attempt)
        continue
      }
      const { count, late } = ownForm(this.months, attemptAt(request, index), first + index)
      this.count(count)
      if (late !== null) this.adjust(late, nowMs)
    }
  }

  /** Where several instances write, whose it is has said when it counts. */
  #openedRow(row: AdjustmentRow, nowMs: number, shipment: ShippedPlace | null): AdjustmentRow {
    if (!this.isShipping) return this.months.opened(row, nowMs)
    return shipment === null ? row : this.months.reopened(row, shipment.sequence)
  }

  /** The money of late attempts. */
  late(): readonly AdjustmentRow[] {
    return this.#adjustments.late()
  }

  /** Counts what an attempt or an adjustment says, where it says. */
  count(attempt: AttemptCount): void {
    this.#counts.add(attempt)
    if (attempt.balances.length > 0) this.#balances.add(hourStartMs(attempt.startedAtMs), attempt.balances)
  }

  /** The shipper's receipt for `rows` rows. */
  shipped(rows: number): void {
    this.#rowsWaiting -= rows
  }

  #insertForShipper(request: EndedRequest, nowMs: number): boolean {
    const { id, timeMs, text, attempts } = request
    const rows = attempts.length + 1
    const sequence = this.#sequence + 1
    const { changes } = this.#insertWaiting.run(
      this.#number + 1,
      id,
      timeMs,
      text,
      this.#epoch,
      sequence,
      rows,
      nowMs,
    )
    if (Number(changes) === 0) return false
    this.#number += 1
    this.#adding.push({ epoch: this.#epoch, sequence, rows, request })
    this.#sequence += rows
    this.#rowsWaiting += rows
    return true
  }
}

function readCount(driver: SqlDriver, sql: string): number {
  const value = driver.prepare(sql).get()?.['value']
  return typeof value === 'number' ? value : 0
}

function attemptAt({ id, timeMs, text }: EndedRequest, index: number): AttemptRow {
  const row = parseEntry(id, timeMs, text).attempts[index]
  assert(row !== undefined, 'a request counts the attempts that it has')
  return row
}
