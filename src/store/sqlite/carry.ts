// Counters of a whole ledger read from a file, or written there in place of what its rows make: for moving between stores,
// while no gateway runs.

import type { UsageTotals } from '#core/ledger.ts'
import type { CarriedBalance, CarriedHour } from '../carried.ts'
import { addTotals, dayStartMs, HOUR_MS, listOfTotals, NO_TOTALS, parseSeries } from '../usage-report.ts'
import { rebuildDay } from './counter-check.ts'
import { COUNTS_PLACES, COUNTS_READ } from './counter-columns.ts'
import type { SqlDriver } from './driver.ts'
import { number, text, totalsOfCounter } from './row-checks.ts'
import { TextNumbers } from './text-numbers.ts'

/** Oldest first. */
export function* readHours(driver: SqlDriver): Generator<CarriedHour> {
  const hours = driver.prepare('SELECT DISTINCT hour_ms FROM usage_hour ORDER BY hour_ms').all()
  const select = driver.prepare(`SELECT s.text AS series_text, ${COUNTS_READ} FROM usage_hour AS u
    JOIN series AS s ON s.id = u.series WHERE u.hour_ms = ?`)
  for (const hour of hours) {
    const hourMs = number(hour, 'hour_ms')
    const rows = select.all(hourMs)
    yield { hourMs, sums: new Map(rows.map((row) => [text(row, 'series_text'), totalsOfCounter(row)])) }
  }
}

export function readBalanceUses(driver: SqlDriver): readonly CarriedBalance[] {
  return driver
    .prepare('SELECT id, hour_ms, milli FROM balance_use ORDER BY id, hour_ms')
    .all()
    .map((row) => ({ id: text(row, 'id'), hourMs: number(row, 'hour_ms'), milli: number(row, 'milli') }))
}

/** Counters of hours instead of those that are there; which rows may be compared with them is kept. */
export function writeHours(driver: SqlDriver, hours: readonly CarriedHour[]): void {
  const own = new Map([...readHours(driver)].map(({ hourMs, sums }) => [hourMs, sums]))
  driver.transaction(() => {
    const names = new TextNumbers(driver, 'name')
    const series = new TextNumbers(driver, 'series')
    const deleteSeries = driver.prepare('DELETE FROM usage_hour WHERE hour_ms = ?')
    const deleteHour = driver.prepare('DELETE FROM rollup_hour WHERE hour_ms = ?')
    const addSeries = driver.prepare(`INSERT INTO usage_hour VALUES (?, ?, ${COUNTS_PLACES})`)
    const addHour = driver.prepare(`INSERT INTO rollup_hour VALUES (?, ?, ?, ${COUNTS_PLACES})`)
    let rowsFromMs = 0
    for (const { hourMs, sums } of hours) {
      if (isSame(sums, own.get(hourMs))) continue
      rowsFromMs = Math.max(rowsFromMs, hourMs + HOUR_MS)
      deleteSeries.run(hourMs)
      deleteHour.run(hourMs)
      const byTarget = new Map<string, UsageTotals>()
      for (const [name, totals] of sums) {
        addSeries.run(hourMs, series.of(name), ...listOfTotals(totals))
        const { key, model, target } = parseSeries(name)
        names.of(key)
        const both = JSON.stringify([model, target])
        byTarget.set(both, addTotals(byTarget.get(both) ?? NO_TOTALS, totals))
      }
      for (const [both, totals] of byTarget) {
        const [model = '', target = ''] = JSON.parse(both) as string[]
        addHour.run(hourMs, names.of(model), names.of(target), ...listOfTotals(totals))
      }
    }
    driver
      .prepare(`INSERT INTO meta (name, value) VALUES ('rows_from_ms', ?) ON CONFLICT (name) DO UPDATE SET
        value = excluded.value WHERE CAST(value AS INTEGER) < CAST(excluded.value AS INTEGER)`)
      .run(String(rowsFromMs))
  })
  for (const dayMs of new Set(hours.map(({ hourMs }) => dayStartMs(hourMs)))) rebuildDay(driver, dayMs)
}

export function writeBalanceUses(driver: SqlDriver, uses: readonly CarriedBalance[]): void {
  driver.transaction(() => {
    const set = driver.prepare(`INSERT INTO balance_use (id, hour_ms, milli) VALUES (?, ?, ?)
      ON CONFLICT (id, hour_ms) DO UPDATE SET milli = excluded.milli`)
    for (const { id, hourMs, milli } of uses) set.run(id, hourMs, milli)
  })
}

function isSame(sums: CarriedHour['sums'], own: CarriedHour['sums'] | undefined): boolean {
  if (own === undefined || own.size !== sums.size) return false
  for (const [name, totals] of sums) {
    const other = own.get(name)
    if (other === undefined || listOfTotals(other).join() !== listOfTotals(totals).join()) return false
  }
  return true
}
