// Answers questions: usage, the listing of requests, one request with its attempts. What the tables do not have yet is
// read from the journal. Nothing is written here but what waits, first.

import {
  ReportError,
  type ReportProgress,
  type RequestDetail,
  type RequestFilter,
  type RequestPage,
  type RequestQuery,
  type UsageQuery,
  type UsageReport,
} from '#core/ledger.ts'
import { FILTERED_ROWS_MAX, PAGE_ROWS_MAX } from '#core/limits.ts'
import { decodeCursor, encodeCursor, positionId, positionOf, positionTimeMs } from '../cursor.ts'
import { EVERY_REQUEST, showsRequest, wordsOf } from '../request-filter.ts'
import { totalsOf, UsageReportBuilder } from '../usage-report.ts'
import type { LedgerBook } from './book.ts'
import type { SqlDriver, SqlRow, SqlStatement } from './driver.ts'
import { parseEntry } from './entry-text.ts'
import type { SqliteJournal } from './journal.ts'
import { addLive, type LiveUsage, type ReportJob, type ReportOutcome } from './report-job.ts'
import { number, text } from './row-checks.ts'
import { UsageTables } from './usage-tables.ts'

/** Sorts after every id. */
const LAST_ID = '\u{10ffff}'
/** Reading so many rows of counters keeps the event loop for about 5 ms. */
const ROWS_IN_PLACE_MAX = 5_000
/** The tables move on a few times a second; a report needs a few milliseconds between two of them to begin. */
const STALE_MAX = 50
/** Requests that a filter looks at in one turn of the event loop: about 3 ms. */
const FILTERED_AT_ONCE = 1_000

export interface ReaderOptions {
  readonly driver: SqlDriver
  readonly journal: SqliteJournal
  readonly book: LedgerBook
  /** Runs a function at the end of this turn of the event loop. */
  readonly schedule: (run: () => void) => void
  /** Makes a report where it keeps nobody waiting; null: there is no such place. */
  readonly reports: ((job: ReportJob, onProgress: ReportProgress) => Promise<ReportOutcome>) | null
}

export class LedgerReader {
  readonly #options: ReaderOptions
  readonly #tables: UsageTables
  readonly #page: SqlStatement
  readonly #request: SqlStatement

  constructor(options: ReaderOptions) {
    const { driver } = options
    this.#options = options
    this.#tables = new UsageTables(driver)
    this.#page =
      driver.prepare(`SELECT id, time_ms, text FROM request WHERE (time_ms, id) < (?, ?) AND time_ms >= ?
      ORDER BY time_ms DESC, id DESC LIMIT ?`)
    this.#request = driver.prepare('SELECT id, time_ms, text FROM request WHERE id = ?')
  }

  /** Exact to the millisecond: counters for whole hours, rows for what is left at both ends. */
  async usage(query: UsageQuery, onProgress: ReportProgress = () => undefined): Promise<UsageReport> {
    const { reports } = this.#options
    for (let tries = 0; tries < STALE_MAX; tries++) {
      const job = this.#job(query)
      const parts = this.#tables.plan(query)
      if (reports === null || this.#tables.rowsOf(parts, ROWS_IN_PLACE_MAX) <= ROWS_IN_PLACE_MAX) {
        const builder = new UsageReportBuilder(query)
        addLive(builder, job.live)
        for (const part of parts) this.#tables.read(part, query, builder)
        return builder.report()
      }
      const outcome = await reports(job, onProgress)
      if (outcome !== 'stale') return outcome
    }
    throw new ReportError('busy', 'the ledger moves too fast for a report: try again')
  }

  async requests({ limit, cursor, filter = EVERY_REQUEST }: RequestQuery): Promise<RequestPage> {
    this.#options.journal.flush()
    const before = cursor === null ? null : decodeCursor(cursor)
    const rowsMax = Math.min(limit, PAGE_ROWS_MAX)
    if (filter === EVERY_REQUEST) {
      const { details } = this.#detailsBefore(before, filter, rowsMax + 1)
      return pageOf(details, rowsMax, details.length > rowsMax)
    }
    return this.#filtered(before, filter, rowsMax)
  }

  request(id: string): RequestDetail | null {
    const live = this.#options.journal.find(id)
    if (live !== null) return live
    const row = this.#request.get(id)
    return row === undefined ? null : detailOf(row)
  }

  /** Brings the tables up to date, and says what they cannot have yet. */
  #job(query: UsageQuery): ReportJob {
    const { journal, book } = this.#options
    journal.flush()
    const live: LiveUsage[] = []
    for (const { attempts } of journal.unbooked()) {
      for (const row of attempts) {
        const isInRange =
          (query.fromMs === null || row.startedAtMs >= query.fromMs) &&
          (query.toMs === null || row.startedAtMs < query.toMs)
        // What is late counts when the tables have it.
        if (row.outcome === 'open' || !isInRange || book.months.around(row.startedAtMs) !== null) continue
        const { key, model, target, tags, user } = row
        live.push({
          series: { key, model, target, tags, user },
          atMs: row.startedAtMs,
          totals: totalsOf(row),
        })
      }
    }
    return { query, live, countedNumber: book.countedNumber }
  }

  async #filtered(before: string | null, filter: RequestFilter, rowsMax: number): Promise<RequestPage> {
    const found: RequestDetail[] = []
    let position = before
    for (let looked = 0; looked < FILTERED_ROWS_MAX; looked += FILTERED_AT_ONCE) {
      const { details, last } = this.#detailsBefore(position, filter, FILTERED_AT_ONCE)
      for (const detail of details) if (showsRequest(detail, filter)) found.push(detail)
      if (found.length > rowsMax) return pageOf(found, rowsMax, true)
      if (last === null) return pageOf(found, rowsMax, false)
      position = last
      await new Promise<void>((resolve) => this.#options.schedule(resolve))
    }
    const rows = found.map(({ request }) => request)
    return { rows, nextCursor: position === null ? null : encodeCursor(position) }
  }

  /** In order, those that a filter may show; `last`: where to look next, null when nothing is left. */
  #detailsBefore(
    before: string | null,
    filter: RequestFilter,
    rowsMax: number,
  ): { readonly details: readonly RequestDetail[]; readonly last: string | null } {
    const endMs = filter.toMs ?? Number.MAX_SAFE_INTEGER
    const beforeMs = before === null ? endMs : Math.min(endMs, positionTimeMs(before))
    const beforeId = before !== null && beforeMs === positionTimeMs(before) ? positionId(before) : ''
    const id = before === null && filter.toMs === null ? LAST_ID : beforeId
    const written = this.#page.all(beforeMs, id, filter.fromMs ?? 0, rowsMax)
    const end = written.length < rowsMax ? undefined : written.at(-1)
    const last = end === undefined ? null : positionOf(number(end, 'time_ms'), text(end, 'id'))
    const words = wordsOf(filter)
    const details = written.filter((row) => hasWords(text(row, 'text'), words)).map(detailOf)
    for (const detail of this.#options.journal.unbooked()) {
      const position = positionOf(detail.request.timeMs, detail.request.id)
      if ((before === null || position < before) && (last === null || position > last)) details.push(detail)
    }
    return { details: details.sort(newestFirst), last }
  }
}

function hasWords(row: string, words: readonly string[]): boolean {
  return words.every((word) => row.includes(word))
}

function newestFirst({ request: left }: RequestDetail, { request: right }: RequestDetail): number {
  return positionOf(left.timeMs, left.id) < positionOf(right.timeMs, right.id) ? 1 : -1
}

function pageOf(details: readonly RequestDetail[], rowsMax: number, hasMore: boolean): RequestPage {
  const rows = details.slice(0, rowsMax).map(({ request }) => request)
  const last = rows.at(-1)
  const nextCursor = hasMore && last !== undefined ? encodeCursor(positionOf(last.timeMs, last.id)) : null
  return { rows, nextCursor }
}

function detailOf(row: SqlRow): RequestDetail {
  return parseEntry(text(row, 'id'), number(row, 'time_ms'), text(row, 'text'))
}
