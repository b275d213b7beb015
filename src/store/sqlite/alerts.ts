// Alerts that were told, in the file of the instance.

import type { AlertBook, KeptAlert } from '#core/alerts.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import { alertText, parseAlert } from '../alert-text.ts'
import { decodeCursor, encodeCursor, positionId, positionOf, positionTimeMs } from '../cursor.ts'
import type { SqlDriver, SqlRow } from './driver.ts'
import type { Migration } from './migrations.ts'
import { number, text } from './row-checks.ts'

export const ALERT_MIGRATION: Migration = {
  number: 16,
  sql: `
-- Alerts of budgets, each told once. text: the alert as JSON, amounts as text; delivered_at_ms: when the webhook took it.
CREATE TABLE alert (
  id TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  delivered_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_time ON alert (at_ms, id);
`,
}

const COLUMNS = 'id, at_ms, text, delivered_at_ms'

export function createAlertBook(driver: SqlDriver): AlertBook {
  const insert = driver.prepare('INSERT INTO alert (id, at_ms, text) VALUES (?,?,?) ON CONFLICT DO NOTHING')
  const before = driver.prepare(`SELECT ${COLUMNS} FROM alert WHERE (at_ms, id) < (?, ?)
    ORDER BY at_ms DESC, id DESC LIMIT ?`)
  const waiting = driver.prepare(`SELECT ${COLUMNS} FROM alert WHERE delivered_at_ms IS NULL AND at_ms >= ?
    ORDER BY at_ms, id LIMIT ?`)
  const deliver = driver.prepare('UPDATE alert SET delivered_at_ms = ? WHERE id = ?')
  const forget = driver.prepare('DELETE FROM alert WHERE at_ms < ?')
  return {
    list(limit, cursor) {
      const rowsMax = Math.min(limit, PAGE_ROWS_MAX)
      const position = cursor === null ? null : decodeCursor(cursor)
      const beforeMs = position === null ? Number.MAX_SAFE_INTEGER : positionTimeMs(position)
      const found = before.all(beforeMs, position === null ? '' : positionId(position), rowsMax + 1)
      const rows = found.slice(0, rowsMax).map(alertOf)
      const last = found.length > rowsMax ? rows.at(-1) : undefined
      return { rows, nextCursor: last === undefined ? null : encodeCursor(positionOf(last.atMs, last.id)) }
    },
    add: (alert) => Number(insert.run(alert.id, alert.atMs, alertText(alert)).changes) > 0,
    undelivered: (sinceMs, rowsMax) => waiting.all(sinceMs, rowsMax).map(alertOf),
    delivered: (id, atMs) => void deliver.run(atMs, id),
    prune: (beforeMs) => void forget.run(beforeMs),
  }
}

function alertOf(row: SqlRow): KeptAlert {
  const deliveredAtMs = row['delivered_at_ms'] === null ? null : number(row, 'delivered_at_ms')
  return { ...parseAlert(text(row, 'text')), deliveredAtMs }
}
