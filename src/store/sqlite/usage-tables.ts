// Which tables a usage query is answered from, and how: rollups where they know enough, counters by series else, and
// the rows for parts of hours and for what no counter knows. A query is a list of parts, so that who reads can say how
// far it is and let others run in between.

import type { UsageBucket, UsageGroup, UsageQuery } from '#core/ledger.ts'
import { hoursInTwo } from '../usage-buckets.ts'
import {
  addInto,
  DAY_MS,
  dayStartMs,
  dimensionsOf,
  groupValue,
  HOUR_MS,
  hasStoredDays,
  hourStartMs,
  needsRows,
  parseSeries,
  type RunningTotals,
  type Series,
  type UsageReportBuilder,
  type UserSeries,
  valued,
} from '../usage-report.ts'
import { eachWithin, type Span } from './attempt-counts.ts'
import type { SqlDriver, SqlRow, SqlStatement } from './driver.ts'
import { number, text, totalsOfCounter } from './row-checks.ts'
import * as sql from './usage-sql.ts'

/** One read of a table. */
export interface UsagePart extends Span {
  readonly source: 'rollup_hour' | 'rollup_day' | 'usage_hour' | 'attempts'
}

/** What one part spans at most: a few hundred thousand rows at the scale of DESIGN 1. */
const PART_MS = {
  rollup_hour: 31 * DAY_MS,
  rollup_day: 7 * DAY_MS,
  usage_hour: DAY_MS,
  attempts: HOUR_MS,
} as const
/** Rows of attempts in memory at once: of some hundred attempts each, 40 bytes for one. */
const GROUPS_AT_ONCE = 500
/** As many bytes of attempts cost what a row of a counter does. */
const BYTES_PER_ROW = 80

/** Attempts of one group in one bucket. */
interface AttemptSum {
  readonly series: UserSeries
  readonly atMs: number
  readonly totals: RunningTotals
}

/** The statements of one query, prepared; what they find is added to a report. */
export class UsageTables {
  readonly #driver: SqlDriver
  readonly #statements = new Map<string, SqlStatement>()
  readonly #series = new Map<string, Series>()
  #groupsOf: UsageQuery | null = null
  readonly #groups = new Map<number, { readonly series: Series; readonly group: string }>()

  /** By the number that SQLite sums by; null: reports on this connection are small, and sums are made of what it finds. */
  readonly #mapped: Series[] | null

  /** `isLarge`: the connection is one report's own. */
  constructor(driver: SqlDriver, isLarge = false) {
    this.#driver = driver
    this.#mapped = isLarge ? [] : null
  }

  /** Newest first. */
  plan(query: UsageQuery): readonly UsagePart[] {
    const source = sourceOf(query)
    const known = this.#known(source)
    if (known === null) return []
    const fromMs = Math.max(query.fromMs ?? known.fromMs, known.fromMs)
    const toMs = Math.min(query.toMs ?? known.toMs, known.toMs)
    return fromMs < toMs ? this.#parts(source, { fromMs, toMs }, query) : []
  }

  /** Where a bucket begins within an hour of UTC, the hour's rows say which is whose, as long as they are there. */
  #parts(source: UsagePart['source'], { fromMs, toMs }: Span, query: UsageQuery): readonly UsagePart[] {
    const isRows = source === 'attempts'
    const hours = isRows ? [] : needsRows(query) ? 'all' : hoursInTwo(query, fromMs, toMs)
    if (hours.length === 0) return partsOf(source, { fromMs, toMs })
    const row = this.#prepare(sql.ROWS_FROM).get()
    const rowsFromMs = row === undefined ? 0 : number(row, 'value')
    if (hours !== 'all')
      return withRows(
        partsOf(source, { fromMs, toMs }),
        hours.filter((hourMs) => hourMs >= rowsFromMs),
      )
    const middleMs = Math.min(toMs, Math.max(fromMs, rowsFromMs))
    return [
      ...partsOf('attempts', { fromMs: middleMs, toMs }),
      ...(fromMs < middleMs ? partsOf(source, { fromMs, toMs: middleMs }) : []),
    ]
  }

  /** About what reading it costs, in rows; counts no further than `rowsMax`. */
  rowsOf(parts: readonly UsagePart[], rowsMax: number): number {
    let rows = 0
    for (const part of parts) {
      if (rows > rowsMax) break
      const row = this.#prepare(sql.COUNT[part.source]).get(part.fromMs, part.toMs, rowsMax + 1)
      rows += row === undefined ? 0 : number(row, 'rows') + Math.ceil(number(row, 'bytes') / BYTES_PER_ROW)
    }
    return rows
  }

  read(part: UsagePart, query: UsageQuery, builder: UsageReportBuilder): void {
    if (part.source === 'attempts') return this.#readAttempts(part, query, builder)
    if (part.source === 'usage_hour' && this.#mapped !== null)
      return this.#readMapped(this.#mapped, part, query, builder)
    const rows = this.#prepare(statementOf(part, query)).all(part.fromMs, part.toMs)
    for (const row of rows) builder.add(this.#seriesOf(row), number(row, 'time_ms'), totalsOfCounter(row))
  }

  /** Sums a part by what the report groups by, before the report hears of it: ten million rows are read in less than a minute. */
  #readAttempts(span: Span, query: UsageQuery, builder: UsageReportBuilder): void {
    const byUser = dimensionsOf(query).includes('user')
    const hourMs = hourStartMs(span.fromMs)
    const isInOne = builder.bucketOf(hourMs) === builder.bucketOf(hourMs + HOUR_MS - 1)
    const select = this.#prepare(sql.ATTEMPTS)
    const sums = new Map<string, AttemptSum>()
    let last = 0
    for (;;) {
      const rows = select.all(hourMs, last, span.toMs, span.fromMs, GROUPS_AT_ONCE)
      for (const row of rows) {
        const { series, group } = this.#seriesAt(number(row, 'series'), query)
        const users = byUser && row['users'] !== null ? (JSON.parse(text(row, 'users')) as string[]) : null
        eachWithin(row, hourMs, span, (counted, index, startedAtMs) => {
          const totals = valued(query, series, startedAtMs, counted)
          const user = users?.[index] ?? null
          const atMs = isInOne ? hourMs : (builder.bucketOf(startedAtMs) ?? hourMs)
          const whose = user === null ? group : `${group} ${user}`
          const name = isInOne ? whose : `${atMs} ${whose}`
          const sum = sums.get(name)
          if (sum === undefined) sums.set(name, { series: { ...series, user }, atMs, totals: { ...totals } })
          else addInto(sum.totals, totals)
        })
        last = number(row, 'number')
      }
      if (rows.length < GROUPS_AT_ONCE) break
    }
    for (const { series, atMs, totals } of sums.values()) builder.add(series, atMs, totals)
  }

  #readMapped(mapped: Series[], part: UsagePart, query: UsageQuery, builder: UsageReportBuilder): void {
    if (mapped.length === 0) this.#fillMap(mapped, query)
    const rows = this.#prepare(sql.USAGE_HOUR_MAPPED[bucketOfRows(query) ?? 'all']).all(
      part.fromMs,
      part.toMs,
    )
    for (const row of rows) {
      const series = mapped[number(row, 'number')]
      if (series !== undefined) builder.add(series, number(row, 'time_ms'), totalsOfCounter(row))
    }
  }

  #fillMap(mapped: Series[], query: UsageQuery): void {
    this.#driver.exec(sql.MAP)
    const add = this.#prepare(sql.ADD_TO_MAP)
    const numbers = new Map<string, number>()
    let last = 0
    for (;;) {
      const rows = this.#prepare(sql.ALL_SERIES).all(last, SERIES_AT_ONCE)
      for (const row of rows) {
        last = number(row, 'id')
        const series = parseSeries(text(row, 'series_text'))
        const group = JSON.stringify(dimensionsOf(query).map((by) => groupValue(series, by)))
        const known = numbers.get(group) ?? mapped.push(series) - 1
        numbers.set(group, known)
        add.run(last, known)
      }
      if (rows.length < SERIES_AT_ONCE) return
    }
  }

  /** A series by its number, and what a report of this query calls it. */
  #seriesAt(id: number, query: UsageQuery): { readonly series: Series; readonly group: string } {
    if (this.#groupsOf !== query) {
      this.#groupsOf = query
      this.#groups.clear()
    }
    const known = this.#groups.get(id)
    if (known !== undefined) return known
    const row = this.#prepare(sql.SERIES).get(id)
    const series = this.#seriesOf(row ?? {})
    const group = JSON.stringify(dimensionsOf(query).map((by) => groupValue(series, by)))
    const found = { series, group }
    if (this.#groups.size >= SERIES_MAX) this.#groups.clear()
    this.#groups.set(id, found)
    return found
  }

  /** What there is, in whole buckets of its source. */
  #known(source: UsagePart['source']): Span | null {
    const row = this.#prepare(source === 'attempts' ? sql.KNOWN_ATTEMPTS : sql.KNOWN_HOURS).get()
    if (row === undefined || row['first_ms'] === null) return null
    const fromMs = number(row, 'first_ms')
    const toMs = number(row, 'last_ms') + HOUR_MS
    if (source !== 'rollup_day') return { fromMs, toMs }
    return { fromMs: dayStartMs(fromMs), toMs: dayStartMs(toMs + DAY_MS - 1) }
  }

  #seriesOf(row: SqlRow): Series {
    const { series_text: name, key, model, target } = row
    if (typeof name !== 'string')
      return {
        key: String(key ?? ''),
        model: String(model ?? ''),
        target: String(target ?? ''),
        tags: NO_TAGS,
      }
    const series = this.#series.get(name) ?? parseSeries(name)
    if (this.#series.size >= SERIES_MAX) this.#series.clear()
    this.#series.set(name, series)
    return series
  }

  #prepare(statement: string): SqlStatement {
    const known = this.#statements.get(statement) ?? this.#driver.prepare(statement)
    this.#statements.set(statement, known)
    return known
  }
}

const SERIES_MAX = 50_000
const SERIES_AT_ONCE = 1_000
const NO_TAGS = Object.freeze({})

const OF_HOUR_ROLLUP: ReadonlySet<UsageGroup> = new Set(['model', 'target', 'provider'])
const OF_DAY_ROLLUP: ReadonlySet<UsageGroup> = new Set(['key', 'model'])

/** Months are made of days; days that no table has sums of are made of hours, each of the day that it begins in. */
function bucketOfRows(query: UsageQuery): Exclude<UsageBucket, 'month'> | null {
  if (query.bucket === null) return null
  return query.bucket === 'hour' || !hasStoredDays(query) ? 'hour' : 'day'
}

/** The coarsest table that knows all groups. */
function sourceOf(query: UsageQuery): UsagePart['source'] {
  const dimensions = dimensionsOf(query)
  const bucket = bucketOfRows(query)
  if (dimensions.includes('user')) return 'attempts'
  if (dimensions.every((group) => OF_HOUR_ROLLUP.has(group))) return 'rollup_hour'
  if (bucket !== 'hour' && dimensions.every((group) => OF_DAY_ROLLUP.has(group))) return 'rollup_day'
  return 'usage_hour'
}

/** `hours`, ascending, are read from rows; `parts` are newest first. */
function withRows(parts: readonly UsagePart[], hours: readonly number[]): readonly UsagePart[] {
  const left = [...hours]
  return parts.flatMap((part) => {
    if (part.source === 'attempts') return [part]
    const cut: UsagePart[] = []
    let { toMs } = part
    for (let hourMs = left.at(-1); hourMs !== undefined && hourMs >= part.fromMs; hourMs = left.at(-1)) {
      left.pop()
      if (hourMs >= toMs) continue
      if (hourMs + HOUR_MS < toMs) cut.push({ ...part, fromMs: hourMs + HOUR_MS, toMs })
      cut.push({ source: 'attempts', fromMs: hourMs, toMs: hourMs + HOUR_MS })
      toMs = hourMs
    }
    return toMs > part.fromMs ? [...cut, { ...part, toMs }] : cut
  })
}

function partsOf(source: UsagePart['source'], span: Span): readonly UsagePart[] {
  if (source === 'attempts') return chunks(source, span)
  const hours = { fromMs: hourStartMs(span.fromMs + HOUR_MS - 1), toMs: hourStartMs(span.toMs) }
  if (hours.fromMs > hours.toMs) return [{ source: 'attempts', ...span }]
  const days = { fromMs: dayStartMs(hours.fromMs + DAY_MS - 1), toMs: dayStartMs(hours.toMs) }
  const isByDay = source === 'rollup_day' && days.fromMs < days.toMs
  const whole = isByDay ? days : hours
  const counters = source === 'rollup_day' ? 'usage_hour' : source
  return [
    ...chunks('attempts', { fromMs: hours.toMs, toMs: span.toMs }),
    ...(isByDay ? chunks(counters, { fromMs: days.toMs, toMs: hours.toMs }) : []),
    ...chunks(isByDay ? source : counters, whole),
    ...(isByDay ? chunks(counters, { fromMs: hours.fromMs, toMs: days.fromMs }) : []),
    ...chunks('attempts', { fromMs: span.fromMs, toMs: hours.fromMs }),
  ]
}

/** Parts end where a day of Shanghai or an hour does, newest first. */
function chunks(source: UsagePart['source'], { fromMs, toMs }: Span): UsagePart[] {
  const parts: UsagePart[] = []
  const lengthMs = PART_MS[source]
  const startOf = source === 'attempts' ? hourStartMs : dayStartMs
  let endMs = toMs
  while (endMs > fromMs) {
    const startMs = Math.max(fromMs, startOf(endMs - 1) - (lengthMs > DAY_MS ? lengthMs - DAY_MS : 0))
    parts.push({ source, fromMs: startMs, toMs: endMs })
    endMs = startMs
  }
  return parts
}

function statementOf({ source }: UsagePart, query: UsageQuery): string {
  const dimensions = dimensionsOf(query)
  const bucket = bucketOfRows(query)
  if (source === 'rollup_hour') return sql.ROLLUP_HOUR[bucket ?? 'all']
  if (source === 'usage_hour') return sql.USAGE_HOUR[bucket ?? 'all']
  const hasKey = dimensions.includes('key')
  const columns = hasKey && dimensions.includes('model') ? 'both' : hasKey ? 'key' : 'model'
  return sql.ROLLUP_DAY[columns][bucket === 'day' ? 'day' : 'all']
}
