// One request's way, top to bottom: authenticate → ingress → plan → dispatch (admits each attempt) → settle → observe.

import { decisionText } from '#core/decision.ts'
import { GatewayError } from '#core/errors.ts'
import type { RequestOutcome } from '#core/ledger.ts'
import { JOURNAL_PENDING_ROWS_MAX, REQUEST_BODIES_BYTES_MAX, REQUESTS_IN_FLIGHT_MAX } from '#core/limits.ts'
import { formatNano } from '#core/money.ts'
import { JsonText } from '#core/telemetry.ts'
import { authenticate } from './authenticate.ts'
import type { Deps, Exchange, Incoming } from './context.ts'
import { dispatch, type Outcome } from './dispatch.ts'
import { errorBody, errorHeaders } from './error-body.ts'
import { headerText, policyHeader, sendHead } from './head.ts'
import { readCall } from './ingress.ts'
import { openLane } from './lane.ts'
import { planCall } from './plan.ts'
import { costOfRequest, requestRow } from './settle.ts'

/** Serves one request to its end. Never throws: every failure becomes the client's error and a row. */
export async function handle(deps: Deps, incoming: Incoming): Promise<void> {
  const exchange = openExchange(deps, incoming)
  deps.load.inFlight++
  deps.metrics.requestStarted()
  try {
    checkLoad(deps)
    exchange.key = authenticate(deps, exchange.live, incoming, exchange.startedAtMs)
    const { server } = exchange.live.settings
    const bytes = await incoming.readBody(server, (length) => takeBytes(deps, exchange, length))
    const call = readCall(incoming.api, bytes, incoming.header('x-sluice-policy'))
    exchange.call = call
    exchange.model = call.model
    const plan = planCall(exchange, exchange.key, call, deps.clock.nowMs())
    close(deps, exchange, await dispatch(deps, exchange, call, plan))
  } catch (error) {
    failOrDrop(deps, exchange, toGatewayError(deps, exchange, error))
  } finally {
    exchange.lane.grant?.close()
    deps.load.inFlight--
    deps.load.bodyBytes -= exchange.bodyBytes
  }
}

/** A row that the journal does not take must cost this request only, not the process and all the others. */
function failOrDrop(deps: Deps, exchange: Exchange, error: GatewayError): void {
  try {
    fail(deps, exchange, error)
  } catch (cause) {
    deps.log.error('request.crashed', { request_id: exchange.id, error: textOf(cause) })
    exchange.sink.destroy()
  }
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({})

function openExchange(deps: Deps, incoming: Incoming): Exchange {
  const exchange: Exchange = {
    id: deps.random.requestId(),
    live: deps.live(),
    api: incoming.api,
    sink: incoming.sink,
    startedAtMs: deps.clock.nowMs(),
    startedMs: deps.clock.monotonicMs(),
    key: null,
    call: null,
    model: null,
    session: incoming.header('x-session-id'),
    decision: null,
    lane: openLane(),
    limitHeaders: NO_HEADERS,
    attempts: [],
    attemptsStarted: 0,
    upstreamMs: 0,
    ttftMs: null,
    bodyBytes: 0,
    dropped: [],
    headSent: false,
    goneMs: null,
    clientGone: false,
    leavers: new Set(),
    closed: false,
  }
  incoming.sink.onClose = () => {
    exchange.clientGone = true
    exchange.goneMs = deps.clock.monotonicMs()
    for (const leave of [...exchange.leavers]) leave()
  }
  return exchange
}

/** Bounds of this instance. */
function checkLoad(deps: Deps): void {
  if (deps.load.inFlight > REQUESTS_IN_FLIGHT_MAX) {
    throw new GatewayError('overloaded', 'the gateway has too many requests in flight', {
      retryAfterMs: 1000,
    })
  }
  if (deps.journal.pendingRows > JOURNAL_PENDING_ROWS_MAX) {
    throw new GatewayError('store_unavailable', 'the ledger cannot be written', { retryAfterMs: 1000 })
  }
}

/** Bodies are held until their request ends, for a fallback to send again. */
function takeBytes(deps: Deps, exchange: Exchange, bytes: number): void {
  if (deps.load.bodyBytes + bytes > REQUEST_BODIES_BYTES_MAX) {
    throw new GatewayError('overloaded', 'the gateway holds too many bytes of requests', {
      retryAfterMs: 1000,
    })
  }
  deps.load.bodyBytes += bytes
  exchange.bodyBytes += bytes
}

/** An ended dispatch: the row is written, and when it is durable the client sees the end. */
function close(deps: Deps, exchange: Exchange, outcome: Outcome): void {
  if (outcome.kind === 'failed') return fail(deps, exchange, outcome.error, outcome.facts.target.id)
  if (outcome.kind === 'cancelled')
    return settle(deps, exchange, 499, 'cancelled', null, () => exchange.sink.destroy())
  const { sink } = exchange
  settle(deps, exchange, 200, 'success', null, () => {
    if (outcome.body === null) return sink.end('data: [DONE]\n\n')
    sendHead(exchange, 200, answerHeaders(exchange, outcome.body.length), outcome.facts.target.id)
    sink.end(outcome.body)
  })
}

function answerHeaders(exchange: Exchange, length: number): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'content-length': String(length),
  }
  const costNano = costOfRequest(exchange)
  if (costNano !== null) {
    headers['x-sluice-cost'] = `${formatNano(costNano)} ${exchange.live.settings.currency}`
  }
  return headers
}

/** Ends the request with an error: as an answer, or as an event where a stream has begun. */
function fail(deps: Deps, exchange: Exchange, error: GatewayError, target: string | null = null): void {
  const outcome: RequestOutcome = exchange.attemptsStarted === 0 ? 'refused' : 'failed'
  settle(deps, exchange, exchange.headSent ? 200 : error.status, outcome, error.code, () =>
    sendError(exchange, error, target),
  )
}

function sendError(exchange: Exchange, error: GatewayError, target: string | null): void {
  const { sink } = exchange
  const body = errorBody(error)
  if (exchange.headSent) return sink.end(`data: ${body}\n\n`)
  exchange.headSent = true
  const policy = policyHeader(exchange)
  sink.head(error.status, {
    ...errorHeaders(error),
    ...exchange.limitHeaders,
    'content-length': String(new TextEncoder().encode(body).length),
    'x-request-id': exchange.id,
    'x-sluice-attempts': String(exchange.attemptsStarted),
    ...(policy === null ? {} : { 'x-sluice-policy': policy }),
    ...(target === null ? {} : { 'x-sluice-target': headerText(target) }),
  })
  sink.end(body)
}

/** The one ending. A caller that is not known has no row: strangers must not fill the ledger. */
function settle(
  deps: Deps,
  exchange: Exchange,
  status: number,
  outcome: RequestOutcome,
  error: string | null,
  finish: () => void,
): void {
  if (exchange.closed) return
  exchange.closed = true
  // What was read on behind a client that had left is no time of its request.
  const endedMs = outcome === 'cancelled' ? exchange.goneMs : null
  const durationMs = (endedMs ?? deps.clock.monotonicMs()) - exchange.startedMs
  const end = (): void => {
    try {
      if (!exchange.clientGone) finish()
    } catch (error) {
      // This runs at the journal's commit, where a throw would end the process and every other request with it.
      deps.log.error('request.crashed', { request_id: exchange.id, error: textOf(error) })
      exchange.sink.destroy()
    }
    // Behind the answers of all requests that the journal has just committed.
    queueMicrotask(() => observe(deps, exchange, status, outcome, error, durationMs))
  }
  if (exchange.key === null) return end()
  const row = requestRow(exchange, exchange.startedMs + durationMs, status, outcome, error)
  deps.journal.request(row, (failure) => {
    if (failure !== null)
      deps.log.error('journal.failed', { request_id: exchange.id, message: failure.message })
    end()
  })
}

function observe(
  deps: Deps,
  exchange: Exchange,
  status: number,
  outcome: RequestOutcome,
  error: string | null,
  durationMs: number,
): void {
  deps.metrics.requestEnded({
    wireFormat: exchange.api === 'chat' ? 'openai-chat' : 'openai-completions',
    outcome,
    durationMs,
    overheadMs: Math.max(0, durationMs - exchange.upstreamMs),
    ttftMs: exchange.ttftMs,
  })
  const last = exchange.attempts.at(-1)
  const costNano = costOfRequest(exchange)
  deps.log.info('request.ended', {
    request_id: exchange.id,
    key: exchange.key?.name ?? null,
    model: exchange.model,
    api: exchange.api,
    stream: exchange.call?.streaming ?? null,
    status,
    outcome,
    error,
    target: last?.target ?? null,
    attempts: exchange.attemptsStarted,
    cost: costNano === null ? null : formatNano(costNano),
    input_tokens: last?.usage.inputTokens ?? null,
    output_tokens: last?.usage.outputTokens ?? null,
    ttft_ms: exchange.ttftMs === null ? null : Math.round(exchange.ttftMs),
    duration_ms: Math.round(durationMs),
    decision: new JsonText(decisionText(exchange.decision)),
  })
}

function toGatewayError(deps: Deps, exchange: Exchange, error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  deps.log.error('request.crashed', { request_id: exchange.id, error: textOf(error) })
  return new GatewayError('internal_error', 'the gateway failed; the request id helps to find out why', {
    cause: error,
  })
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
