// Rows of the ledger: an attempt is booked as open before it is sent and closed at its end; the request's own
// row is the last, and the client sees the end only when it is durable.

import type { AttemptRole } from '#core/decision.ts'
import { GatewayError } from '#core/errors.ts'
import type { AttemptRow, RequestOutcome, RequestRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { NO_USAGE } from '#core/usage.ts'
import { costOfHold } from '#pricing/ceiling.ts'
import { drainOutcome } from './abandoned.ts'
import { type AttemptEnd, unsentEnd } from './attempt-end.ts'
import { openError } from './billable.ts'
import type { Call, Deps, Exchange } from './context.ts'
import type { Lane } from './lane.ts'
import type { TargetFacts } from './live.ts'
import { meter, sumCosts } from './meter.ts'
import { billedTokensMax } from './output-bound.ts'

/**
 * Books the attempt as open, with the tokens it will be charged for if the process dies now; resolves when that is
 * durable. A disk that cannot be written is no reason to stop: rows wait in memory, within a bound. Under a strict
 * budget it is: what a crash would make us forget could be spent again. @throws GatewayError `store_unavailable`
 */
export function bookOpen(
  deps: Deps,
  exchange: Exchange,
  lane: Lane,
  call: Call,
  facts: TargetFacts,
  role: AttemptRole,
  startedAtMs: number,
): Promise<AttemptRow> {
  exchange.attemptsStarted++
  const outputTokens = Math.min(call.outputTokensEstimate, billedTokensMax(call, facts))
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
    usage: {
      ...NO_USAGE,
      inputTokens: call.inputTokensEstimate,
      outputTokens,
      ...expectedTime(deps, facts),
    },
    usageSource: 'estimated',
    estimateError: openError(call, facts, outputTokens),
    usageDoubt: null,
    cost: null,
    startedAtMs,
    ttftMs: null,
    durationMs: 0,
  }
  const request = requestRow(exchange, deps.clock.monotonicMs(), 0, 'open', null)
  return new Promise((resolve, reject) => {
    deps.journal.open(request, open, (failure) => {
      if (failure === null || !isStrict(exchange)) return resolve(open)
      bookEnd(deps, exchange, lane, call, facts, open, unsentEnd(null, 0))
      const message =
        'the ledger cannot be written, and a strict budget lets nothing be spent that is not in it'
      reject(new GatewayError('store_unavailable', message, { cause: failure, retryAfterMs: RETRY_AFTER_MS }))
    })
  })
}

/** Of a model that is billed by the time that it takes. */
function expectedTime(
  { outputGauge }: Deps,
  { target, prices }: TargetFacts,
): { readonly other?: { readonly gpuMs: number } } {
  const isTimed = prices.some(({ unit }) => unit === 'per_gpu_second')
  const gpuMs = isTimed ? outputGauge.usualMs(target.id) : null
  return gpuMs === null ? {} : { other: { gpuMs } }
}

const RETRY_AFTER_MS = 1_000

function isStrict({ key }: Exchange): boolean {
  return key?.scopes.some(({ budget }) => budget?.isStrict === true) === true
}

export function bookEnd(
  deps: Deps,
  exchange: Exchange,
  lane: Lane,
  call: Call,
  facts: TargetFacts,
  open: AttemptRow,
  end: AttemptEnd,
): AttemptRow {
  const metered = meter(deps, exchange.live, call, facts, end, open.startedAtMs)
  const { usage, source } = metered
  const cost = metered.cost ?? costOfHold(lane.held, usage, exchange.live.settings.currency)
  const row: AttemptRow = {
    ...open,
    responseModel: clip(end.state.responseModel),
    upstreamRequestId: clip(upstreamRequestId(end)),
    outcome: end.failure?.kind ?? (end.outcome === 'cancelled' ? 'cancelled' : 'success'),
    httpStatus: end.httpStatus,
    usage,
    usageSource: source,
    estimateError: metered.error,
    usageDoubt: metered.doubt,
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
    unpriced: metered.cost === null,
    estimate: metered.reason,
    doubt: metered.doubt,
  })
  const drained = drainOutcome(end.left, end.state.usage !== null)
  if (drained !== null) deps.metrics.drainEnded(drained)
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
