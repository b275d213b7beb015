// Writes ended requests inside a transaction: rows and counters move together or not at all. When a transaction runs
// is decided by journal.ts and archive.ts.

import type { AttemptRow, UsageTotals } from '#core/ledger.ts'
import { addTotals, hourStartMs, totalsOf } from '../usage-report.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { SeriesNumbers } from './series-numbers.ts'

/** A request with all its attempts, as it is kept. */
export interface EndedRequest {
  readonly id: string
  readonly timeMs: number
  /** `detailText` of it all. */
  readonly text: string
  readonly attempts: readonly AttemptRow[]
}

interface UsageDelta {
  readonly hourMs: number
  readonly series: number
  totals: UsageTotals
}

export class LedgerBook {
  readonly #driver: SqlDriver
  readonly #epoch: number
  readonly #isShipping: boolean
  readonly #series: SeriesNumbers
  readonly #insertRequest: SqlStatement
  readonly #insertAttempt: SqlStatement
  readonly #addUsage: SqlStatement
  readonly #usage = new Map<string, UsageDelta>()
  #number: number
  #sequence: number
  #rowsWaiting: number

  constructor(driver: SqlDriver, epoch: number, isShipping: boolean) {
    this.#driver = driver
    this.#epoch = epoch
    this.#isShipping = isShipping
    this.#series = new SeriesNumbers(driver)
    this.#insertRequest = driver.prepare(`INSERT INTO request (number, id, time_ms, epoch, sequence, rows,
      written_at_ms, text) VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`)
    this.#insertAttempt =
      driver.prepare(`INSERT INTO attempt (started_at_ms, request, attempt, series, input_tokens,
      cached_input_tokens, output_tokens, reasoning_tokens, cost_nano, estimated) VALUES (?,?,?,?,?,?,?,?,?,?)
      ON CONFLICT DO NOTHING`)
    this.#addUsage = driver.prepare(ADD_USAGE)
    this.#number = readCount(driver, 'SELECT max(number) AS value FROM request')
    const shipped = readCount(
      driver,
      "SELECT CAST(value AS INTEGER) AS value FROM meta WHERE name = 'shipped_sequence'",
    )
    const newest = 'SELECT max(sequence + rows - 1) AS value FROM request WHERE sequence IS NOT NULL'
    this.#sequence = Math.max(readCount(driver, newest), shipped)
    this.#rowsWaiting = this.#sequence - shipped
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
        this.#writeUsage()
      })
    } catch (error) {
      this.#number = before.number
      this.#sequence = before.sequence
      this.#rowsWaiting = before.rowsWaiting
      this.#series.forget()
      throw error
    } finally {
      this.#usage.clear()
    }
  }

  /** Writes a request of this instance and counts its attempts; one that is there already stays as it is. */
  add(request: EndedRequest, nowMs: number): void {
    const rows = request.attempts.length + 1
    const sequence = this.#isShipping ? this.#sequence + 1 : null
    const requestNumber = this.insert(request, this.#epoch, sequence, nowMs)
    if (requestNumber === null) return
    if (sequence !== null) {
      this.#sequence += rows
      this.#rowsWaiting += rows
    }
    for (const attempt of request.attempts) this.count(requestNumber, attempt)
  }

  /** null: its id is there already. */
  insert(request: EndedRequest, epoch: number, sequence: number | null, nowMs: number): number | null {
    const { id, timeMs, text } = request
    const rows = request.attempts.length + 1
    const { changes } = this.#insertRequest.run(
      this.#number + 1,
      id,
      timeMs,
      epoch,
      sequence,
      rows,
      nowMs,
      text,
    )
    if (Number(changes) === 0) return null
    this.#number += 1
    return this.#number
  }

  /** Counts an ended attempt, once. */
  count(requestNumber: number, row: AttemptRow): void {
    const series = this.#series.of(row)
    const { usage } = row
    const totals = totalsOf(row)
    const { changes } = this.#insertAttempt.run(
      row.startedAtMs,
      requestNumber,
      row.attempt,
      series,
      usage.inputTokens,
      usage.cachedInputTokens,
      usage.outputTokens,
      usage.reasoningTokens,
      row.cost === null ? null : row.cost.amountNano,
      totals.estimatedAttempts,
    )
    if (Number(changes) === 0) return
    const hourMs = hourStartMs(row.startedAtMs)
    const name = `${hourMs} ${series}`
    const delta = this.#usage.get(name)
    if (delta === undefined) this.#usage.set(name, { hourMs, series, totals })
    else delta.totals = addTotals(delta.totals, totals)
  }

  /** The shipper's receipt for `rows` rows. */
  shipped(rows: number): void {
    this.#rowsWaiting -= rows
  }

  #writeUsage(): void {
    for (const { hourMs, series, totals } of this.#usage.values()) {
      this.#addUsage.run(
        hourMs,
        series,
        totals.requests,
        totals.attempts,
        totals.inputTokens,
        totals.cachedInputTokens,
        totals.outputTokens,
        totals.reasoningTokens,
        totals.costNano,
        totals.estimatedAttempts,
        totals.unpricedAttempts,
      )
    }
  }
}

const ADD_USAGE = `INSERT INTO usage_hour (hour_ms, series, requests, attempts, input_tokens, cached_input_tokens,
  output_tokens, reasoning_tokens, cost_nano, estimated_attempts, unpriced_attempts) VALUES (?,?,?,?,?,?,?,?,?,?,?)
  ON CONFLICT (hour_ms, series) DO UPDATE SET requests = requests + excluded.requests,
    attempts = attempts + excluded.attempts, input_tokens = input_tokens + excluded.input_tokens,
    cached_input_tokens = cached_input_tokens + excluded.cached_input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens, cost_nano = cost_nano + excluded.cost_nano,
    estimated_attempts = estimated_attempts + excluded.estimated_attempts,
    unpriced_attempts = unpriced_attempts + excluded.unpriced_attempts`

function readCount(driver: SqlDriver, sql: string): number {
  const value = driver.prepare(sql).get()?.['value']
  return typeof value === 'number' ? value : 0
}
