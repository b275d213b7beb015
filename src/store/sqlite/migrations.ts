// The schema as numbered steps. A step that was released is never edited; a change is a new step.

import { ADJUSTMENT_MIGRATION } from './adjustments.ts'
import { ALERT_MIGRATION } from './alerts.ts'
import { BALANCE_MIGRATION } from './balance-counts.ts'
import { CLOSED_MONTH_MIGRATION, LATE_ROWS_MIGRATION } from './closed-months.ts'

export interface Migration {
  readonly number: number
  readonly sql: string
}

export const MIGRATIONS: readonly Migration[] = [
  {
    number: 1,
    sql: `
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What usage is grouped by. Rows name it by number: four texts fewer to bind for every row.
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

-- Ended requests, numbered by us in order of writing, so that inserts only append. text: what the request and its
-- attempts say beside that, as one JSON list without names. The last four are for the shipper, NULL where there is
-- none: sequence is that of its first row.
CREATE TABLE request (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  time_ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  epoch INTEGER,
  sequence INTEGER,
  rows INTEGER,
  written_at_ms INTEGER
) STRICT;
CREATE INDEX request_time ON request (time_ms);
CREATE INDEX request_sequence ON request (sequence) WHERE sequence IS NOT NULL;

-- What ended attempts count: usage between any two instants, and groupings that no counter has. A row holds those of
-- one transaction that share an hour and a series. text: eight numbers for each, see attempt-counts.ts.
CREATE TABLE attempt_group (
  number INTEGER PRIMARY KEY,
  hour_ms INTEGER NOT NULL,
  series INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX attempt_group_hour ON attempt_group (hour_ms);

-- Ended attempts by hour, kept when their rows are pruned, so that usage never scans the rows.
CREATE TABLE usage_hour (
  hour_ms INTEGER NOT NULL,
  series INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  cached_input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  cost_nano INTEGER NOT NULL,
  estimated_attempts INTEGER NOT NULL,
  unpriced_attempts INTEGER NOT NULL,
  PRIMARY KEY (hour_ms, series)
) STRICT, WITHOUT ROWID;

-- Attempts of other instances whose request has not come yet.
CREATE TABLE orphan (
  request TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (request, attempt)
) STRICT, WITHOUT ROWID;

-- How far the batches of other instances were applied.
CREATE TABLE applied (
  instance TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  PRIMARY KEY (instance, epoch)
) STRICT, WITHOUT ROWID;
`,
  },
  {
    number: 2,
    sql: `
-- Keys, models and targets, which rollups name by number.
CREATE TABLE name (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

-- Two coarse views of usage_hour, whose size does not grow with keys × tags: most reports read nothing else.
CREATE TABLE rollup_hour (
  hour_ms INTEGER NOT NULL,
  model INTEGER NOT NULL,
  target INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  cached_input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  cost_nano INTEGER NOT NULL,
  estimated_attempts INTEGER NOT NULL,
  unpriced_attempts INTEGER NOT NULL,
  PRIMARY KEY (hour_ms, model, target)
) STRICT, WITHOUT ROWID;

-- Days of Asia/Shanghai.
CREATE TABLE rollup_day (
  day_ms INTEGER NOT NULL,
  key INTEGER NOT NULL,
  model INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  cached_input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  cost_nano INTEGER NOT NULL,
  estimated_attempts INTEGER NOT NULL,
  unpriced_attempts INTEGER NOT NULL,
  PRIMARY KEY (day_ms, key, model)
) STRICT, WITHOUT ROWID;

INSERT INTO name (text) SELECT json_extract(text, '$[0]') FROM series UNION SELECT json_extract(text, '$[1]')
  FROM series UNION SELECT json_extract(text, '$[2]') FROM series;
INSERT INTO rollup_hour SELECT u.hour_ms, m.id, t.id, sum(requests), sum(attempts), sum(input_tokens),
  sum(cached_input_tokens), sum(output_tokens), sum(reasoning_tokens), sum(cost_nano), sum(estimated_attempts),
  sum(unpriced_attempts) FROM usage_hour AS u JOIN series AS s ON s.id = u.series
  JOIN name AS m ON m.text = json_extract(s.text, '$[1]') JOIN name AS t ON t.text = json_extract(s.text, '$[2]')
  GROUP BY u.hour_ms, m.id, t.id;
INSERT INTO rollup_day SELECT (u.hour_ms + 28800000) / 86400000 * 86400000 - 28800000 AS day_ms, k.id, m.id,
  sum(requests), sum(attempts), sum(input_tokens), sum(cached_input_tokens), sum(output_tokens),
  sum(reasoning_tokens), sum(cost_nano), sum(estimated_attempts), sum(unpriced_attempts)
  FROM usage_hour AS u JOIN series AS s ON s.id = u.series
  JOIN name AS k ON k.text = json_extract(s.text, '$[0]') JOIN name AS m ON m.text = json_extract(s.text, '$[1]')
  GROUP BY 1, k.id, m.id;

-- Groups up to this number are in the counters; those after it are added at the next opening or within a second.
INSERT INTO meta (name, value) SELECT 'counted_number', CAST(ifnull(max(number), 0) AS TEXT) FROM attempt_group;

-- A list with the user of each attempt of the row; NULL where none of them names one.
ALTER TABLE attempt_group ADD COLUMN users TEXT;
`,
  },
  BALANCE_MIGRATION,
  {
    number: 11,
    sql: `
-- Keys that are made while the gateway runs. text: the whole key as JSON, with digests and without secrets. revision:
-- one more with every write to the table. ended_at_ms: when it was revoked or deleted.
CREATE TABLE api_key (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  revision INTEGER NOT NULL UNIQUE,
  is_deleted INTEGER NOT NULL,
  ended_at_ms INTEGER,
  text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_key_name ON api_key (name) WHERE is_deleted = 0;
CREATE INDEX api_key_ended ON api_key (ended_at_ms) WHERE ended_at_ms IS NOT NULL;
`,
  },
  {
    number: 12,
    sql: `
-- What stands between list price and cost, book currency: what contracts take off, and what balances pay.
ALTER TABLE usage_hour ADD COLUMN discount_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_hour ADD COLUMN free_quota_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_hour ADD COLUMN package_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup_hour ADD COLUMN discount_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup_hour ADD COLUMN free_quota_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup_hour ADD COLUMN package_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup_day ADD COLUMN discount_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup_day ADD COLUMN free_quota_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup_day ADD COLUMN package_nano INTEGER NOT NULL DEFAULT 0;

-- A list with [discount, free quota, packages] or null of each attempt of the row; NULL where all cost what the list says.
ALTER TABLE attempt_group ADD COLUMN amounts TEXT;
`,
  },
  ADJUSTMENT_MIGRATION,
  CLOSED_MONTH_MIGRATION,
  ALERT_MIGRATION,
  LATE_ROWS_MIGRATION,
]
