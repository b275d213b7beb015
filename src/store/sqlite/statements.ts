// The statements of writer.ts, by what they do.

export const INSERT_REQUEST = `INSERT INTO request (number, id, time_ms, key, tags, model, api, stream, status, outcome,
  error, attempts, cost_nano, currency, duration_ms) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`
/** The end of a request that was opened: what it was asked stands already. */
export const END_REQUEST = `UPDATE request SET status = ?, outcome = ?, error = ?, attempts = ?, cost_nano = ?,
  currency = ?, duration_ms = ?, model = ?, key = ?, stream = ? WHERE number = ?`
export const DELETE_REQUEST = 'DELETE FROM request WHERE number = ?'
export const SET_DECISION = `INSERT INTO decision (request, text) VALUES (?, ?)
  ON CONFLICT (request) DO UPDATE SET text = excluded.text`
export const DELETE_DECISION = 'DELETE FROM decision WHERE request = ?'
export const INSERT_ATTEMPT = `INSERT INTO attempt (series, role, response_model, upstream_request_id, outcome, http_status,
  input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, explicit_cache, usage_source,
  cost_nano, currency, native_nano, native_currency, lines, price_version, started_at_ms, ttft_ms, duration_ms,
  request, attempt) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`
/** The start does not change when an attempt ends; not setting it leaves its index alone. */
export const END_ATTEMPT = `UPDATE attempt SET series = ?, role = ?, response_model = ?, upstream_request_id = ?,
  outcome = ?, http_status = ?, input_tokens = ?, cached_input_tokens = ?, cache_write_tokens = ?, output_tokens = ?,
  reasoning_tokens = ?, explicit_cache = ?, usage_source = ?, cost_nano = ?, currency = ?, native_nano = ?,
  native_currency = ?, lines = ?, price_version = ?, ttft_ms = ?, duration_ms = ?
  WHERE request = ? AND attempt = ? AND outcome = 'open'`
export const ADD_USAGE = `INSERT INTO usage_hour (hour_ms, series, requests, attempts, input_tokens, cached_input_tokens,
  output_tokens, reasoning_tokens, cost_nano, estimated_attempts, unpriced_attempts) VALUES (?,?,?,?,?,?,?,?,?,?,?)
  ON CONFLICT (hour_ms, series) DO UPDATE SET requests = requests + excluded.requests,
    attempts = attempts + excluded.attempts, input_tokens = input_tokens + excluded.input_tokens,
    cached_input_tokens = cached_input_tokens + excluded.cached_input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens, cost_nano = cost_nano + excluded.cost_nano,
    estimated_attempts = estimated_attempts + excluded.estimated_attempts,
    unpriced_attempts = unpriced_attempts + excluded.unpriced_attempts`
export const INSERT_SERIES = 'INSERT INTO series (text) VALUES (?) ON CONFLICT DO NOTHING'
export const SELECT_SERIES = 'SELECT id FROM series WHERE text = ?'
export const INSERT_OUTBOX =
  'INSERT INTO outbox (sequence, epoch, request, attempt, at_ms) VALUES (?,?,?,?,?)'
