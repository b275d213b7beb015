// Rows of the ledger: an attempt is booked as open before it is sent and closed at its end; the request's own
// row is the last, and the client sees the end only when it is durable.

import type { AttemptRole, AttemptRow, RequestOutcome, RequestRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { NO_USAGE } from '#core/usage.ts'
import type { AttemptEnd } from './attempt.ts'
import type { Call, Deps, Exchange } from './context.ts'
import type { TargetFacts } from './live.ts'
import { meter, sumCosts } from './meter.ts'

/**
 * Books the attempt as open, with the input it will be charged for if the process dies now; resolves when that is
 * durable. A disk that cannot be written is no reason to stop: rows wait in memory, within a bound.
 */
export function bookOpen(
  deps: Deps,
  exchange: Exchange,
  call: Call,
  facts: TargetFacts,
  role: AttemptRole,
  startedAtMs: number,
): Promise<AttemptRow> {
  exchange.attemptsStarted++
  const open: AttemptRow = {
    requestId: exchange.id,
    attempt: exchange.attemptsStarted,
    role,
    key: exchange.key?.name ?? '',
    tags: exchange.key?.tags ?? {},
    user: call.user,
    model: call.model,
    target: facts.target.id,
    responseModel: null,
    upstreamRequestId: null,
    outcome: 'open',
    httpStatus: 0,
    usage: { ...NO_USAGE, inputTokens: call.inputTokensEstimate },
    usageSource: 'estimated',
    cost: null,
    startedAtMs,
    ttftMs: null,
    durationMs: 0,
  }
  const request = requestRow(exchange, deps.clock.monotonicMs(), 0, 'open', null)
  return new Promise((resolve) => {
    deps.journal.open(request, open, () => resolve(open))
  })
}

export function bookEnd(
  deps: Deps,
  exchange: Exchange,
  call: Call,
  facts: TargetFacts,
  open: AttemptRow,
  end: AttemptEnd,
): AttemptRow {
  const { usage, source, cost } = meter(exchange.live, call, facts, end, open.startedAtMs)
  const row: AttemptRow = {
    ...open,
    responseModel: clip(end.state.responseModel),
    upstreamRequestId: clip(upstreamRequestId(end)),
    outcome: end.failure?.kind ?? (end.outcome === 'cancelled' ? 'cancelled' : 'success'),
    httpStatus: end.httpStatus,
    usage,
    usageSource: source,
    cost,
    ttftMs: end.ttftMs === null ? null : Math.round(end.ttftMs),
    durationMs: Math.round(end.durationMs),
  }
  exchange.attempts.push(row)
  deps.journal.attempt(row)
  for (let dropped = 0; dropped < end.state.droppedEvents; dropped++) deps.metrics.streamEventDropped()
  deps.metrics.attemptEnded({
    provider: facts.provider.telemetryName ?? facts.provider.id,
    model: facts.target.model,
    outcome: row.outcome,
    durationMs: end.durationMs,
    ttftMs: end.ttftMs,
    usage,
    costNano: cost?.amountNano ?? null,
    estimated: source !== 'provider',
  })
  return row
}

/** Names from an upstream are as long as it likes; a row is not. */
const NAME_CHARS_MAX = 512

function clip(name: string | null): string | null {
  return name === null ? null : name.slice(0, NAME_CHARS_MAX)
}

/** The names vendors give their request id in headers; else the body's id. */
function upstreamRequestId(end: AttemptEnd): string | null {
  return (
    end.headers['x-request-id'] ??
    end.headers['x-baidu-request-id'] ??
    end.headers['request-id'] ??
    end.state.upstreamId
  )
}

/** null: no attempt had a price. */
export function costOfRequest(exchange: Exchange): Nano | null {
  const { attempts } = exchange
  return attempts.some((attempt) => attempt.cost !== null) ? sumCosts(attempts) : null
}

export function requestRow(
  exchange: Exchange,
  nowMs: number,
  status: number,
  outcome: RequestOutcome,
  error: string | null,
): RequestRow {
  return {
    id: exchange.id,
    timeMs: exchange.startedAtMs,
    key: exchange.key?.name ?? null,
    tags: exchange.key?.tags ?? {},
    user: exchange.call?.user ?? null,
    model: exchange.model,
    api: exchange.api,
    stream: exchange.call?.streaming ?? false,
    status,
    outcome,
    error,
    attempts: exchange.attemptsStarted,
    costNano: costOfRequest(exchange),
    currency: exchange.live.settings.currency,
    durationMs: Math.round(nowMs - exchange.startedMs),
    decision: exchange.decision,
  }
}
