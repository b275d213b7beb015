// Counters of ended attempts, gathered in memory and added to the tables about once a second: by hour and series, by
// hour × model × target, and by day × key × model. `counted_number` in the same transaction says up to which group of
// attempts they go, so that a crash never parts them from the rows.

import type { UsageTotals } from '#core/ledger.ts'
import { addTotals, dayStartMs, listOfTotals, parseSeries } from '../usage-report.ts'
import { type CountedGroup, counterName, GROUP_COLUMNS, totalsOfGroup } from './attempt-counts.ts'
import { COUNTS_ADDED, COUNTS_LIST, COUNTS_PLACES } from './counter-columns.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { number, text } from './row-checks.ts'
import { TextNumbers } from './text-numbers.ts'

/** Series whose names are kept at hand. */
const CACHED_MAX = 20_000
const GROUPS_AT_ONCE = 1_000

interface Counter {
  readonly hourMs: number
  readonly series: number
  readonly seriesText: string
  totals: UsageTotals
}

/** What rollups call a series. */
interface SeriesNames {
  readonly key: number
  readonly model: number
  readonly target: number
}

/** A sum under two numbers and an instant. */
interface Sum {
  readonly atMs: number
  readonly first: number
  readonly second: number
  totals: UsageTotals
}

export class Rollups {
  readonly #driver: SqlDriver
  readonly #names: TextNumbers
  readonly #addSeries: SqlStatement
  readonly #addHour: SqlStatement
  readonly #addDay: SqlStatement
  readonly #setCounted: SqlStatement
  readonly #namesOf = new Map<number, SeriesNames>()
  #pending = new Map<number, Counter>()
  /** Of the newest group that is pending or written. */
  #number: number
  #writtenNumber: number

  /** Takes up what a crash left uncounted. */
  constructor(driver: SqlDriver) {
    this.#driver = driver
    this.#names = new TextNumbers(driver, 'name')
    this.#addSeries = driver.prepare(ADD_SERIES)
    this.#addHour = driver.prepare(ADD_HOUR)
    this.#addDay = driver.prepare(ADD_DAY)
    this.#setCounted = driver.prepare(`INSERT INTO meta (name, value) VALUES ('counted_number', ?)
      ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
    this.#writtenNumber = countedNumber(driver)
    this.#number = this.#writtenNumber
    this.#takeUncounted()
  }

  /** Groups of attempts up to this one are in the tables' counters. */
  get writtenNumber(): number {
    return this.#writtenNumber
  }

  get isPending(): boolean {
    return this.#number !== this.#writtenNumber
  }

  /** Groups that were just written, the newest of which has this number. */
  add(groups: readonly CountedGroup[], lastNumber: number): void {
    for (const group of groups) this.#add(group)
    this.#number = lastNumber
  }

  /** @throws when the tables cannot be written; then all of it stays pending */
  write(): void {
    if (!this.isPending) return
    const hours = new Map<string, Sum>()
    const days = new Map<string, Sum>()
    try {
      this.#driver.transaction(() => {
        for (const { hourMs, series, seriesText: name, totals } of this.#pending.values()) {
          this.#addSeries.run(hourMs, series, ...listOfTotals(totals))
          const { key, model, target } = this.#seriesNames(series, name)
          addTo(hours, hourMs, model, target, totals)
          addTo(days, dayStartMs(hourMs), key, model, totals)
        }
        for (const sum of hours.values()) this.#addHour.run(...valuesOf(sum))
        for (const sum of days.values()) this.#addDay.run(...valuesOf(sum))
        this.#setCounted.run(String(this.#number))
      })
    } catch (error) {
      this.#names.forget()
      this.#namesOf.clear()
      throw error
    }
    this.#pending = new Map()
    this.#writtenNumber = this.#number
  }

  #add({ hourMs, series, seriesText: name, totals }: CountedGroup): void {
    const at = counterName(hourMs, series)
    const counter = this.#pending.get(at)
    if (counter === undefined) this.#pending.set(at, { hourMs, series, seriesText: name, totals })
    else counter.totals = addTotals(counter.totals, totals)
  }

  #seriesNames(series: number, name: string): SeriesNames {
    const known = this.#namesOf.get(series)
    if (known !== undefined) return known
    const { key, model, target } = parseSeries(name)
    const names = {
      key: this.#names.of(key),
      model: this.#names.of(model),
      target: this.#names.of(target),
    }
    if (this.#namesOf.size >= CACHED_MAX) this.#namesOf.clear()
    this.#namesOf.set(series, names)
    return names
  }

  #takeUncounted(): void {
    const select =
      this.#driver.prepare(`SELECT a.number, a.hour_ms, a.series, ${GROUP_COLUMNS}, s.text AS series_text
      FROM attempt_group AS a JOIN series AS s ON s.id = a.series WHERE a.number > ? ORDER BY a.number LIMIT ?`)
    for (;;) {
      const rows = select.all(this.#number, GROUPS_AT_ONCE)
      for (const row of rows) {
        const hourMs = number(row, 'hour_ms')
        const totals = totalsOfGroup(row)
        this.#add({ hourMs, series: number(row, 'series'), seriesText: text(row, 'series_text'), totals })
        this.#number = number(row, 'number')
      }
      if (rows.length < GROUPS_AT_ONCE) return
    }
  }
}

export function countedNumber(driver: SqlDriver): number {
  const row = driver
    .prepare("SELECT CAST(value AS INTEGER) AS value FROM meta WHERE name = 'counted_number'")
    .get()
  return row === undefined ? 0 : number(row, 'value')
}

function addTo(
  sums: Map<string, Sum>,
  atMs: number,
  first: number,
  second: number,
  totals: UsageTotals,
): void {
  const name = `${atMs} ${first} ${second}`
  const sum = sums.get(name)
  if (sum === undefined) sums.set(name, { atMs, first, second, totals })
  else sum.totals = addTotals(sum.totals, totals)
}

function valuesOf({ atMs, first, second, totals }: Sum): (number | bigint)[] {
  return [atMs, first, second, ...listOfTotals(totals)]
}

const addCounts = (table: string, by: string): string =>
  `INSERT INTO ${table} (${by}, ${COUNTS_LIST}) VALUES (${by.replace(/\w+/g, '?')}, ${COUNTS_PLACES})
  ON CONFLICT (${by}) DO UPDATE SET ${COUNTS_ADDED}`
const ADD_SERIES = addCounts('usage_hour', 'hour_ms, series')
const ADD_HOUR = addCounts('rollup_hour', 'hour_ms, model, target')
const ADD_DAY = addCounts('rollup_day', 'day_ms, key, model')
