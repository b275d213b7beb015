// Writes ledger rows inside a transaction: rows, counters of the hour and the outbox move together or not at all.
// When a transaction runs is decided by journal.ts, recovery.ts and archive.ts.

import { assert } from '#core/assert.ts'
import type { AttemptRow, Decision, RequestRow, UsageTotals } from '#core/ledger.ts'
import { addTotals, hourStartMs, totalsOf } from '../usage-report.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { linesText, tagsText } from './rows.ts'
import { SeriesNumbers } from './series-numbers.ts'
import {
  ADD_USAGE,
  DELETE_DECISION,
  DELETE_REQUEST,
  END_ATTEMPT,
  END_REQUEST,
  INSERT_ATTEMPT,
  INSERT_OUTBOX,
  INSERT_REQUEST,
  SET_DECISION,
} from './statements.ts'

export interface OutboxTarget {
  readonly epoch: number
  nowMs(): number
}

interface UsageDelta {
  readonly hourMs: number
  readonly series: number
  totals: UsageTotals
}

export class LedgerWriter {
  readonly #driver: SqlDriver
  /** null: final rows are not shipped. */
  readonly #outbox: OutboxTarget | null
  readonly #series: SeriesNumbers
  readonly #insertRequest: SqlStatement
  readonly #endRequest: SqlStatement
  readonly #deleteRequest: SqlStatement
  readonly #setDecision: SqlStatement
  readonly #deleteDecision: SqlStatement
  readonly #insertAttempt: SqlStatement
  readonly #endAttempt: SqlStatement
  readonly #addUsage: SqlStatement
  readonly #insertOutbox: SqlStatement
  readonly #usage = new Map<string, UsageDelta>()
  #requestNumber: number
  #sequence: number
  #outboxRows: number

  constructor(driver: SqlDriver, outbox: OutboxTarget | null) {
    this.#driver = driver
    this.#outbox = outbox
    this.#series = new SeriesNumbers(driver)
    this.#insertRequest = driver.prepare(INSERT_REQUEST)
    this.#endRequest = driver.prepare(END_REQUEST)
    this.#deleteRequest = driver.prepare(DELETE_REQUEST)
    this.#setDecision = driver.prepare(SET_DECISION)
    this.#deleteDecision = driver.prepare(DELETE_DECISION)
    this.#insertAttempt = driver.prepare(INSERT_ATTEMPT)
    this.#endAttempt = driver.prepare(END_ATTEMPT)
    this.#addUsage = driver.prepare(ADD_USAGE)
    this.#insertOutbox = driver.prepare(INSERT_OUTBOX)
    this.#requestNumber = maximum(driver, 'SELECT max(number) AS value FROM request')
    this.#sequence = Math.max(
      maximum(driver, 'SELECT max(sequence) AS value FROM outbox'),
      maximum(driver, "SELECT CAST(value AS INTEGER) AS value FROM meta WHERE name = 'shipped_sequence'"),
    )
    this.#outboxRows = maximum(driver, 'SELECT count(*) AS value FROM outbox')
  }

  /** The number of the newest request row. */
  get requestNumber(): number {
    return this.#requestNumber
  }

  /** Rows that wait for the shipper. */
  get outboxRows(): number {
    return this.#outboxRows
  }

  nextRequestNumber(): number {
    this.#requestNumber += 1
    return this.#requestNumber
  }

  /** Runs `write` in one transaction; what it added is forgotten when that fails. */
  transaction(write: () => void): void {
    const sequence = this.#sequence
    const outboxRows = this.#outboxRows
    try {
      this.#driver.transaction(() => {
        write()
        this.#writeUsage()
      })
    } catch (error) {
      this.#sequence = sequence
      this.#outboxRows = outboxRows
      this.#series.forget()
      throw error
    } finally {
      this.#usage.clear()
    }
  }

  /** False: there is a row of this number or id already, and it stays. */
  openRequest(requestNumber: number, row: RequestRow): boolean {
    if (!this.#runInsertRequest(requestNumber, row)) return false
    this.#writeDecision(requestNumber, row.decision)
    return true
  }

  openAttempt(requestNumber: number, row: AttemptRow): void {
    assert(row.outcome === 'open', 'an opened attempt is open')
    this.#runInsertAttempt(requestNumber, this.#series.of(row), row)
  }

  /** Writes the final state of a request. `written`: the row of its opening that the file holds, null: none. */
  closeRequest(requestNumber: number, row: RequestRow, written: RequestRow | null): void {
    assert(row.outcome !== 'open', 'a closed request has an outcome')
    if (written !== null) this.#runEndRequest(requestNumber, row)
    else if (!this.#runInsertRequest(requestNumber, row)) return
    if (row.decision !== (written?.decision ?? null)) this.#writeDecision(requestNumber, row.decision)
    this.#ship(requestNumber, 0)
  }

  /** Writes the final state of an attempt and counts it, unless it has been final already. */
  closeAttempt(requestNumber: number, row: AttemptRow): void {
    assert(row.outcome !== 'open', 'a closed attempt has an outcome')
    const series = this.#series.of(row)
    const isNew =
      this.#runEndAttempt(requestNumber, series, row) || this.#runInsertAttempt(requestNumber, series, row)
    if (!isNew) return
    this.#count(series, row)
    this.#ship(requestNumber, row.attempt)
  }

  deleteRequest(requestNumber: number): void {
    this.#deleteRequest.run(requestNumber)
    this.#deleteDecision.run(requestNumber)
  }

  /** The shipper's receipt for `rows` rows. */
  shipped(rows: number): void {
    this.#outboxRows -= rows
  }

  #runInsertRequest(requestNumber: number, row: RequestRow): boolean {
    const { changes } = this.#insertRequest.run(
      requestNumber,
      row.id,
      row.timeMs,
      row.key,
      tagsText(row.tags),
      row.model,
      row.api,
      row.stream ? 1 : 0,
      row.status,
      row.outcome,
      row.error,
      row.attempts,
      row.costNano,
      row.currency,
      Math.round(row.durationMs),
    )
    return Number(changes) > 0
  }

  #runEndRequest(requestNumber: number, row: RequestRow): void {
    this.#endRequest.run(
      row.status,
      row.outcome,
      row.error,
      row.attempts,
      row.costNano,
      row.currency,
      Math.round(row.durationMs),
      row.model,
      row.key,
      row.stream ? 1 : 0,
      requestNumber,
    )
  }

  #writeDecision(requestNumber: number, decision: Decision | null): void {
    if (decision !== null) this.#setDecision.run(requestNumber, JSON.stringify(decision))
  }

  #runInsertAttempt(requestNumber: number, series: number, row: AttemptRow): boolean {
    const { usage, cost } = row
    const { changes } = this.#insertAttempt.run(
      series,
      row.role,
      row.responseModel,
      row.upstreamRequestId,
      row.outcome,
      row.httpStatus,
      usage.inputTokens,
      usage.cachedInputTokens,
      usage.cacheWriteTokens,
      usage.outputTokens,
      usage.reasoningTokens,
      usage.explicitCache === undefined ? null : Number(usage.explicitCache),
      row.usageSource,
      cost === null ? null : cost.amountNano,
      cost === null ? null : cost.currency,
      cost === null ? null : cost.nativeNano,
      cost === null ? null : cost.nativeCurrency,
      cost === null ? null : linesText(cost.lines),
      cost === null ? null : cost.priceVersion,
      row.startedAtMs,
      row.ttftMs === null ? null : Math.round(row.ttftMs),
      Math.round(row.durationMs),
      requestNumber,
      row.attempt,
    )
    return Number(changes) > 0
  }

  #runEndAttempt(requestNumber: number, series: number, row: AttemptRow): boolean {
    const { usage, cost } = row
    const { changes } = this.#endAttempt.run(
      series,
      row.role,
      row.responseModel,
      row.upstreamRequestId,
      row.outcome,
      row.httpStatus,
      usage.inputTokens,
      usage.cachedInputTokens,
      usage.cacheWriteTokens,
      usage.outputTokens,
      usage.reasoningTokens,
      usage.explicitCache === undefined ? null : Number(usage.explicitCache),
      row.usageSource,
      cost === null ? null : cost.amountNano,
      cost === null ? null : cost.currency,
      cost === null ? null : cost.nativeNano,
      cost === null ? null : cost.nativeCurrency,
      cost === null ? null : linesText(cost.lines),
      cost === null ? null : cost.priceVersion,
      row.ttftMs === null ? null : Math.round(row.ttftMs),
      Math.round(row.durationMs),
      requestNumber,
      row.attempt,
    )
    return Number(changes) > 0
  }

  #count(series: number, row: AttemptRow): void {
    const hourMs = hourStartMs(row.startedAtMs)
    const name = `${hourMs} ${series}`
    const delta = this.#usage.get(name)
    if (delta === undefined) this.#usage.set(name, { hourMs, series, totals: totalsOf(row) })
    else delta.totals = addTotals(delta.totals, totalsOf(row))
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

  #ship(requestNumber: number, attempt: number): void {
    if (this.#outbox === null) return
    this.#sequence += 1
    this.#outboxRows += 1
    const { epoch } = this.#outbox
    this.#insertOutbox.run(this.#sequence, epoch, requestNumber, attempt, this.#outbox.nowMs())
  }
}

function maximum(driver: SqlDriver, sql: string): number {
  const value = driver.prepare(sql).get()?.['value']
  return typeof value === 'number' ? value : 0
}
