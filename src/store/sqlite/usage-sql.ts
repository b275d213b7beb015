// The statements of usage reports. Each counter table is asked for a range of its time, the lower end included.

import { GROUP_COLUMNS } from './attempt-counts.ts'
import { COUNTS_SUMMED as SUMS } from './counter-columns.ts'

// Sums are made before names are looked up: one look for each row of the answer. 8 h before UTC midnight starts a day in
// Shanghai; any hour of the day stands for it.
const hourly = (bucket: string): string => `SELECT m.text AS model, t.text AS target, g.* FROM (
  SELECT u.model AS model_id, u.target AS target_id, min(u.hour_ms) AS time_ms, ${SUMS} FROM rollup_hour AS u
  WHERE u.hour_ms >= ? AND u.hour_ms < ? GROUP BY ${bucket} u.model, u.target) AS g
  JOIN name AS m ON m.id = g.model_id JOIN name AS t ON t.id = g.target_id`
const DAY_OF = '(u.hour_ms + 28800000) / 86400000,'

export const ROLLUP_HOUR = { hour: hourly('u.hour_ms,'), day: hourly(DAY_OF), all: hourly('') } as const

const withKey = (bucket: string): string =>
  `SELECT k.text AS key, g.* FROM (SELECT u.key AS key_id, min(u.day_ms) AS time_ms, ${SUMS} FROM rollup_day AS u
  WHERE u.day_ms >= ? AND u.day_ms < ? GROUP BY ${bucket} u.key) AS g JOIN name AS k ON k.id = g.key_id`
const withModel = (bucket: string): string =>
  `SELECT m.text AS model, g.* FROM (SELECT u.model AS model_id, min(u.day_ms) AS time_ms, ${SUMS}
  FROM rollup_day AS u WHERE u.day_ms >= ? AND u.day_ms < ? GROUP BY ${bucket} u.model) AS g
  JOIN name AS m ON m.id = g.model_id`
const withBoth = (bucket: string): string => `SELECT k.text AS key, m.text AS model, g.* FROM (
  SELECT u.key AS key_id, u.model AS model_id, min(u.day_ms) AS time_ms, ${SUMS} FROM rollup_day AS u
  WHERE u.day_ms >= ? AND u.day_ms < ? GROUP BY ${bucket} u.key, u.model) AS g
  JOIN name AS k ON k.id = g.key_id JOIN name AS m ON m.id = g.model_id`

export const ROLLUP_DAY = {
  key: { day: withKey('u.day_ms,'), all: withKey('') },
  model: { day: withModel('u.day_ms,'), all: withModel('') },
  both: { day: withBoth('u.day_ms,'), all: withBoth('') },
} as const

const bySeries = (bucket: string): string => `SELECT s.text AS series_text, g.* FROM (
  SELECT u.series, min(u.hour_ms) AS time_ms, ${SUMS} FROM usage_hour AS u
  WHERE u.hour_ms >= ? AND u.hour_ms < ? GROUP BY ${bucket} u.series) AS g JOIN series AS s ON s.id = g.series`

export const USAGE_HOUR = { hour: bySeries('u.hour_ms,'), day: bySeries(DAY_OF), all: bySeries('') } as const

/** What a report calls each series, by number: then SQLite sums by that, and not we. */
export const MAP = `CREATE TEMP TABLE IF NOT EXISTS series_group (series INTEGER PRIMARY KEY, number INTEGER NOT NULL);
  DELETE FROM series_group`
export const ADD_TO_MAP = 'INSERT INTO temp.series_group (series, number) VALUES (?, ?)'
export const ALL_SERIES = 'SELECT id, text AS series_text FROM series WHERE id > ? ORDER BY id LIMIT ?'

const byMap = (bucket: string): string => `SELECT g.number, min(u.hour_ms) AS time_ms, ${SUMS}
  FROM usage_hour AS u JOIN temp.series_group AS g ON g.series = u.series
  WHERE u.hour_ms >= ? AND u.hour_ms < ? GROUP BY ${bucket} g.number`

export const USAGE_HOUR_MAPPED = { hour: byMap('u.hour_ms,'), day: byMap(DAY_OF), all: byMap('') } as const

/** Of one hour; after this number; attempts before, at or after; so many rows. */
export const ATTEMPTS = `SELECT number, series, users, ${GROUP_COLUMNS} FROM attempt_group AS a
  WHERE hour_ms = ? AND number > ? AND first_ms < ? AND last_ms >= ? ORDER BY number LIMIT ?`
export const SERIES = 'SELECT text AS series_text FROM series WHERE id = ?'

export const KNOWN_HOURS = `SELECT (SELECT min(hour_ms) FROM usage_hour) AS first_ms,
  (SELECT max(hour_ms) FROM usage_hour) AS last_ms`
export const KNOWN_ATTEMPTS = `SELECT (SELECT min(hour_ms) FROM attempt_group) AS first_ms,
  (SELECT max(hour_ms) FROM attempt_group) AS last_ms`

/** Of earlier hours counters are all there is. */
export const ROWS_FROM = "SELECT CAST(value AS INTEGER) AS value FROM meta WHERE name = 'rows_from_ms'"

/** From, to, and how many rows are counted at most. */
export const COUNT = {
  rollup_hour: `SELECT count(*) AS rows, 0 AS bytes FROM
    (SELECT 1 FROM rollup_hour WHERE hour_ms >= ? AND hour_ms < ? LIMIT ?)`,
  rollup_day: `SELECT count(*) AS rows, 0 AS bytes FROM
    (SELECT 1 FROM rollup_day WHERE day_ms >= ? AND day_ms < ? LIMIT ?)`,
  usage_hour: `SELECT count(*) AS rows, 0 AS bytes FROM
    (SELECT 1 FROM usage_hour WHERE hour_ms >= ? AND hour_ms < ? LIMIT ?)`,
  attempts: `SELECT count(*) AS rows, CAST(total(length(text)) AS INTEGER) AS bytes FROM
    (SELECT text FROM attempt_group WHERE hour_ms > ? - 3600000 AND hour_ms < ? LIMIT ?)`,
} as const
