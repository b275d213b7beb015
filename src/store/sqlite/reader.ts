// Answers questions: usage, the listing of requests, one request with its attempts. What the tables do not have yet is
// read from the journal. Nothing is written here but what waits, first.

import type {
  RequestDetail,
  RequestPage,
  RequestRow,
  UsageQuery,
  UsageReport,
  UsageTotals,
} from '#core/ledger.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import type { Nano } from '#core/money.ts'
import { DEFAULT_TIME_ZONE, startOfDayMs, zoneOf } from '#core/zones.ts'
import { decodeCursor, encodeCursor, positionId, positionOf, positionTimeMs } from '../cursor.ts'
import {
  HOUR_MS,
  hasStoredDays,
  hourStartMs,
  parseSeries,
  type Series,
  totalsOf,
  UsageReportBuilder,
} from '../usage-report.ts'
import { totalsBetween } from './attempt-counts.ts'
import type { SqlDriver, SqlRow, SqlStatement } from './driver.ts'
import { parseEntry } from './entry-text.ts'
import type { SqliteJournal } from './journal.ts'
import { number, text } from './row-checks.ts'

/** Rows of attempts in memory at once: of some hundred attempts each, 40 bytes for one. */
const GROUPS_AT_ONCE = 100
/** Sorts after every id. */
const LAST_ID = '\u{10ffff}'

const COUNTER_SUMS = `sum(u.requests) AS requests, sum(u.attempts) AS attempts, sum(u.input_tokens) AS input_tokens,
  sum(u.cached_input_tokens) AS cached_input_tokens, sum(u.output_tokens) AS output_tokens,
  sum(u.reasoning_tokens) AS reasoning_tokens, CAST(sum(u.cost_nano) AS TEXT) AS cost_nano,
  sum(u.estimated_attempts) AS estimated_attempts, sum(u.unpriced_attempts) AS unpriced_attempts
  FROM usage_hour AS u JOIN series AS s ON s.id = u.series WHERE u.hour_ms >= ? AND u.hour_ms < ?`
const USAGE_BY_HOUR = `SELECT s.text AS series_text, u.hour_ms AS time_ms, ${COUNTER_SUMS} GROUP BY u.hour_ms, u.series`
// 8 h before UTC midnight starts a day in Shanghai; any hour of the day stands for it.
const USAGE_BY_DAY = `SELECT s.text AS series_text, min(u.hour_ms) AS time_ms, ${COUNTER_SUMS}
  GROUP BY (u.hour_ms + 28800000) / 86400000, u.series`
const USAGE_BY_SERIES = `SELECT s.text AS series_text, min(u.hour_ms) AS time_ms, ${COUNTER_SUMS} GROUP BY u.series`
const USAGE_OF_GROUPS = `SELECT a.number, s.text AS series_text, a.text FROM attempt_group AS a
  JOIN series AS s ON s.id = a.series WHERE a.hour_ms = ? AND a.number > ? AND a.first_ms < ? AND a.last_ms >= ?
  ORDER BY a.number LIMIT ${GROUPS_AT_ONCE}`

/** Half-open, epoch ms. */
interface Span {
  readonly fromMs: number
  readonly toMs: number
}

export class LedgerReader {
  readonly #journal: SqliteJournal
  readonly #usageBy: Readonly<Record<'hour' | 'day' | 'all', SqlStatement>>
  readonly #hourBounds: SqlStatement
  readonly #usageOfGroups: SqlStatement
  readonly #page: SqlStatement
  readonly #request: SqlStatement
  readonly #series = new Map<string, Series>()

  constructor(driver: SqlDriver, journal: SqliteJournal) {
    this.#journal = journal
    this.#usageBy = {
      hour: driver.prepare(USAGE_BY_HOUR),
      day: driver.prepare(USAGE_BY_DAY),
      all: driver.prepare(USAGE_BY_SERIES),
    }
    this.#hourBounds = driver.prepare('SELECT min(hour_ms) AS least, max(hour_ms) AS most FROM usage_hour')
    this.#usageOfGroups = driver.prepare(USAGE_OF_GROUPS)
    this.#page = driver.prepare(`SELECT id, time_ms, text FROM request WHERE (time_ms, id) < (?, ?)
      ORDER BY time_ms DESC, id DESC LIMIT ?`)
    this.#request = driver.prepare('SELECT id, time_ms, text FROM request WHERE id = ?')
  }

  /** Exact to the millisecond: counters for whole hours, rows for what is left at both ends. */
  usage(query: UsageQuery): UsageReport {
    this.#journal.flush()
    const builder = new UsageReportBuilder(query)
    const { hours, ends } = split(query)
    if (hours.fromMs < hours.toMs) {
      if (query.bucket === 'day' && !hasStoredDays(query)) this.#addDays(builder, hours, query.timeZone)
      else {
        const rows = this.#usageBy[query.bucket ?? 'all'].all(hours.fromMs, hours.toMs)
        for (const row of rows) this.#add(builder, row)
      }
    }
    for (const end of ends) this.#addPart(builder, end)
    this.#addLive(builder, query)
    this.#series.clear()
    return builder.report()
  }

  requests(page: { readonly limit: number; readonly cursor: string | null }): RequestPage {
    this.#journal.flush()
    const limit = Math.min(page.limit, PAGE_ROWS_MAX)
    const before = page.cursor === null ? null : decodeCursor(page.cursor)
    const beforeMs = before === null ? Number.MAX_SAFE_INTEGER : positionTimeMs(before)
    const written = this.#page.all(beforeMs, before === null ? LAST_ID : positionId(before), limit + 1)
    const rows = [...written.map((row) => detailOf(row).request), ...this.#liveBefore(before)].sort(
      (left, right) => (positionOf(left.timeMs, left.id) < positionOf(right.timeMs, right.id) ? 1 : -1),
    )
    const found = rows.slice(0, limit)
    const last = found.at(-1)
    const hasMore = rows.length > limit && last !== undefined
    return { rows: found, nextCursor: hasMore ? encodeCursor(positionOf(last.timeMs, last.id)) : null }
  }

  request(id: string): RequestDetail | null {
    const live = this.#journal.find(id)
    if (live !== null) return live
    const row = this.#request.get(id)
    return row === undefined ? null : detailOf(row)
  }

  /** Days that are no arithmetic: each is asked for by itself. */
  #addDays(builder: UsageReportBuilder, { fromMs, toMs }: Span, timeZone = DEFAULT_TIME_ZONE): void {
    const bounds = this.#hourBounds.get()
    if (bounds === undefined || bounds['least'] === null) return
    const zone = zoneOf(timeZone)
    const endMs = Math.min(toMs, number(bounds, 'most') + HOUR_MS)
    let startMs = Math.max(fromMs, number(bounds, 'least'))
    while (startMs < endMs) {
      // An hour belongs to the day that it begins in.
      const nextMs = Math.min(endMs, startOfDayMs(zone, zone(startMs).day + 1))
      for (const row of this.#usageBy.all.all(startMs, nextMs)) this.#add(builder, row)
      startMs = nextMs
    }
  }

  /** A part of one hour, from the attempts themselves. */
  #addPart(builder: UsageReportBuilder, { fromMs, toMs }: Span): void {
    const hourMs = hourStartMs(fromMs)
    let last = 0
    for (;;) {
      const rows = this.#usageOfGroups.all(hourMs, last, toMs, fromMs)
      for (const row of rows) {
        const totals = totalsBetween(text(row, 'text'), hourMs, fromMs, toMs)
        if (totals.attempts > 0) builder.add(this.#seriesOf(text(row, 'series_text')), fromMs, totals)
        last = number(row, 'number')
      }
      if (rows.length < GROUPS_AT_ONCE) return
    }
  }

  /** Ended attempts that the tables do not have. */
  #addLive(builder: UsageReportBuilder, query: UsageQuery): void {
    for (const { attempts } of this.#journal.unbooked()) {
      for (const row of attempts) {
        const isInRange =
          (query.fromMs === null || row.startedAtMs >= query.fromMs) &&
          (query.toMs === null || row.startedAtMs < query.toMs)
        // As its counter will say, once the tables have it.
        const timeMs = Math.max(hourStartMs(row.startedAtMs), query.fromMs ?? 0)
        if (row.outcome !== 'open' && isInRange) builder.add(row, timeMs, totalsOf(row))
      }
    }
  }

  #liveBefore(before: string | null): readonly RequestRow[] {
    const rows: RequestRow[] = []
    for (const { request } of this.#journal.unbooked()) {
      if (before === null || positionOf(request.timeMs, request.id) < before) rows.push(request)
    }
    return rows
  }

  #add(builder: UsageReportBuilder, row: SqlRow): void {
    builder.add(this.#seriesOf(text(row, 'series_text')), number(row, 'time_ms'), countersOf(row))
  }

  #seriesOf(name: string): Series {
    const series = this.#series.get(name) ?? parseSeries(name)
    this.#series.set(name, series)
    return series
  }
}

function detailOf(row: SqlRow): RequestDetail {
  return parseEntry(text(row, 'id'), number(row, 'time_ms'), text(row, 'text'))
}

function countersOf(row: SqlRow): UsageTotals {
  return {
    requests: number(row, 'requests'),
    attempts: number(row, 'attempts'),
    inputTokens: number(row, 'input_tokens'),
    cachedInputTokens: number(row, 'cached_input_tokens'),
    outputTokens: number(row, 'output_tokens'),
    reasoningTokens: number(row, 'reasoning_tokens'),
    costNano: BigInt(text(row, 'cost_nano')) as Nano,
    estimatedAttempts: number(row, 'estimated_attempts'),
    unpricedAttempts: number(row, 'unpriced_attempts'),
  }
}

/** The whole hours inside a query, and the parts of hours at its ends. */
function split(query: UsageQuery): { readonly hours: Span; readonly ends: readonly Span[] } {
  const fromMs = query.fromMs ?? 0
  const toMs = query.toMs ?? Number.MAX_SAFE_INTEGER
  const firstHourMs = hourStartMs(fromMs + HOUR_MS - 1)
  const lastHourMs = query.toMs === null ? toMs : hourStartMs(toMs)
  if (firstHourMs > lastHourMs) return { hours: { fromMs: 0, toMs: 0 }, ends: [{ fromMs, toMs }] }
  const ends = [
    { fromMs, toMs: firstHourMs },
    { fromMs: lastHourMs, toMs },
  ]
  return {
    hours: { fromMs: firstHourMs, toMs: lastHourMs },
    ends: ends.filter((end) => end.fromMs < end.toMs),
  }
}
