// `GET /admin/v1/usage` and the reports that it begins.

import type { Context, Hono } from 'hono'
import { GatewayError } from '#core/errors.ts'
import { compareUsageRows, type LedgerStore } from '#core/ledger.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import { makeReport, makingAt } from '#pipeline/finance/report.ts'
import type { Report, ReportQuery, ReportRow } from '#pipeline/finance/report-words.ts'
import { type AccessOptions, requireAdmin } from './access.ts'
import { badParameter, readLimit } from './admin-query.ts'
import { BYTE_ORDER_MARK } from './csv.ts'
import { ReportDesk } from './report-desk.ts'
import { csvHead, csvRows, csvTotal, rowJson, type ShownReport, totalsJson } from './usage-json.ts'
import { readReportQuery, readShown } from './usage-query.ts'

export interface UsageOptions extends AccessOptions {
  readonly store: LedgerStore
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

/** Rows of a table that are made into text at once. */
const CSV_ROWS = 1_000

export function usageRoutes(app: AnyApp, options: UsageOptions): void {
  const { deps, store } = options
  const desk = new ReportDesk({
    clock: deps.clock,
    random: deps.random,
    run: (query, onProgress) =>
      makeReport(store, deps.live(), query, { ...makingAt(deps.clock), onProgress }),
  })
  app.get('/admin/v1/usage', async (context) => {
    requireAdmin(context, options)
    const { settings } = deps.live()
    const query = readReportQuery(context, settings)
    const page = readPage(context, query, settings.currency)
    const report = await desk.ask(query)
    if ('rows' in report) return answer(context, page, report)
    context.header('location', `/admin/v1/reports/${report.id}`)
    return context.json({ id: report.id, status: 'running', progress: report.progress }, 202)
  })
  app.get('/admin/v1/reports/:id', (context) => {
    requireAdmin(context, options)
    const id = context.req.param('id') ?? ''
    const kept = desk.find(id)
    if (kept === null)
      throw new GatewayError('not_found', `there is no report "${id.slice(0, 100)}"`, { param: 'id' })
    if (kept.failure !== null) throw kept.failure
    if (kept.report === null) return context.json({ id, status: 'running', progress: kept.progress }, 202)
    return answer(context, readPage(context, kept.query, deps.live().settings.currency), kept.report)
  })
}

/** What of a report is asked for. */
interface Page extends ShownReport {
  /** null: all of it. */
  readonly limit: number | null
  readonly after: Position | null
}

type Position = Pick<ReportRow, 'bucketMs' | 'group'>

function readPage(context: Context, query: ReportQuery, currency: string): Page {
  const shown = readShown(context)
  const isWhole = shown.isCsv && context.req.query('limit') === undefined
  const cursor = context.req.query('cursor')
  return {
    query,
    shown,
    currency,
    limit: isWhole ? null : readLimit(context, PAGE_ROWS_MAX),
    after: cursor === undefined ? null : readCursor(cursor, query),
  }
}

function answer(context: Context, page: Page, report: Report): Response {
  const { limit, after, query, shown } = page
  const { rows, total } = report
  const start = after === null ? 0 : firstAfter(rows, after)
  const end = limit === null ? rows.length : Math.min(rows.length, start + limit)
  const last = rows[end - 1]
  const nextCursor = end < rows.length && last !== undefined ? cursorOf(last) : null
  if (!shown.isCsv) {
    return context.json({
      data: rows.slice(start, end).map((row) => rowJson(row, page)),
      total: totalsJson(total, page),
      time_zone: query.timeZone,
      next_cursor: nextCursor,
    })
  }
  const isLastPage = shown.hasTotalRow && nextCursor === null
  let next = start
  const table = new ReadableStream<Uint8Array>({
    pull(controller) {
      const head = next === start ? BYTE_ORDER_MARK + csvHead(page, total) : ''
      const part = rows.slice(next, Math.min(end, next + CSV_ROWS))
      next += CSV_ROWS
      const foot = next >= end && isLastPage ? csvTotal(total, page) : ''
      controller.enqueue(encoder.encode(head + csvRows(part, page, total) + foot))
      if (next >= end) controller.close()
    },
  })
  const headers: Record<string, string> = { 'content-type': 'text/csv; charset=utf-8' }
  if (nextCursor !== null) headers['x-next-cursor'] = nextCursor
  return context.body(table, 200, headers)
}

const encoder = new TextEncoder()

/** A row's place in its report; opaque so that its form may change. */
function cursorOf({ bucketMs, group }: Position): string {
  return btoa(encodeURIComponent(JSON.stringify([bucketMs, ...group]))).replaceAll('=', '')
}

function readCursor(cursor: string, { groupBy, bucket }: ReportQuery): Position {
  try {
    const parts: unknown = JSON.parse(decodeURIComponent(atob(cursor)))
    if (Array.isArray(parts) && parts.length === groupBy.length + 1) {
      const [bucketMs, ...group] = parts
      const isOurs = bucket === null ? bucketMs === null : Number.isSafeInteger(bucketMs)
      if (isOurs && group.every((value) => typeof value === 'string')) return { bucketMs, group }
    }
  } catch {
    // As below.
  }
  throw badParameter('cursor', cursor, 'a `next_cursor` of this report')
}

/** Rows are in order of bucket, then group. */
function firstAfter(rows: readonly ReportRow[], position: Position): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    const row = rows[middle]
    if (row !== undefined && compareUsageRows(row, position) <= 0) low = middle + 1
    else high = middle
  }
  return low
}
