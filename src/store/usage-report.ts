// How attempts become usage: what one row counts, which bucket it falls into, how groups add up. All stores use
// this, so that their sums agree; where the counters lie is their own business.

import type { AdjustmentRow } from '#core/adjustments.ts'
import { amountsBetween, NO_AMOUNTS } from '#core/amounts.ts'
import { assert } from '#core/assert.ts'
import {
  type AttemptRow,
  compareUsageRows,
  ReportError,
  type UsageGroup,
  type UsageQuery,
  type UsageReport,
  type UsageRow,
  type UsageTotals,
} from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import { addValues, isByRowsOnly, NO_VALUES, valuesOf } from '#core/tariff.ts'
import { bucketsOf } from './usage-buckets.ts'
import { HOUR_MS } from './usage-hours.ts'

export { hasStoredDays } from './usage-buckets.ts'
export { DAY_MS, dayStartMs, HOUR_MS, hourStartMs } from './usage-hours.ts'

/** What usage can be grouped by; counters are kept per series. */
export interface Series {
  readonly key: string
  readonly model: string
  readonly target: string
  readonly tags: Readonly<Record<string, string>>
}

/** What counters do not know: only rows say whose user asked. */
export interface UserSeries extends Series {
  readonly user?: string | null
}

/** Half-open range of whole hours, epoch ms; null: unbounded. */
export interface HourRange {
  readonly fromMs: number | null
  readonly toMs: number | null
}

export const NO_TOTALS: UsageTotals = Object.freeze({
  requests: 0,
  attempts: 0,
  inputTokens: 0,
  cachedInputTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  costNano: NANO_ZERO,
  adjustmentNano: NANO_ZERO,
  estimatedAttempts: 0,
  unpricedAttempts: 0,
  ...NO_AMOUNTS,
})

/** The counts of totals in the order in which stores keep them. */
export function listOfTotals(totals: UsageTotals): readonly (number | bigint)[] {
  return [
    totals.requests,
    totals.attempts,
    totals.inputTokens,
    totals.cachedInputTokens,
    totals.outputTokens,
    totals.reasoningTokens,
    totals.costNano,
    totals.estimatedAttempts,
    totals.unpricedAttempts,
    totals.discountNano,
    totals.freeQuotaNano,
    totals.packageNano,
    totals.adjustmentNano,
  ]
}

/** What a final attempt adds to its series. Attempt 1 counts the request, so every request counts once. */
export function totalsOf(row: AttemptRow): UsageTotals {
  return {
    requests: row.attempt === 1 ? 1 : 0,
    attempts: 1,
    inputTokens: row.usage.inputTokens,
    cachedInputTokens: row.usage.cachedInputTokens,
    outputTokens: row.usage.outputTokens,
    reasoningTokens: row.usage.reasoningTokens,
    costNano: row.cost === null ? NANO_ZERO : row.cost.amountNano,
    adjustmentNano: NANO_ZERO,
    estimatedAttempts: row.usageSource === 'estimated' || row.usageSource === 'recovered' ? 1 : 0,
    unpricedAttempts: row.cost === null ? 1 : 0,
    ...(row.cost === null ? NO_AMOUNTS : amountsBetween(row.cost)),
  }
}

/** What an adjustment adds to its series: no request, no tokens, money of its own. */
export function totalsOfAdjustment({ amountNano }: AdjustmentRow): UsageTotals {
  return { ...NO_TOTALS, adjustmentNano: amountNano }
}

/** What an attempt counts whose month was closed before: its money is an adjustment. */
export function withoutMoney(totals: UsageTotals): UsageTotals {
  return { ...totals, costNano: NANO_ZERO, ...NO_AMOUNTS }
}

export function addTotals(left: UsageTotals, right: UsageTotals): UsageTotals {
  const sum = { ...left }
  addInto(sum, right)
  return sum
}

export type RunningTotals = { -readonly [Name in keyof UsageTotals]: UsageTotals[Name] }

export function addInto(sum: RunningTotals, totals: UsageTotals): void {
  sum.requests += totals.requests
  sum.attempts += totals.attempts
  sum.inputTokens += totals.inputTokens
  sum.cachedInputTokens += totals.cachedInputTokens
  sum.outputTokens += totals.outputTokens
  sum.reasoningTokens += totals.reasoningTokens
  sum.costNano = (sum.costNano + totals.costNano) as Nano
  sum.adjustmentNano = (sum.adjustmentNano + totals.adjustmentNano) as Nano
  sum.estimatedAttempts += totals.estimatedAttempts
  sum.unpricedAttempts += totals.unpricedAttempts
  sum.discountNano = (sum.discountNano + totals.discountNano) as Nano
  sum.freeQuotaNano = (sum.freeQuotaNano + totals.freeQuotaNano) as Nano
  sum.packageNano = (sum.packageNano + totals.packageNano) as Nano
  if (totals.values !== undefined) sum.values = addValues(sum.values ?? NO_VALUES, totals.values)
}

/** A text that is equal for equal series, whatever the order of their tags. */
export function seriesText(series: Series): string {
  const tags = Object.entries(series.tags).sort(([left], [right]) => compareText(left, right))
  return JSON.stringify([series.key, series.model, series.target, tags])
}

/** Reads back what `seriesText` wrote. */
export function parseSeries(text: string): Series {
  const parts: unknown = JSON.parse(text)
  assert(Array.isArray(parts) && parts.length === 4, 'a series is a list of four')
  const [key, model, target, tags] = parts
  return { key, model, target, tags: Object.fromEntries(tags) }
}

/** Rounds a query outward to whole hours, as stores of rollups do. */
export function outwardHours(query: UsageQuery): HourRange {
  return outwardRange(query, HOUR_MS)
}

export function outwardRange({ fromMs, toMs }: UsageQuery, stepMs: number): HourRange {
  return {
    fromMs: fromMs === null ? null : Math.floor(fromMs / stepMs) * stepMs,
    toMs: toMs === null ? null : Math.ceil(toMs / stepMs) * stepMs,
  }
}

export function rangeHolds(range: HourRange, timeMs: number): boolean {
  return (range.fromMs === null || timeMs >= range.fromMs) && (range.toMs === null || timeMs < range.toMs)
}

/** All that a query must know of a series: what it groups, filters and values by. */
export function dimensionsOf({ groupBy, where = [], valuation }: UsageQuery): readonly UsageGroup[] {
  const valuedBy: readonly UsageGroup[] = valuation === undefined ? [] : ['target']
  return [...new Set([...groupBy, ...where.map(({ by }) => by), ...valuedBy])]
}

/** Whether each row must be looked at by itself, as far as there are rows. */
export function needsRows({ valuation }: UsageQuery): boolean {
  return valuation !== undefined && isByRowsOnly(valuation)
}

/** What an attempt or a sum of them counts, valued as the query asks. */
export function valued(
  { valuation }: UsageQuery,
  { target }: Series,
  atMs: number,
  totals: UsageTotals,
): UsageTotals {
  if (valuation === undefined || totals.values !== undefined) return totals
  return { ...totals, values: valuesOf(valuation, target, atMs, totals) }
}

/** Gathers counters into the rows that a query asks for. */
export class UsageReportBuilder {
  readonly #query: UsageQuery
  readonly #rows = new Map<string, UsageRow>()
  readonly #needsUsers: boolean
  /** Start of the bucket around an instant. */
  readonly bucketOf: (atMs: number) => number | null
  #total = NO_TOTALS

  constructor(query: UsageQuery) {
    this.#query = query
    this.#needsUsers = dimensionsOf(query).includes('user')
    this.bucketOf = bucketsOf(query)
  }

  /**
   * `timeMs` is any instant of the counter's hour (of its day, where no hours are asked for).
   * @throws ReportError when counters do not know what is asked for
   */
  add(series: UserSeries, timeMs: number, counted: UsageTotals): void {
    if (this.#needsUsers && series.user === undefined)
      throw new ReportError('unsupported', 'only rows of a SQLite ledger say whose user asked, not counters')
    if (!isMeant(series, this.#query)) return
    const totals = valued(this.#query, series, timeMs, counted)
    const group = this.#query.groupBy.map((by) => groupValue(series, by))
    const bucketMs = this.bucketOf(timeMs)
    const name = JSON.stringify([bucketMs, group])
    const sum = addTotals(this.#rows.get(name) ?? NO_TOTALS, totals)
    this.#rows.set(name, { ...sum, group, bucketMs })
    this.#total = addTotals(this.#total, totals)
  }

  /** Rows so far. */
  get size(): number {
    return this.#rows.size
  }

  /** Rows in order of bucket, then group. */
  report(): UsageReport {
    // What was counted and then counted elsewhere leaves nothing.
    const rows = [...this.#rows.values()].filter((row) =>
      listOfTotals(row).some((count) => Number(count) !== 0),
    )
    return { rows: rows.sort(compareUsageRows), total: this.#total }
  }
}

function isMeant(series: UserSeries, { where }: UsageQuery): boolean {
  return where === undefined || where.every(({ by, values }) => values.includes(groupValue(series, by)))
}

export function groupValue(series: UserSeries, by: UsageGroup): string {
  switch (by) {
    case 'model':
    case 'key':
    case 'target':
      return series[by]
    case 'provider':
      return series.target.slice(0, Math.max(0, series.target.indexOf('/')))
    case 'user':
      return series.user ?? ''
    // Team and organisation of a key are among its tags.
    case 'team':
    case 'organisation':
      return tagOf(series, by)
    default:
      return tagOf(series, by.slice('tag:'.length))
  }
}

function tagOf({ tags }: Series, tag: string): string {
  return Object.hasOwn(tags, tag) ? (tags[tag] ?? '') : ''
}

function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}
