// Adjustments in Redis: the newest of them, by their time and by the request that they correct. apply-12.lua writes them.

import {
  type AdjustmentPage,
  type AdjustmentQuery,
  type AdjustmentRow,
  EVERY_ADJUSTMENT,
  showsAdjustment,
} from '#core/adjustments.ts'
import { FILTERED_ROWS_MAX, PAGE_ROWS_MAX } from '#core/limits.ts'
import { decodeCursor, encodeCursor, positionId, positionOf } from '../cursor.ts'
import { parseAdjustment } from '../row-json.ts'
import type { RedisConnection } from './connection.ts'
import { KEYS } from './keys.ts'

/** What the script takes of one: its request, tab, and its place in the listing. */
export function placeOf({ requestId, timeMs, id }: AdjustmentRow): string {
  return `${requestId ?? ''}\t${positionOf(timeMs, id)}`
}

/** @throws RangeError, StoreUnavailableError */
export async function readAdjustments(
  connection: RedisConnection,
  { limit, cursor, filter = EVERY_ADJUSTMENT }: AdjustmentQuery,
): Promise<AdjustmentPage> {
  const rowsMax = Math.min(limit, PAGE_ROWS_MAX)
  const prefix = filter.requestId === null ? 't:' : `r:${filter.requestId}\t`
  let before = cursor === null ? null : decodeCursor(cursor)
  const rows: AdjustmentRow[] = []
  for (let looked = 0; looked < FILTERED_ROWS_MAX; looked += PAGE_ROWS_MAX) {
    // Positions are digits and a colon first, so that no position is above this.
    const end = before === null ? `(${prefix}~` : `(${prefix}${before}`
    const found = await connection.run((redis) =>
      redis.zrevrangebylex(KEYS.adjustmentIndex, end, `[${prefix}`, 'LIMIT', 0, PAGE_ROWS_MAX),
    )
    const positions = found.map((member) => member.slice(prefix.length))
    const texts =
      positions.length === 0
        ? []
        : await connection.run((redis) => redis.hmget(KEYS.adjustments, ...positions.map(positionId)))
    for (const text of texts) {
      if (text === null) continue
      const row = parseAdjustment(text)
      if (!showsAdjustment(row, filter)) continue
      if (rows.length === rowsMax) return { rows, nextCursor: cursorAfter(rows) }
      rows.push(row)
    }
    before = positions.at(-1) ?? null
    if (found.length < PAGE_ROWS_MAX || before === null) return { rows, nextCursor: null }
  }
  return { rows, nextCursor: before === null ? null : encodeCursor(before) }
}

function cursorAfter(rows: readonly AdjustmentRow[]): string | null {
  const last = rows.at(-1)
  return last === undefined ? null : encodeCursor(positionOf(last.timeMs, last.id))
}
