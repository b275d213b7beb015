// Adjustments in the file: written once by id, listed newest first, never pruned. What they count moves in the same
// transaction, like that of attempts.

import {
  type AdjustmentFilter,
  type AdjustmentPage,
  type AdjustmentQuery,
  type AdjustmentRow,
  EVERY_ADJUSTMENT,
  showsAdjustment,
} from '#core/adjustments.ts'
import { FILTERED_ROWS_MAX, PAGE_ROWS_MAX } from '#core/limits.ts'
import { decodeCursor, encodeCursor, positionId, positionOf, positionTimeMs } from '../cursor.ts'
import { adjustmentText, parseAdjustment } from '../row-json.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import type { Migration } from './migrations.ts'
import { number, text } from './row-checks.ts'

export const ADJUSTMENT_MIGRATION: Migration = {
  number: 13,
  sql: `
-- Corrections of booked money. text: the whole row as JSON. The last three are for the shipper, NULL where there is none.
CREATE TABLE adjustment (
  id TEXT PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  request TEXT,
  text TEXT NOT NULL,
  epoch INTEGER,
  sequence INTEGER,
  written_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX adjustment_time ON adjustment (time_ms, id);
CREATE INDEX adjustment_request ON adjustment (request) WHERE request IS NOT NULL;
CREATE INDEX adjustment_sequence ON adjustment (sequence) WHERE sequence IS NOT NULL;

-- What they come to, signed, beside the cost of attempts.
ALTER TABLE usage_hour ADD COLUMN adjustment_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup_hour ADD COLUMN adjustment_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup_day ADD COLUMN adjustment_nano INTEGER NOT NULL DEFAULT 0;
`,
}

/** The place of a row in the order in which an instance's rows are shipped. */
export interface ShippedPlace {
  readonly epoch: number
  readonly sequence: number
  readonly writtenAtMs: number
}

export class AdjustmentTable {
  readonly #insert: SqlStatement
  readonly #before: SqlStatement
  readonly #ofRequest: SqlStatement
  readonly #waiting: SqlStatement
  readonly #late: SqlStatement
  readonly #replace: SqlStatement

  constructor(driver: SqlDriver) {
    this.#insert =
      driver.prepare(`INSERT INTO adjustment (id, time_ms, request, text, epoch, sequence, written_at_ms)
      VALUES (?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`)
    this.#before = driver.prepare(`SELECT id, time_ms, text FROM adjustment WHERE (time_ms, id) < (?, ?)
      ORDER BY time_ms DESC, id DESC LIMIT ?`)
    this.#ofRequest = driver.prepare('SELECT text FROM adjustment WHERE request = ? ORDER BY time_ms, id')
    this.#late = driver.prepare("SELECT text FROM adjustment WHERE id >= 'late:' AND id < 'late;'")
    this.#waiting = driver.prepare(`SELECT sequence, text FROM adjustment
      WHERE sequence > ? AND json_extract(text, '$.bookedAtMs') < ? ORDER BY sequence`)
    this.#replace = driver.prepare('UPDATE adjustment SET text = ? WHERE id = ?')
  }

  /** The money of late attempts. */
  late(): readonly AdjustmentRow[] {
    return this.#late
      .all()
      .map((row) => parseAdjustment(text(row, 'text')))
      .filter(({ reason }) => reason === 'late')
  }

  /** Own ones behind a sequence that are booked before an instant. */
  waiting(
    afterSequence: number,
    beforeMs: number,
  ): readonly { readonly row: AdjustmentRow; readonly sequence: number }[] {
    return this.#waiting.all(afterSequence, beforeMs).map((found) => ({
      row: parseAdjustment(text(found, 'text')),
      sequence: number(found, 'sequence'),
    }))
  }

  /** Another text for one that nobody else has yet. */
  replace(row: AdjustmentRow): void {
    this.#replace.run(adjustmentText(row), row.id)
  }

  /** False: its id is there already. */
  insert(row: AdjustmentRow, shipment: ShippedPlace | null): boolean {
    const { epoch = null, sequence = null, writtenAtMs = null } = shipment ?? {}
    const { id, timeMs, requestId } = row
    const { changes } = this.#insert.run(
      id,
      timeMs,
      requestId,
      adjustmentText(row),
      epoch,
      sequence,
      writtenAtMs,
    )
    return Number(changes) > 0
  }

  /** Oldest first. */
  ofRequest(id: string): readonly AdjustmentRow[] {
    return this.#ofRequest.all(id).map((row) => parseAdjustment(text(row, 'text')))
  }

  /** @throws RangeError */
  page({ limit, cursor, filter = EVERY_ADJUSTMENT }: AdjustmentQuery): AdjustmentPage {
    const rowsMax = Math.min(limit, PAGE_ROWS_MAX)
    if (filter.requestId !== null) return pageOfRequest(this.ofRequest(filter.requestId), filter, rowsMax)
    let before = cursor === null ? null : decodeCursor(cursor)
    const rows: AdjustmentRow[] = []
    for (let looked = 0; looked < FILTERED_ROWS_MAX; looked += PAGE_ROWS_MAX) {
      const found = this.#before.all(
        before === null ? Number.MAX_SAFE_INTEGER : positionTimeMs(before),
        before === null ? '' : positionId(before),
        PAGE_ROWS_MAX,
      )
      for (const each of found) {
        const row = parseAdjustment(text(each, 'text'))
        if (!showsAdjustment(row, filter)) continue
        if (rows.length === rowsMax) return { rows, nextCursor: cursorAfter(rows) }
        rows.push(row)
      }
      const last = found.at(-1)
      if (found.length < PAGE_ROWS_MAX || last === undefined) return { rows, nextCursor: null }
      before = positionOf(Number(last['time_ms']), text(last, 'id'))
    }
    return { rows, nextCursor: before === null ? null : encodeCursor(before) }
  }
}

function cursorAfter(rows: readonly AdjustmentRow[]): string | null {
  const last = rows.at(-1)
  return last === undefined ? null : encodeCursor(positionOf(last.timeMs, last.id))
}

/** One request has few: they are one page. */
function pageOfRequest(
  rows: readonly AdjustmentRow[],
  filter: AdjustmentFilter,
  rowsMax: number,
): AdjustmentPage {
  const shown = rows.filter((row) => showsAdjustment(row, filter)).toReversed()
  return { rows: shown.slice(0, rowsMax), nextCursor: null }
}
