// Writes ledger rows inside a transaction: rows, counters of the hour and the outbox move together or not at all.
// When a transaction runs is decided by journal.ts, recovery.ts and archive.ts.

import { assert } from '#core/assert.ts'
import type { AttemptRow, RequestRow, UsageTotals } from '#core/ledger.ts'
import { addTotals, hourStartMs, type Series, seriesText, totalsOf } from '../usage-report.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { linesText, number, tagsText } from './rows.ts'

/** Series kept at hand; past it they are looked up again. */
const SERIES_CACHED_MAX = 20_000

const INSERT_REQUEST = `INSERT INTO request (number, id, time_ms, key, tags, model, api, stream, status, outcome, error,
  attempts, cost_nano, currency, duration_ms, decision) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
// The time of a request is that of its opening; not setting it again leaves its index alone.
const UPSERT_REQUEST = `${INSERT_REQUEST}
  ON CONFLICT (number) DO UPDATE SET key = excluded.key, tags = excluded.tags, model = excluded.model,
    api = excluded.api, stream = excluded.stream, status = excluded.status, outcome = excluded.outcome,
    error = excluded.error, attempts = excluded.attempts, cost_nano = excluded.cost_nano,
    currency = excluded.currency, duration_ms = excluded.duration_ms,
    decision = coalesce(excluded.decision, decision)
  ON CONFLICT (id) DO NOTHING`
const INSERT_ATTEMPT = `INSERT INTO attempt (request, attempt, series, role, response_model, upstream_request_id, outcome,
  http_status, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, explicit_cache,
  usage_source, cost_nano, currency, native_nano, native_currency, lines, price_version, started_at_ms, ttft_ms,
  duration_ms) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
const UPSERT_ATTEMPT = `${INSERT_ATTEMPT}
  ON CONFLICT (request, attempt) DO UPDATE SET series = excluded.series, role = excluded.role,
    response_model = excluded.response_model, upstream_request_id = excluded.upstream_request_id,
    outcome = excluded.outcome, http_status = excluded.http_status, input_tokens = excluded.input_tokens,
    cached_input_tokens = excluded.cached_input_tokens, cache_write_tokens = excluded.cache_write_tokens,
    output_tokens = excluded.output_tokens, reasoning_tokens = excluded.reasoning_tokens,
    explicit_cache = excluded.explicit_cache, usage_source = excluded.usage_source, cost_nano = excluded.cost_nano,
    currency = excluded.currency, native_nano = excluded.native_nano, native_currency = excluded.native_currency,
    lines = excluded.lines, price_version = excluded.price_version, ttft_ms = excluded.ttft_ms,
    duration_ms = excluded.duration_ms
  WHERE outcome = 'open'`
const ADD_USAGE = `INSERT INTO usage_hour (hour_ms, series, requests, attempts, input_tokens, cached_input_tokens,
  output_tokens, reasoning_tokens, cost_nano, estimated_attempts, unpriced_attempts) VALUES (?,?,?,?,?,?,?,?,?,?,?)
  ON CONFLICT (hour_ms, series) DO UPDATE SET requests = requests + excluded.requests,
    attempts = attempts + excluded.attempts, input_tokens = input_tokens + excluded.input_tokens,
    cached_input_tokens = cached_input_tokens + excluded.cached_input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens, cost_nano = cost_nano + excluded.cost_nano,
    estimated_attempts = estimated_attempts + excluded.estimated_attempts,
    unpriced_attempts = unpriced_attempts + excluded.unpriced_attempts`

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
  readonly #insertRequest: SqlStatement
  readonly #upsertRequest: SqlStatement
  readonly #deleteRequest: SqlStatement
  readonly #insertAttempt: SqlStatement
  readonly #upsertAttempt: SqlStatement
  readonly #addUsage: SqlStatement
  readonly #insertSeries: SqlStatement
  readonly #selectSeries: SqlStatement
  readonly #insertOutbox: SqlStatement
  readonly #seriesNumbers = new Map<string, number>()
  readonly #usage = new Map<string, UsageDelta>()
  #requestNumber: number
  #sequence: number
  #outboxRows: number

  constructor(driver: SqlDriver, outbox: OutboxTarget | null) {
    this.#driver = driver
    this.#outbox = outbox
    this.#insertRequest = driver.prepare(`${INSERT_REQUEST} ON CONFLICT DO NOTHING`)
    this.#upsertRequest = driver.prepare(UPSERT_REQUEST)
    this.#deleteRequest = driver.prepare('DELETE FROM request WHERE number = ?')
    this.#insertAttempt = driver.prepare(`${INSERT_ATTEMPT} ON CONFLICT DO NOTHING`)
    this.#upsertAttempt = driver.prepare(UPSERT_ATTEMPT)
    this.#addUsage = driver.prepare(ADD_USAGE)
    this.#insertSeries = driver.prepare('INSERT INTO series (text) VALUES (?) ON CONFLICT DO NOTHING')
    this.#selectSeries = driver.prepare('SELECT id FROM series WHERE text = ?')
    this.#insertOutbox = driver.prepare(
      'INSERT INTO outbox (sequence, epoch, request, attempt, at_ms) VALUES (?,?,?,?,?)',
    )
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
      // Numbers of series made in this transaction are void.
      this.#seriesNumbers.clear()
      throw error
    } finally {
      this.#usage.clear()
    }
  }

  /** False: there is a row of this number or id already, and it stays. */
  openRequest(requestNumber: number, row: RequestRow): boolean {
    return Number(runRequest(this.#insertRequest, requestNumber, row, decisionText(row)).changes) > 0
  }

  openAttempt(requestNumber: number, row: AttemptRow): void {
    assert(row.outcome === 'open', 'an opened attempt is open')
    this.#runAttempt(this.#insertAttempt, requestNumber, this.#seriesNumber(row), row)
  }

  /** Writes the final state of a request; `decision` null keeps the one that was written at its opening. */
  closeRequest(requestNumber: number, row: RequestRow, decision: string | null): void {
    const { changes } = runRequest(this.#upsertRequest, requestNumber, row, decision)
    if (Number(changes) > 0) this.#ship(requestNumber, 0)
  }

  /** Writes the final state of an attempt and counts it, unless it has been final already. */
  closeAttempt(requestNumber: number, row: AttemptRow): void {
    assert(row.outcome !== 'open', 'a closed attempt has an outcome')
    const series = this.#seriesNumber(row)
    const { changes } = this.#runAttempt(this.#upsertAttempt, requestNumber, series, row)
    if (Number(changes) === 0) return
    this.#count(series, row)
    this.#ship(requestNumber, row.attempt)
  }

  deleteRequest(requestNumber: number): void {
    this.#deleteRequest.run(requestNumber)
  }

  /** The shipper's receipt for `rows` rows. */
  shipped(rows: number): void {
    this.#outboxRows -= rows
  }

  #runAttempt(statement: SqlStatement, requestNumber: number, series: number, row: AttemptRow) {
    const { usage, cost } = row
    return statement.run(
      requestNumber,
      row.attempt,
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
    )
  }

  #seriesNumber(series: Series): number {
    const name = `${series.key}\n${series.model}\n${series.target}\n${tagsText(series.tags)}`
    const known = this.#seriesNumbers.get(name)
    if (known !== undefined) return known
    const text = seriesText(series)
    this.#insertSeries.run(text)
    const row = this.#selectSeries.get(text)
    assert(row !== undefined, 'a series that was written is there')
    if (this.#seriesNumbers.size >= SERIES_CACHED_MAX) this.#seriesNumbers.clear()
    const found = number(row, 'id')
    this.#seriesNumbers.set(name, found)
    return found
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

export function decisionText(row: RequestRow): string | null {
  return row.decision === null ? null : JSON.stringify(row.decision)
}

function runRequest(
  statement: SqlStatement,
  requestNumber: number,
  row: RequestRow,
  decision: string | null,
): { readonly changes: number | bigint } {
  return statement.run(
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
    decision,
  )
}

function maximum(driver: SqlDriver, sql: string): number {
  const value = driver.prepare(sql).get()?.['value']
  return typeof value === 'number' ? value : 0
}
