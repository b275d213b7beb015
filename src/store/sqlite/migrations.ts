// The schema as numbered steps. A step that was released is never edited; a change is a new step.

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

-- What usage is grouped by. Rows name it by number: four texts fewer to bind on the request path.
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

-- Numbered by us in order of opening, so that inserts only append. outcome '': known through its attempts only.
CREATE TABLE request (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  time_ms INTEGER NOT NULL,
  key TEXT,
  tags TEXT NOT NULL,
  model TEXT,
  api TEXT NOT NULL,
  stream INTEGER NOT NULL,
  status INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  error TEXT,
  attempts INTEGER NOT NULL,
  cost_nano INTEGER,
  currency TEXT NOT NULL,
  duration_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX request_time ON request (time_ms, id);

-- Why a request was planned as it was. Apart, because it is long and does not change when the request ends.
CREATE TABLE decision (
  request INTEGER PRIMARY KEY,
  text TEXT NOT NULL
) STRICT;

CREATE TABLE attempt (
  request INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  series INTEGER NOT NULL,
  role TEXT NOT NULL,
  response_model TEXT,
  upstream_request_id TEXT,
  outcome TEXT NOT NULL,
  http_status INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  cached_input_tokens INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  explicit_cache INTEGER,
  usage_source TEXT NOT NULL,
  cost_nano INTEGER,
  currency TEXT,
  native_nano INTEGER,
  native_currency TEXT,
  lines TEXT,
  price_version TEXT,
  started_at_ms INTEGER NOT NULL,
  ttft_ms INTEGER,
  duration_ms INTEGER NOT NULL,
  PRIMARY KEY (request, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_started ON attempt (started_at_ms);

-- Final attempts by hour, kept when their rows are pruned, so that usage never scans the rows.
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

-- Final rows that wait for the shipper; attempt 0 is the request's own row.
CREATE TABLE outbox (
  sequence INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL,
  request INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;

-- How far the batches of other instances were applied.
CREATE TABLE applied (
  instance TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  PRIMARY KEY (instance, epoch)
) STRICT, WITHOUT ROWID;
`,
  },
]
