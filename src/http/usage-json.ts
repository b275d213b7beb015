// Rows of a report as the admin API shows them: amounts as decimal strings, stable names of columns.

import { formatNano, type Nano } from '#core/money.ts'
import { divideRounded } from '#core/shares.ts'
import { zoneOf } from '#core/zones.ts'
import type { ReportQuery, ReportRow, ReportTotals } from '#pipeline/finance/report-words.ts'
import { type Cell, csvLines } from './csv.ts'
import type { Shown } from './usage-query.ts'

/** `count`: whole. `amount`: money. `price`: money per so many tokens. `name`: a text of ours or of people. */
type Kind = 'count' | 'amount' | 'price' | 'name'

interface Column {
  readonly name: string
  readonly kind: Kind
  /** null: there is nothing to say. */
  readonly of: (totals: ReportTotals) => number | string | null
}

export interface ShownReport {
  readonly query: ReportQuery
  readonly shown: Shown
  readonly currency: string
}

export function rowJson(row: ReportRow, report: ShownReport): Record<string, unknown> {
  return { ...headJson(row, report.query), ...totalsJson(row, report) }
}

export function totalsJson(totals: ReportTotals, report: ShownReport): Record<string, unknown> {
  return Object.fromEntries(columnsOf(totals, report).map(({ name, of }) => [name, of(totals)]))
}

/** Lines of a table; `like` says which columns there are. */
export function csvHead({ query, ...report }: ShownReport, like: ReportTotals): string {
  const bucket = query.bucket === null ? [] : ['bucket', 'period']
  const names = columnsOf(like, { query, ...report }).map(({ name }) => name)
  return csvLines([[...query.groupBy, ...bucket, ...names].map((name) => ({ name }))])
}

export function csvRows(rows: readonly ReportRow[], report: ShownReport, like: ReportTotals): string {
  const columns = columnsOf(like, report)
  return csvLines(
    rows.map((row) => [
      ...Object.values(headJson(row, report.query)).map((name) => ({ name: String(name) })),
      ...columns.map((column) => cellOf(column, row, report.shown)),
    ]),
  )
}

/** Says `total` in the first column that has no number. */
export function csvTotal(total: ReportTotals, report: ShownReport): string {
  const heads = report.query.groupBy.length + (report.query.bucket === null ? 0 : 2)
  const names = Array.from({ length: heads }, (_, index): Cell => ({ name: index === 0 ? 'total' : '' }))
  const cells = columnsOf(total, report).map((column) => cellOf(column, total, report.shown))
  return csvLines([[...names, ...cells]])
}

function headJson(row: ReportRow, { groupBy, bucket, timeZone }: ReportQuery): Record<string, string> {
  const group = groupBy.map((by, index) => [by, row.group[index] ?? ''])
  if (row.bucketMs === null) return Object.fromEntries(group)
  const start = new Date(row.bucketMs).toISOString()
  return Object.fromEntries([
    ...group,
    ['bucket', start],
    ['period', periodOf(row.bucketMs, bucket, timeZone)],
  ])
}

const DAY_MS = 24 * 60 * 60_000

/** As a wall clock of the zone says it: 2026-10, 2026-10-31, 2026-10-31T13:00+08:00. */
function periodOf(atMs: number, bucket: ReportQuery['bucket'], timeZone: string): string {
  const { day, minuteOfDay } = zoneOf(timeZone)(atMs)
  const date = new Date(day * DAY_MS).toISOString().slice(0, 10)
  if (bucket === 'month') return date.slice(0, 7)
  if (bucket === 'day') return date
  const offset = Math.round((day * DAY_MS + minuteOfDay * 60_000 - atMs) / 60_000)
  // A clock that is put back shows an hour twice.
  return `${date}T${clock(minuteOfDay)}${offset < 0 ? '-' : '+'}${clock(Math.abs(offset))}`
}

function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
}

function columnsOf(like: ReportTotals, { query, shown, currency }: ShownReport): readonly Column[] {
  const contract = (row: ReportTotals): bigint => row.costNano + row.freeQuotaNano + row.packageNano
  return [
    count('requests', (row) => row.requests),
    count('attempts', (row) => row.attempts),
    count('input_tokens', (row) => row.inputTokens),
    count('cached_input_tokens', (row) => row.cachedInputTokens),
    count('output_tokens', (row) => row.outputTokens),
    count('reasoning_tokens', (row) => row.reasoningTokens),
    amount('cost', (row) => row.costNano),
    { name: 'currency', kind: 'name', of: () => currency },
    amount('list', (row) => contract(row) + row.discountNano),
    amount('contract', contract),
    amount('discount', (row) => row.discountNano),
    amount('free_quota', (row) => row.freeQuotaNano),
    amount('package', (row) => row.packageNano),
    amount('adjustments', (row) => row.adjustmentNano),
    amount('total', (row) => row.costNano + row.adjustmentNano),
    ...taxColumns(like),
    ...(like.chargeNano === undefined ? [] : [amount('charge', (row) => row.chargeNano ?? 0n)]),
    ...valueColumns(query),
    ...(shown.perTokens === null ? [] : [averagePrice(shown.perTokens)]),
    count('estimated_attempts', (row) => row.estimatedAttempts),
    count('unpriced_attempts', (row) => row.unpricedAttempts),
  ]
}

function taxColumns({ netNano }: ReportTotals): readonly Column[] {
  if (netNano === undefined) return []
  return [
    amount('net', (row) => row.netNano ?? 0n),
    amount('vat', (row) => row.vatNano ?? 0n),
    amount('gross', (row) => (row.netNano ?? 0n) + (row.vatNano ?? 0n)),
  ]
}

function valueColumns({ baseline, cacheSavings }: ReportQuery): readonly Column[] {
  const compared = [
    amount('baseline_cost', (row) => row.values?.baselineNano ?? 0n),
    amount('saving', (row) => (row.values?.baselineNano ?? 0n) - (row.values?.comparedNano ?? 0n)),
    count('baseline_left_out', (row) => row.values?.baselineLeftOut ?? 0),
  ]
  const cached = [
    amount('cache_saving', (row) => row.values?.cacheSavingNano ?? 0n),
    count('cache_left_out', (row) => row.values?.cacheLeftOut ?? 0),
  ]
  return [...(baseline === null ? [] : compared), ...(cacheSavings ? cached : [])]
}

function count(name: string, of: (row: ReportTotals) => number): Column {
  return { name, kind: 'count', of }
}

function amount(name: string, of: (row: ReportTotals) => bigint): Column {
  return { name, kind: 'amount', of: (row) => formatNano(of(row) as Nano) }
}

/** Of all tokens, in and out; rounded half up to nine places. */
function averagePrice(perTokens: 1_000 | 1_000_000): Column {
  return {
    name: perTokens === 1_000 ? 'cost_per_1k_tokens' : 'cost_per_1m_tokens',
    kind: 'price',
    of: (row) => {
      const tokens = BigInt(row.inputTokens) + BigInt(row.outputTokens)
      return tokens === 0n
        ? null
        : formatNano(divideRounded(row.costNano * BigInt(perTokens), tokens) as Nano)
    },
  }
}

function cellOf({ kind, of }: Column, totals: ReportTotals, { isByMyriads }: Shown): Cell {
  const value = of(totals)
  if (kind === 'name') return { name: String(value ?? '') }
  const text = String(value ?? '')
  return { number: isByMyriads && kind !== 'price' ? byMyriads(text) : text }
}

/** A decimal number by 万 and 亿, all of its digits kept: 123456789 is 1.23456789亿. */
function byMyriads(text: string): string {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? []
  const places = whole.length > 8 ? 8 : whole.length > 4 ? 4 : 0
  if (places === 0) return text
  const rest = `${whole.slice(-places)}${fraction}`.replace(/0+$/, '')
  const head = `${sign}${whole.slice(0, -places)}`
  return `${head}${rest === '' ? '' : `.${rest}`}${places === 8 ? '亿' : '万'}`
}
