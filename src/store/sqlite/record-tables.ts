// The counters of a file as a snapshot, and a snapshot as the counters of a file.

import type { UsageTotals } from '#core/ledger.ts'
import { BalanceSums } from '../balance-uses.ts'
import { parseAdjustment } from '../row-json.ts'
import type { AttemptCount } from '../shipment.ts'
import type { LedgerSnapshot } from '../snapshot.ts'
import { addInto, hourStartMs, listOfTotals, NO_TOTALS, type RunningTotals } from '../usage-report.ts'
import { AdjustmentTable } from './adjustments.ts'
import { countOfAdjustment } from './attempt-counts.ts'
import { type ClosedMonths, ownForm } from './closed-months.ts'
import { COUNTS, COUNTS_LIST, COUNTS_PLACES, COUNTS_READ } from './counter-columns.ts'
import type { SqlDriver } from './driver.ts'
import { parseEntry } from './entry-text.ts'
import type { EpochSpan } from './epochs.ts'
import { number, text, totalsOfCounter } from './row-checks.ts'
import { TextNumbers } from './text-numbers.ts'

type Sums = Map<number, Map<string, RunningTotals>>

export function readSnapshotTables(driver: SqlDriver): Omit<LedgerSnapshot, 'marks'> {
  const hours = new Map<number, Map<string, UsageTotals>>()
  const counters = driver.prepare(`SELECT u.hour_ms, s.text AS series_text, ${COUNTS_READ}
    FROM usage_hour AS u JOIN series AS s ON s.id = u.series`)
  for (const row of counters.all()) {
    const hourMs = number(row, 'hour_ms')
    const hour = hours.get(hourMs) ?? new Map<string, UsageTotals>()
    hours.set(hourMs, hour.set(text(row, 'series_text'), totalsOfCounter(row)))
  }
  const balances = driver.prepare('SELECT id, hour_ms, milli FROM balance_use').all()
  const adjustments = driver.prepare('SELECT text FROM adjustment').all()
  return {
    hours,
    balances: balances.map((row) => ({
      id: text(row, 'id'),
      hourMs: number(row, 'hour_ms'),
      milli: number(row, 'milli'),
    })),
    adjustments: adjustments.map((row) => parseAdjustment(text(row, 'text'))),
  }
}

/** What the rows of this instance's epochs behind their marks count. */
export function ownCounts(
  driver: SqlDriver,
  epochs: readonly EpochSpan[],
  markOf: (epoch: number) => number,
  months: ClosedMonths,
): readonly AttemptCount[] {
  const requests = driver.prepare(`SELECT sequence, id, time_ms, text FROM request
    WHERE sequence > ?1 - 64 AND sequence + rows - 1 > ?1 AND epoch = ?2`)
  const adjustments = driver.prepare('SELECT text FROM adjustment WHERE sequence > ? AND epoch = ?')
  return epochs.flatMap(({ epoch, base, end }) => {
    const mark = Math.max(base, markOf(epoch))
    if (mark >= end) return []
    const attempts = requests.all(mark, epoch).flatMap((row) => {
      const detail = parseEntry(text(row, 'id'), number(row, 'time_ms'), text(row, 'text'))
      return detail.attempts.flatMap((attempt, index) => {
        const sequence = number(row, 'sequence') + index
        return sequence > mark ? [ownForm(months, attempt, sequence).count] : []
      })
    })
    const rows = adjustments.all(mark, epoch).map((row) => parseAdjustment(text(row, 'text')))
    return [...attempts, ...rows.map(countOfAdjustment)]
  })
}

/** Inside a transaction, with nothing that waits to be counted. */
export function adoptSnapshot(
  driver: SqlDriver,
  snapshot: LedgerSnapshot,
  own: readonly AttemptCount[],
  others: readonly (readonly [session: string, sequence: number])[],
): void {
  for (const table of ['usage_hour', 'rollup_hour', 'rollup_day', 'balance_use', 'applied'])
    driver.exec(`DELETE FROM ${table}`)
  const series = new TextNumbers(driver, 'series')
  const add = driver.prepare(`INSERT INTO usage_hour (hour_ms, series, ${COUNTS_LIST})
    VALUES (?, ?, ${COUNTS_PLACES})`)
  const sums: Sums = new Map()
  const balances = new BalanceSums()
  for (const { startedAtMs, series: name, totals, balances: uses } of own) {
    addSum(sums, hourStartMs(startedAtMs), name, totals)
    for (const use of uses) balances.add(hourStartMs(startedAtMs), use)
  }
  for (const [hourMs, hour] of snapshot.hours)
    for (const [name, totals] of hour) addSum(sums, hourMs, name, totals)
  for (const [hourMs, hour] of sums)
    for (const [name, totals] of hour) add.run(hourMs, series.of(name), ...listOfTotals(totals))
  driver.exec(ROLL_UP)
  for (const use of snapshot.balances) balances.add(use.hourMs, use)
  const addUse = driver.prepare('INSERT INTO balance_use (id, hour_ms, milli) VALUES (?, ?, ?)')
  for (const { id, hourMs, milli } of balances.entries()) addUse.run(id, hourMs, milli)
  const adjustments = new AdjustmentTable(driver)
  for (const row of snapshot.adjustments) adjustments.insert(row, null)
  const apply = driver.prepare('INSERT INTO applied (instance, epoch, sequence) VALUES (?, ?, ?)')
  for (const [session, sequence] of others) {
    const colon = session.lastIndexOf(':')
    apply.run(session.slice(0, colon), Number(session.slice(colon + 1)), sequence)
  }
}

const SUMS = COUNTS.map((name) => `sum(${name})`).join(', ')
/** The coarse views of usage_hour, anew. */
const ROLL_UP = `
INSERT OR IGNORE INTO name (text) SELECT json_extract(text, '$[0]') FROM series UNION SELECT json_extract(text, '$[1]')
  FROM series UNION SELECT json_extract(text, '$[2]') FROM series;
INSERT INTO rollup_hour (hour_ms, model, target, ${COUNTS_LIST}) SELECT u.hour_ms, m.id, t.id, ${SUMS}
  FROM usage_hour AS u JOIN series AS s ON s.id = u.series
  JOIN name AS m ON m.text = json_extract(s.text, '$[1]') JOIN name AS t ON t.text = json_extract(s.text, '$[2]')
  GROUP BY u.hour_ms, m.id, t.id;
INSERT INTO rollup_day (day_ms, key, model, ${COUNTS_LIST})
  SELECT (u.hour_ms + 28800000) / 86400000 * 86400000 - 28800000 AS day_ms, k.id, m.id, ${SUMS}
  FROM usage_hour AS u JOIN series AS s ON s.id = u.series
  JOIN name AS k ON k.text = json_extract(s.text, '$[0]') JOIN name AS m ON m.text = json_extract(s.text, '$[1]')
  GROUP BY 1, k.id, m.id;`

function addSum(sums: Sums, hourMs: number, series: string, totals: UsageTotals): void {
  const hour = sums.get(hourMs) ?? new Map<string, RunningTotals>()
  if (hour.size === 0) sums.set(hourMs, hour)
  const sum = hour.get(series) ?? { ...NO_TOTALS }
  addInto(sum, totals)
  hour.set(series, sum)
}
