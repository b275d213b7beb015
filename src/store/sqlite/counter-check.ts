// Counters compared with the rows that they count, and made anew from them where they differ. Rows are right, always.

import type { ReportProgress, UsageTotals } from '#core/ledger.ts'
import {
  addTotals,
  DAY_MS,
  dayStartMs,
  HOUR_MS,
  hourStartMs,
  listOfTotals,
  parseSeries,
} from '../usage-report.ts'
import { GROUP_COLUMNS, totalsOfGroup } from './attempt-counts.ts'
import { COUNTS, COUNTS_PLACES, COUNTS_READ } from './counter-columns.ts'
import type { SqlDriver, SqlRow } from './driver.ts'
import { countedNumber } from './rollups.ts'
import { number, text, totalsOfCounter } from './row-checks.ts'
import { TextNumbers } from './text-numbers.ts'

export interface CheckJob {
  /** Rows of hours before this may be deleted: what counted them is not looked at. */
  readonly fromMs: number
}

/** Where counters do not say what the rows say, by the start of the hour or day. */
export interface CounterDrift {
  readonly hoursMs: readonly number[]
  readonly daysMs: readonly number[]
}

/** Sums by a name that tells all they are grouped by. */
type Sums = Map<string, UsageTotals>

/** Reads all rows since `fromMs`, on a connection of its own. */
export function checkCounters(driver: SqlDriver, job: CheckJob, onProgress: ReportProgress): CounterDrift {
  const known = driver
    .prepare(`SELECT min(first_ms) AS first_ms, max(last_ms) AS last_ms FROM (
      SELECT min(hour_ms) AS first_ms, max(hour_ms) AS last_ms FROM attempt_group UNION ALL
      SELECT min(hour_ms), max(hour_ms) FROM usage_hour)`)
    .get()
  if (known === undefined || known['first_ms'] === null) return { hoursMs: [], daysMs: [] }
  const firstMs = Math.max(hourStartMs(job.fromMs + HOUR_MS - 1), number(known, 'first_ms'))
  const lastMs = number(known, 'last_ms')
  const hoursMs: number[] = []
  const daysMs: number[] = []
  for (let dayMs = dayStartMs(firstMs); dayMs <= lastMs; dayMs += DAY_MS) {
    driver.exec('BEGIN')
    const ofDay: Sums = new Map()
    for (
      let hourMs = Math.max(dayMs, firstMs);
      hourMs < dayMs + DAY_MS && hourMs <= lastMs;
      hourMs += HOUR_MS
    ) {
      const found = sumsOfHour(driver, hourMs)
      if (!isSame(found.rows, found.series) || !isSame(found.byTarget, found.rollup)) hoursMs.push(hourMs)
      for (const [name, totals] of found.byKey) addTo(ofDay, name, totals)
    }
    // A day that may lack rows cannot be compared.
    if (dayMs >= job.fromMs && !isSame(ofDay, rollupOfDay(driver, dayMs))) daysMs.push(dayMs)
    driver.exec('COMMIT')
    onProgress((dayMs - firstMs) / Math.max(1, lastMs - firstMs))
  }
  return { hoursMs, daysMs }
}

/** The counters of one hour, anew. Keeps its thread for as long as reading the rows of an hour takes. */
export function rebuildHour(driver: SqlDriver, hourMs: number): void {
  driver.transaction(() => {
    const names = new TextNumbers(driver, 'name')
    const series = new TextNumbers(driver, 'series')
    const { rows, byTarget } = sumsOfHour(driver, hourMs)
    driver.prepare('DELETE FROM usage_hour WHERE hour_ms = ?').run(hourMs)
    driver.prepare('DELETE FROM rollup_hour WHERE hour_ms = ?').run(hourMs)
    const addSeries = driver.prepare(`INSERT INTO usage_hour VALUES (?, ?, ${COUNTS_PLACES})`)
    for (const [name, totals] of rows) addSeries.run(hourMs, series.of(name), ...listOfTotals(totals))
    const addHour = driver.prepare(`INSERT INTO rollup_hour VALUES (?, ?, ?, ${COUNTS_PLACES})`)
    for (const [name, totals] of byTarget) {
      const [model = '', target = ''] = JSON.parse(name) as string[]
      addHour.run(hourMs, names.of(model), names.of(target), ...listOfTotals(totals))
    }
  })
}

/** The counters of one day, anew from those of its hours. */
export function rebuildDay(driver: SqlDriver, dayMs: number): void {
  driver.transaction(() => {
    driver.prepare('DELETE FROM rollup_day WHERE day_ms = ?').run(dayMs)
    driver
      .prepare(`INSERT INTO rollup_day SELECT ?, k.id, m.id, ${COUNTS.map((name) => `sum(${name})`).join(', ')} FROM usage_hour AS u JOIN series AS s ON s.id = u.series
        JOIN name AS k ON k.text = json_extract(s.text, '$[0]')
        JOIN name AS m ON m.text = json_extract(s.text, '$[1]')
        WHERE u.hour_ms >= ? AND u.hour_ms < ? GROUP BY k.id, m.id`)
      .run(dayMs, dayMs, dayMs + DAY_MS)
  })
}

interface HourSums {
  /** By series: of the rows, and as counted. */
  readonly rows: Sums
  readonly series: Sums
  /** By model and target: of the rows, and as counted. */
  readonly byTarget: Sums
  readonly rollup: Sums
  /** By key and model, of the rows. */
  readonly byKey: Sums
}

function sumsOfHour(driver: SqlDriver, hourMs: number): HourSums {
  const rows: Sums = new Map()
  const byTarget: Sums = new Map()
  const byKey: Sums = new Map()
  const groups = driver
    .prepare(`SELECT s.text AS series_text, ${GROUP_COLUMNS} FROM attempt_group AS a JOIN series AS s ON s.id = a.series
      WHERE a.hour_ms = ? AND a.number <= ?`)
    .all(hourMs, countedNumber(driver))
  for (const row of groups) {
    addTo(rows, text(row, 'series_text'), totalsOfGroup(row))
  }
  for (const [name, totals] of rows) {
    const { key, model, target } = parseSeries(name)
    addTo(byTarget, JSON.stringify([model, target]), totals)
    addTo(byKey, JSON.stringify([key, model]), totals)
  }
  const series = counters(
    driver.prepare(`SELECT s.text AS series_text, ${COUNTS_READ}
      FROM usage_hour AS u JOIN series AS s ON s.id = u.series WHERE u.hour_ms = ?`),
    hourMs,
  )
  const rollup = counters(
    driver.prepare(`SELECT m.text AS first, t.text AS second, ${COUNTS_READ}
      FROM rollup_hour AS u JOIN name AS m ON m.id = u.model JOIN name AS t ON t.id = u.target
      WHERE u.hour_ms = ?`),
    hourMs,
  )
  return { rows, series, byTarget, rollup, byKey }
}

function rollupOfDay(driver: SqlDriver, dayMs: number): Sums {
  return counters(
    driver.prepare(`SELECT k.text AS first, m.text AS second, ${COUNTS_READ}
      FROM rollup_day AS u JOIN name AS k ON k.id = u.key JOIN name AS m ON m.id = u.model WHERE u.day_ms = ?`),
    dayMs,
  )
}

function counters(statement: { all(atMs: number): SqlRow[] }, atMs: number): Sums {
  return new Map(statement.all(atMs).map((row) => [nameOf(row), totalsOfCounter(row)]))
}

function nameOf(row: SqlRow): string {
  const { series_text: series } = row
  return typeof series === 'string' ? series : JSON.stringify([row['first'], row['second']])
}

function addTo(sums: Sums, name: string, totals: UsageTotals): void {
  const sum = sums.get(name)
  sums.set(name, sum === undefined ? totals : addTotals(sum, totals))
}

function isSame(left: Sums, right: Sums): boolean {
  if (left.size !== right.size) return false
  for (const [name, totals] of left) {
    const other = right.get(name)
    if (other === undefined || listOfTotals(totals).join() !== listOfTotals(other).join()) return false
  }
  return true
}
