// /admin/v1/months: months that finance closes, and their reports as they were then.

import type { Context, Hono } from 'hono'
import { GatewayError } from '#core/errors.ts'
import type { LedgerStore } from '#core/ledger.ts'
import { type ClosedMonth, closedAt, type MonthBook, type MonthSpan } from '#core/month-close.ts'
import { monthOf, startOfMonthMs } from '#core/months.ts'
import { makeReport, makingAt } from '#pipeline/finance/report.ts'
import type { ReportQuery } from '#pipeline/finance/report-words.ts'
import { invalid } from '#settings/stored-keys.ts'
import { type AccessOptions, requireAdmin } from './access.ts'
import { readBody } from './admin-body.ts'
import { asked } from './admin-query.ts'
import { BYTE_ORDER_MARK } from './csv.ts'
import { csvHead, csvRows, csvTotal, type ShownReport, totalsJson } from './usage-json.ts'

export interface MonthOptions extends AccessOptions {
  readonly store: LedgerStore
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

const FIELDS = ['author', 'note']
const AUTHOR_CHARS_MAX = 200
const NOTE_CHARS_MAX = 1_000
const LONGER_MS = 35 * 24 * 60 * 60_000
/** Open months that are listed: more than a year. */
const OPEN_MAX = 24
/** What a kept report is by. */
const GROUPS = [
  'organisation',
  'team',
  'cost_centre',
  'contract_number',
  'key',
  'model',
  'target',
] as const satisfies ReportQuery['groupBy']

export function monthRoutes(app: AnyApp, options: MonthOptions): void {
  const { deps } = options
  const nowMs = (): number => deps.clock.nowMs()
  app.get('/admin/v1/months', async (context) => {
    requireAdmin(context, options)
    const closed = await asked(() => booksOf(options.store).list())
    const { timeZone, currency } = deps.live().settings
    const months = [
      ...closed.map((month) => closedJson(month, currency)),
      ...openJson(closed, timeZone, nowMs()),
    ]
    return context.json({ data: months.toSorted(newestFirst), next_cursor: null })
  })
  app.post('/admin/v1/months/:month/close', async (context) => {
    requireAdmin(context, options)
    const months = booksOf(options.store)
    const { timeZone, currency } = deps.live().settings
    const span = readMonth(context, timeZone)
    const { author, note } = readInput(await readBody(context))
    const closedAtMs = nowMs()
    if (span.toMs > closedAtMs)
      throw new GatewayError('invalid_request', `${span.month} is not over before ${isoOf(span.toMs)}`, {
        param: 'month',
      })
    const isNew = await asked(() => months.close({ ...span, closedAtMs, author, note }))
    // Whoever asks again after a crash gets the report that is still missing.
    await keepReport(options, months, await find(months, span.month))
    const closed = await find(months, span.month)
    if (isNew) {
      const waiting = await waitingJson(months)
      return context.json({ ...closedJson(closed, currency), ...waiting }, 201)
    }
    const since = `${isoOf(closed.closedAtMs)} by ${closed.author}`
    throw new GatewayError('conflict', `${span.month} has been closed since ${since}`, { param: 'month' })
  })
  app.get('/admin/v1/months/:month', async (context) => {
    requireAdmin(context, options)
    const { currency } = deps.live().settings
    return context.json(closedJson(await find(booksOf(options.store), nameOf(context)), currency))
  })
  app.get('/admin/v1/months/:month/report', async (context) => {
    requireAdmin(context, options)
    const months = booksOf(options.store)
    const closed = await find(months, nameOf(context))
    await keepReport(options, months, closed)
    const table = (await asked(() => months.table(closed.month))) ?? ''
    return context.body(table, 200, {
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': `attachment; filename="sluice-${closed.month}.csv"`,
    })
  })
}

function booksOf({ months }: LedgerStore): MonthBook {
  if (months !== undefined) return months
  throw new GatewayError('invalid_request', 'this store closes no months')
}

async function find(months: MonthBook, name: string): Promise<ClosedMonth> {
  const closed = (await asked(() => months.list())).find(({ month }) => month === name)
  if (closed !== undefined) return closed
  throw new GatewayError('not_found', `the month "${name.slice(0, 100)}" is not closed`, { param: 'month' })
}

/** Nothing counts in it any more, so it does not matter when it is made. */
async function keepReport(
  { deps, store }: MonthOptions,
  months: MonthBook,
  closed: ClosedMonth,
): Promise<void> {
  if (closed.total !== null) return
  const { timeZone, fromMs, toMs } = closed
  const query: ReportQuery = {
    groupBy: GROUPS,
    bucket: null,
    where: [],
    timeZone,
    fromMs,
    toMs,
    baseline: null,
    cacheSavings: false,
    toCents: false,
  }
  const live = deps.live()
  const { rows, total } = await asked(() => makeReport(store, live, query, makingAt(deps.clock)))
  const shown = { isCsv: true, perTokens: null, isByMyriads: false, hasTotalRow: true } as const
  const report: ShownReport = { query, shown, currency: live.settings.currency }
  const table = csvHead(report, total) + csvRows(rows, report, total) + csvTotal(total, report)
  const text = JSON.stringify(totalsJson(total, report))
  await asked(() => months.keep(closed.month, text, BYTE_ORDER_MARK + table))
}

function nameOf(context: Context): string {
  return context.req.param('month') ?? ''
}

function readMonth(context: Context, timeZone: string): MonthSpan {
  const month = nameOf(context)
  const fromMs = startOfMonthMs(timeZone, month)
  if (fromMs === null) throw invalid('month', month.slice(0, 100), 'a month such as 2026-10')
  return { month, timeZone, fromMs, toMs: endOf(timeZone, fromMs) }
}

function endOf(timeZone: string, fromMs: number): number {
  // No month is longer than 35 days, and none that follows one is over by then.
  return startOfMonthMs(timeZone, monthOf(timeZone, fromMs + LONGER_MS)) ?? fromMs
}

function readInput(body: Record<string, unknown>): { readonly author: string; readonly note: string } {
  for (const field of Object.keys(body))
    if (!FIELDS.includes(field)) throw invalid(field.slice(0, 100), 'an unknown field', FIELDS.join(', '))
  const { author, note = '' } = body
  if (!isText(author, AUTHOR_CHARS_MAX) || author.trim() === '')
    throw invalid('author', author, `a text of 1 to ${AUTHOR_CHARS_MAX} characters: who closes it`)
  if (!isText(note, NOTE_CHARS_MAX))
    throw invalid('note', note, `a text of at most ${NOTE_CHARS_MAX} characters`)
  return { author, note }
}

function isText(value: unknown, charsMax: number): value is string {
  return typeof value === 'string' && value.length <= charsMax && !/\p{Cc}/u.test(value)
}

function closedJson(closed: ClosedMonth, currency: string): Readonly<Record<string, unknown>> {
  return {
    month: closed.month,
    status: 'closed',
    time_zone: closed.timeZone,
    from: isoOf(closed.fromMs),
    to: isoOf(closed.toMs),
    closed_at: isoOf(closed.closedAtMs),
    author: closed.author,
    note: closed.note,
    total: closed.total === null ? null : (JSON.parse(closed.total) as unknown),
    currency,
  }
}

/** What may come late. */
async function waitingJson(months: MonthBook): Promise<Readonly<Record<string, unknown>>> {
  if (months.waiting === undefined) return {}
  try {
    const { rows, silent } = await months.waiting()
    return { waiting: { rows, instances_not_heard: silent } }
  } catch {
    // The month is closed all the same.
    return { waiting: null }
  }
}

/** From the one after the last closed to the present one. */
function openJson(
  closed: readonly ClosedMonth[],
  timeZone: string,
  nowMs: number,
): readonly Readonly<Record<string, unknown>>[] {
  const open: Record<string, unknown>[] = []
  const lastMs = Math.max(...closed.map(({ toMs }) => toMs), Number.NEGATIVE_INFINITY)
  for (let atMs = nowMs; open.length < OPEN_MAX && closedAt(closed, atMs) === null; ) {
    const month = monthOf(timeZone, atMs)
    const fromMs = startOfMonthMs(timeZone, month) ?? atMs
    const span = { from: isoOf(fromMs), to: isoOf(endOf(timeZone, fromMs)) }
    open.push({ month, status: 'open', time_zone: timeZone, ...span })
    if (fromMs <= lastMs || lastMs === Number.NEGATIVE_INFINITY) break
    atMs = fromMs - 1
  }
  return open
}

function newestFirst(
  left: Readonly<Record<string, unknown>>,
  right: Readonly<Record<string, unknown>>,
): number {
  return String(left['month']) < String(right['month']) ? 1 : -1
}

function isoOf(atMs: number): string {
  return new Date(atMs).toISOString()
}
