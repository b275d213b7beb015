// Ledger rows ↔ columns. The columns stand in migrations.ts; who writes them when stands in writer.ts.

import { assert } from '#core/assert.ts'
import type {
  AttemptOutcome,
  AttemptRole,
  AttemptRow,
  Cost,
  CostLine,
  Decision,
  RequestOutcome,
  RequestRow,
} from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import type { TokenUsage, UsageSource } from '#core/usage.ts'
import { parseSeries } from '../usage-report.ts'
import type { SqlRow } from './driver.ts'

type Tags = Readonly<Record<string, string>>

/** Columns of a request `r` with its decision `d`, money as text. */
export const REQUEST_COLUMNS = `r.number AS request_number, r.id, r.time_ms, r.key, r.tags, r.model, r.api, r.stream,
  r.status, r.outcome, r.error, r.attempts, CAST(r.cost_nano AS TEXT) AS cost_nano, r.currency, r.duration_ms, d.text AS decision`

export const REQUEST_TABLES = 'request AS r LEFT JOIN decision AS d ON d.request = r.number'

/** Columns of an attempt joined with its series `s` and its request `r`, money as text. */
export const ATTEMPT_COLUMNS = `r.id AS request_id, s.text AS series_text, a.request AS request_number, a.attempt,
  a.role, a.response_model, a.upstream_request_id, a.outcome, a.http_status, a.input_tokens, a.cached_input_tokens,
  a.cache_write_tokens, a.output_tokens, a.reasoning_tokens, a.explicit_cache, a.usage_source,
  CAST(a.cost_nano AS TEXT) AS cost_nano, a.currency, CAST(a.native_nano AS TEXT) AS native_nano, a.native_currency,
  a.lines, a.price_version, a.started_at_ms, a.ttft_ms, a.duration_ms`

export const ATTEMPT_TABLES =
  'attempt AS a JOIN request AS r ON r.number = a.request JOIN series AS s ON s.id = a.series'

// Tags of a key are one frozen object for as long as the settings live, so their text is made once.
const tagsTexts = new WeakMap<Tags, string>()

export function tagsText(tags: Tags): string {
  const known = tagsTexts.get(tags)
  if (known !== undefined) return known
  const text = JSON.stringify(tags)
  tagsTexts.set(tags, text)
  return text
}

/**
 * A bill's lines as a JSON list of lists. Built by hand: they are decimals and words of a closed set, so nothing
 * needs escaping, and this is on the path of every request.
 */
export function linesText(lines: readonly CostLine[]): string {
  let text = '['
  for (const line of lines) {
    text += `${text === '[' ? '' : ','}["${line.item}",${line.quantity},"${line.price}","${line.amount}"]`
  }
  return `${text}]`
}

/** Counts and prices are checked when a row is queued: a row that SQLite refuses would hold up all others. */
export function assertAttempt(row: AttemptRow): void {
  const usage = row.usage
  assert(
    isCount(row.attempt) &&
      row.attempt > 0 &&
      isCount(usage.inputTokens) &&
      isCount(usage.cachedInputTokens) &&
      isCount(usage.cacheWriteTokens) &&
      isCount(usage.outputTokens) &&
      isCount(usage.reasoningTokens) &&
      isCount(row.startedAtMs) &&
      Number.isFinite(row.durationMs) &&
      (row.ttftMs === null || Number.isFinite(row.ttftMs)) &&
      (row.cost === null || (isAmount(row.cost.amountNano) && isAmount(row.cost.nativeNano))),
    'numbers of an attempt row are counts',
  )
}

export function assertRequest(row: RequestRow): void {
  assert(
    isCount(row.timeMs) &&
      isCount(row.attempts) &&
      Number.isFinite(row.durationMs) &&
      (row.costNano === null || isAmount(row.costNano)),
    'numbers of a request row are counts',
  )
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

/** A thousandth of what 64 bits hold (nine million yuan), so that sums have room. */
function isAmount(value: bigint): boolean {
  return BigInt.asIntN(54, value) === value
}

export function requestOf(row: SqlRow): RequestRow {
  const decision = row['decision']
  return {
    id: text(row, 'id'),
    timeMs: number(row, 'time_ms'),
    key: textOrNull(row, 'key'),
    tags: JSON.parse(text(row, 'tags')) as Tags,
    model: textOrNull(row, 'model'),
    api: text(row, 'api'),
    stream: number(row, 'stream') === 1,
    status: number(row, 'status'),
    outcome: text(row, 'outcome') as RequestOutcome,
    error: textOrNull(row, 'error'),
    attempts: number(row, 'attempts'),
    costNano: nanoOrNull(row, 'cost_nano'),
    currency: text(row, 'currency'),
    durationMs: number(row, 'duration_ms'),
    decision: typeof decision === 'string' ? (JSON.parse(decision) as Decision) : null,
  }
}

export function attemptOf(row: SqlRow): AttemptRow {
  const series = parseSeries(text(row, 'series_text'))
  return {
    requestId: text(row, 'request_id'),
    attempt: number(row, 'attempt'),
    role: text(row, 'role') as AttemptRole,
    key: series.key,
    tags: series.tags,
    model: series.model,
    target: series.target,
    responseModel: textOrNull(row, 'response_model'),
    upstreamRequestId: textOrNull(row, 'upstream_request_id'),
    outcome: text(row, 'outcome') as AttemptOutcome,
    httpStatus: number(row, 'http_status'),
    usage: usageOf(row),
    usageSource: text(row, 'usage_source') as UsageSource,
    cost: costOf(row),
    startedAtMs: number(row, 'started_at_ms'),
    ttftMs: row['ttft_ms'] === null ? null : number(row, 'ttft_ms'),
    durationMs: number(row, 'duration_ms'),
  }
}

function usageOf(row: SqlRow): TokenUsage {
  const usage = {
    inputTokens: number(row, 'input_tokens'),
    cachedInputTokens: number(row, 'cached_input_tokens'),
    cacheWriteTokens: number(row, 'cache_write_tokens'),
    outputTokens: number(row, 'output_tokens'),
    reasoningTokens: number(row, 'reasoning_tokens'),
  }
  const explicitCache = row['explicit_cache']
  return explicitCache === null ? usage : { ...usage, explicitCache: explicitCache === 1 }
}

function costOf(row: SqlRow): Cost | null {
  const amountNano = nanoOrNull(row, 'cost_nano')
  if (amountNano === null) return null
  const lines = JSON.parse(text(row, 'lines')) as [CostLine['item'], number, string, string][]
  return {
    amountNano,
    currency: text(row, 'currency'),
    nativeNano: BigInt(text(row, 'native_nano')) as Nano,
    nativeCurrency: text(row, 'native_currency'),
    lines: lines.map(([item, quantity, price, amount]) => ({ item, quantity, price, amount })),
    priceVersion: text(row, 'price_version'),
  }
}

export function text(row: SqlRow, column: string): string {
  const value = row[column]
  assert(typeof value === 'string', `column ${column} is a text`)
  return value
}

export function number(row: SqlRow, column: string): number {
  const value = row[column]
  assert(typeof value === 'number', `column ${column} is a number`)
  return value
}

function textOrNull(row: SqlRow, column: string): string | null {
  return row[column] === null ? null : text(row, column)
}

function nanoOrNull(row: SqlRow, column: string): Nano | null {
  return row[column] === null ? null : (BigInt(text(row, column)) as Nano)
}
