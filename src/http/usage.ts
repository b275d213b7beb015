// `GET /admin/v1/usage` and the reports that it begins.

import type { Context, Hono } from 'hono'
import { GatewayError } from '#core/errors.ts'
import type { UsageReport, UsageRow } from '#core/ledger.ts'
import { type LedgerStore, USAGE_GROUPS, type UsageGroup, type UsageQuery } from '#core/ledger.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import { type AccessOptions, requireAdmin } from './access.ts'
import { csvOf, usageColumns, usageJson } from './admin-json.ts'
import { badParameter, oneOf, readInstant, readLimit } from './admin-query.ts'
import { ReportDesk } from './report-desk.ts'

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
    run: (query, onProgress) => store.usage(query, onProgress),
  })
  app.get('/admin/v1/usage', async (context) => {
    requireAdmin(context, options)
    const query = readUsageQuery(context, deps.live().settings.timeZone)
    const page = readPage(context, query)
    const report = await desk.ask(query)
    if ('rows' in report) return answer(context, page, report, query, deps.live().settings.currency)
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
    const page = readPage(context, kept.query)
    return answer(context, page, kept.report, kept.query, deps.live().settings.currency)
  })
}

/** What of a report is asked for. */
interface Page {
  readonly isCsv: boolean
  /** null: all of it. */
  readonly limit: number | null
  readonly after: Position | null
}

type Position = Pick<UsageRow, 'bucketMs' | 'group'>

function readPage(context: Context, query: UsageQuery): Page {
  const isCsv = oneOf(context, 'format', ['json', 'csv'] as const) === 'csv'
  const isWhole = isCsv && context.req.query('limit') === undefined
  const cursor = context.req.query('cursor')
  return {
    isCsv,
    limit: isWhole ? null : readLimit(context, PAGE_ROWS_MAX),
    after: cursor === undefined ? null : readCursor(cursor, query),
  }
}

function answer(
  context: Context,
  { isCsv, limit, after }: Page,
  report: UsageReport,
  query: UsageQuery,
  currency: string,
): Response {
  const start = after === null ? 0 : firstAfter(report.rows, after)
  const end = limit === null ? report.rows.length : Math.min(report.rows.length, start + limit)
  const last = report.rows[end - 1]
  const nextCursor = end < report.rows.length && last !== undefined ? cursorOf(last) : null
  if (!isCsv) {
    const rows = report.rows.slice(start, end)
    return context.json({
      ...usageJson({ rows, total: report.total }, query, currency),
      next_cursor: nextCursor,
    })
  }
  const part = (from: number): UsageReport => ({
    rows: report.rows.slice(from, Math.min(end, from + CSV_ROWS)),
    total: report.total,
  })
  let next = start
  const table = new ReadableStream<Uint8Array>({
    pull(controller) {
      const body = usageJson(part(next), query, currency)
      const columns = usageColumns(body, query)
      const text = csvOf(columns, body.data)
      // The first line names the columns.
      controller.enqueue(encoder.encode(next === start ? text : text.slice(text.indexOf('\r\n') + 2)))
      next += CSV_ROWS
      if (next >= end) controller.close()
    },
  })
  const headers: Record<string, string> = { 'content-type': 'text/csv; charset=utf-8' }
  if (nextCursor !== null) headers['x-next-cursor'] = nextCursor
  return context.body(table, 200, headers)
}

const encoder = new TextEncoder()

function readUsageQuery(context: Context, timeZone: string): UsageQuery {
  const groups = (context.req.query('group_by') ?? 'model').split(',').filter((group) => group !== '')
  return {
    groupBy: groups.map(readGroup),
    bucket: oneOf(context, 'bucket', ['hour', 'day'] as const),
    timeZone,
    fromMs: readInstant(context, 'from', timeZone),
    toMs: readInstant(context, 'to', timeZone),
  }
}

function readGroup(group: string): UsageGroup {
  if (/^tag:./.test(group)) return group as UsageGroup
  const known = USAGE_GROUPS.find((name) => name === group)
  if (known !== undefined) return known
  throw badParameter('group_by', group, `${USAGE_GROUPS.join(', ')} or tag:NAME, separated by commas`)
}

/** A row's place in its report; opaque so that its form may change. */
function cursorOf({ bucketMs, group }: Position): string {
  return btoa(encodeURIComponent(JSON.stringify([bucketMs, ...group]))).replaceAll('=', '')
}

function readCursor(cursor: string, { groupBy, bucket }: UsageQuery): Position {
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
function firstAfter(rows: readonly UsageRow[], position: Position): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    const row = rows[middle]
    if (row !== undefined && comparePositions(row, position) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

function comparePositions(left: Position, right: Position): number {
  if (left.bucketMs !== right.bucketMs) return (left.bucketMs ?? 0) - (right.bucketMs ?? 0)
  for (const [index, value] of left.group.entries()) {
    const other = right.group[index] ?? ''
    if (value !== other) return value < other ? -1 : 1
  }
  return 0
}
