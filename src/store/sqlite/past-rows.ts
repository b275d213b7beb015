// Past requests of a file in the order of their time, some at a time, each page by a statement of its own: no snapshot is
// held while they are worked on.

import type { AdjustmentRow } from '#core/adjustments.ts'
import type { RequestDetail } from '#core/ledger.ts'
import { AdjustmentTable } from './adjustments.ts'
import type { SqlDriver } from './driver.ts'
import { parseEntry } from './entry-text.ts'
import { number, text } from './row-checks.ts'

const ROWS_AT_ONCE = 500

export interface PastRow extends RequestDetail {
  readonly adjustments: readonly AdjustmentRow[]
}

/** Rows of hours before this instant may have been deleted; 0: none have. */
export function rowsFrom(driver: SqlDriver): number {
  const row = driver
    .prepare("SELECT CAST(value AS INTEGER) AS value FROM meta WHERE name = 'rows_from_ms'")
    .get()
  return row === undefined ? 0 : number(row, 'value')
}

/** `fromMs` and `toMs`: half-open, of the request's own time. */
export function* pastRows(driver: SqlDriver, fromMs: number, toMs: number): Generator<PastRow> {
  const page =
    driver.prepare(`SELECT id, time_ms, text FROM request WHERE (time_ms, id) > (?, ?) AND time_ms < ?
    ORDER BY time_ms, id LIMIT ?`)
  const adjustments = new AdjustmentTable(driver)
  let [lastMs, lastId] = [fromMs - 1, '\u{10ffff}']
  for (;;) {
    const rows = page.all(lastMs, lastId, toMs, ROWS_AT_ONCE)
    for (const row of rows) {
      lastMs = number(row, 'time_ms')
      lastId = text(row, 'id')
      yield { ...parseEntry(lastId, lastMs, text(row, 'text')), adjustments: adjustments.ofRequest(lastId) }
    }
    if (rows.length < ROWS_AT_ONCE) return
  }
}
