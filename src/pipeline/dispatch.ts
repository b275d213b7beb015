// Attempts in the order of the plan until one answers. Fallback is possible until the client has had content.

import { GatewayError, type UpstreamFailure } from '#core/errors.ts'
import type { AttemptRole } from '#core/ledger.ts'
import { EARLY_HEAD_MS, PING_INTERVAL_MS } from '#core/limits.ts'
import { formatNano, type Nano } from '#core/money.ts'
import type { Timer, UpstreamRequest } from '#core/ports.ts'
import type { TargetSettings } from '#core/settings.ts'
import type { TokenUsage } from '#core/usage.ts'
import { decideNext } from '#routing/retry.ts'
import {
  type AdmittedCall,
  admitAttempt,
  extendHold,
  noteSkipped,
  type Refused,
  releaseAttempt,
  settleAttempt,
} from './admit.ts'
import { type AttemptEnd, startAttempt } from './attempt.ts'
import type { Call, Deps, Exchange } from './context.ts'
import { CredentialError, type Signature } from './credentials.ts'
import { toGatewayError } from './failure.ts'
import { sendHead } from './head.ts'
import type { TargetFacts } from './live.ts'
import { costOf, sumCosts } from './meter.ts'
import { isThinking, type PlannedCall } from './plan.ts'
import { bookEnd, bookOpen, unsentEnd } from './settle.ts'
import { encodeUpstream, type UpstreamText } from './translate.ts'

/** With thinking on, the first token may follow minutes of silence. */
const TTFT_MS = 15_000
const TTFT_THINKING_MS = 180_000

/** How the request as a whole came out. */
export type Outcome =
  | { readonly kind: 'answered'; readonly facts: TargetFacts; readonly body: Uint8Array | null }
  | { readonly kind: 'failed'; readonly error: GatewayError; readonly facts: TargetFacts }
  | { readonly kind: 'cancelled' }

export async function dispatch(
  deps: Deps,
  exchange: Exchange,
  call: Call,
  plan: PlannedCall,
): Promise<Outcome> {
  const keepAlive = call.streaming ? startKeepAlive(deps, exchange) : null
  try {
    return await attemptAll(deps, exchange, call, plan)
  } finally {
    keepAlive?.cancel()
  }
}

async function attemptAll(deps: Deps, exchange: Exchange, call: Call, plan: PlannedCall): Promise<Outcome> {
  let left = [...plan.targets]
  let target = left.shift() as TargetSettings
  let role: AttemptRole = 'first'
  const renewed = new Set<string>()
  let refused: Refused | null = null
  let failed: Outcome | null = null
  for (;;) {
    const facts = exchange.live.factsOf(target)
    const admitted = admitAttempt(deps, exchange, call, facts, plan.policy)
    if (admitted.refused !== null) {
      noteSkipped(exchange, facts, admitted.refused)
      // Without a bound or a price a target was never to be had; what another one lacked says more.
      if (refused === null || refused.error.code === 'no_target') refused = admitted.refused
      const next = admitted.refused.isFinal ? undefined : left.shift()
      if (next !== undefined) {
        target = next
        continue
      }
      if (failed === null) throw refused.error
      return failed
    }
    const text = encodeOrNull(deps, exchange, admitted.call, facts, left.length > 0)
    if (text === null) {
      releaseAttempt(exchange)
      target = left.shift() as TargetSettings
      continue
    }
    const end = await attemptOne(deps, exchange, admitted, facts, plan, text, role)
    if (end.outcome === 'cancelled' || exchange.clientGone) return { kind: 'cancelled' }
    if (end.failure === null) return { kind: 'answered', facts, body: end.body }
    const error = toGatewayError(end.failure)
    logFailure(deps, exchange, facts, end.failure)
    failed = { kind: 'failed', error, facts }
    if (end.committed) return failed
    if (end.failure.renew === true && !renewed.has(facts.settings.name)) {
      renewed.add(facts.settings.name)
      role = 'retry'
      continue
    }
    if (end.failure.kind === 'moderation') left = afterModeration(left, plan)
    const next = decideNext({
      failure: end.failure,
      policy: plan.policy,
      attempts: exchange.attemptsStarted,
      targetsLeft: left.length,
      random: deps.random.unit,
    })
    if (next.kind === 'give_up') return failed
    deps.metrics.fallback(end.failure.kind)
    if (next.kind === 'retry') {
      await pause(deps, exchange, next.waitMs)
      if (exchange.clientGone) return { kind: 'cancelled' }
      role = 'retry'
      left = [...plan.targets]
    } else role = 'fallback'
    target = left.shift() as TargetSettings
  }
}

/**
 * A dialect may have no words for what a request says (the order of its turns, a kind of tool): then it is no attempt,
 * and the next target is asked. null: go on. @throws GatewayError when there is no next one
 */
function encodeOrNull(
  deps: Deps,
  exchange: Exchange,
  call: Call,
  facts: TargetFacts,
  hasNext: boolean,
): UpstreamText | null {
  try {
    return encodeUpstream(call, facts)
  } catch (error) {
    if (!hasNext || !(error instanceof GatewayError)) throw error
    deps.log.info('attempt.skipped', {
      request_id: exchange.id,
      target: facts.target.id,
      message: error.message,
    })
    return null
  }
}

/** A refusal for content goes only to providers that the policy names. */
function afterModeration(left: readonly TargetSettings[], plan: PlannedCall): TargetSettings[] {
  const allowed = plan.policy.onModeration
  return allowed === 'stop' ? [] : left.filter((target) => allowed.includes(target.provider))
}

async function attemptOne(
  deps: Deps,
  exchange: Exchange,
  { call, atMs: startedAtMs }: AdmittedCall,
  facts: TargetFacts,
  plan: PlannedCall,
  text: UpstreamText,
  role: AttemptRole,
): Promise<AttemptEnd> {
  const health = deps.health.of(facts.target.id)
  const open = await bookOpen(deps, exchange, call, facts, role, startedAtMs)
  exchange.dropped = text.dropped
  health.sent(startedAtMs)
  const end = await run(deps, exchange, call, facts, plan, text, startedAtMs)
  exchange.upstreamMs += end.durationMs
  settleAttempt(deps, exchange, call, bookEnd(deps, exchange, call, facts, open, end))
  const nowMs = deps.clock.nowMs()
  if (end.ttftMs !== null && call.streaming && end.outcome === 'success')
    health.latency.add(end.ttftMs, nowMs)
  if (end.outcome === 'cancelled') health.neutral()
  else if (end.failure === null) health.succeeded()
  else health.failed(end.failure.kind, plan.policy.outlierDetection, nowMs, end.failure.retryAfterMs)
  deps.metrics.targetState(facts.target.id, health.breaker(nowMs).state)
  return end
}

async function run(
  deps: Deps,
  exchange: Exchange,
  call: Call,
  facts: TargetFacts,
  plan: PlannedCall,
  text: UpstreamText,
  startedAtMs: number,
): Promise<AttemptEnd> {
  let signature: Signature
  try {
    const signed = deps.tokens.sign(facts)
    signature = signed instanceof Promise ? await signed : signed
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error
    return unsentEnd(error.toFailure())
  }
  if (exchange.clientGone) return unsentEnd(null)
  extendHold(deps, exchange, plan.policy)
  const { sink } = exchange
  const attempt = startAttempt(deps, {
    call,
    facts,
    request: sign(text, signature, facts),
    streaming: text.streaming,
    timeouts: plan.policy.timeouts,
    ttftMs: plan.policy.timeouts.ttftMs ?? (isThinking(facts, call) ? TTFT_THINKING_MS : TTFT_MS),
    requestId: exchange.id,
    costOf: (usage, responseModel) => runningCost(exchange, call, facts, usage, responseModel, startedAtMs),
    commit: () => {
      exchange.ttftMs = deps.clock.monotonicMs() - exchange.startedMs
      sendHead(exchange, 200, STREAM_HEADERS, facts.target.id)
    },
    write: (bytes) => sink.write(bytes),
  })
  exchange.onGone = attempt.cancel
  sink.onDrain = attempt.resume
  const end = await attempt.ended
  if (end.failure?.renew === true) deps.tokens.invalidate(facts.settings.name, signature)
  exchange.onGone = null
  sink.onDrain = null
  return end
}

const STREAM_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
}

function sign(text: UpstreamText, signature: Signature, facts: TargetFacts): UpstreamRequest {
  return {
    method: 'POST',
    url: withQuery(text.url, signature.query),
    headers: headersOf(text, signature, facts),
    body: text.body,
    allowPrivate: facts.settings.allowPrivate,
  }
}

/** The last headers of a target; they change with its token, or where a dialect has headers of its own. */
const lastHeaders = new WeakMap<TargetFacts, LastHeaders[]>()

interface LastHeaders {
  readonly signature: Signature
  readonly own: UpstreamText['headers']
  readonly headers: UpstreamRequest['headers']
}

function headersOf(text: UpstreamText, signature: Signature, facts: TargetFacts): UpstreamRequest['headers'] {
  const at = text.streaming ? 1 : 0
  const known = lastHeaders.get(facts) ?? []
  const last = known[at]
  if (last !== undefined && last.signature === signature && last.own === text.headers) return last.headers
  const headers = {
    'content-type': 'application/json',
    accept: text.streaming ? 'text/event-stream' : 'application/json',
    'user-agent': 'sluice',
    ...text.headers,
    ...signature.headers,
  }
  known[at] = { signature, own: text.headers, headers }
  lastHeaders.set(facts, known)
  return headers
}

function withQuery(url: URL, query: Signature['query']): URL {
  let signed = url
  for (const name in query) {
    // Addresses are made once and shared.
    if (signed === url) signed = new URL(url)
    signed.searchParams.set(name, query[name] ?? '')
  }
  return signed
}

/** Cost of the request with this attempt's usage as it stands, for `usage.cost`. */
function runningCost(
  exchange: Exchange,
  call: Call,
  facts: TargetFacts,
  usage: TokenUsage,
  responseModel: string | null,
  startedAtMs: number,
): string | null {
  const cost = costOf(exchange.live, call, facts, usage, responseModel, startedAtMs)
  return cost === null ? null : formatNano((sumCosts(exchange.attempts) + cost.amountNano) as Nano)
}

function pause(deps: Deps, exchange: Exchange, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = deps.clock.after(waitMs, resolve)
    exchange.onGone = () => {
      timer.cancel()
      resolve()
    }
  })
}

/** A client that waits long for its first content gets its head and a sign of life. */
function startKeepAlive(deps: Deps, exchange: Exchange): Timer {
  let timer = deps.clock.after(EARLY_HEAD_MS, ping)
  function ping(): void {
    if (exchange.ttftMs !== null || exchange.closed || exchange.clientGone) return
    sendHead(exchange, 200, STREAM_HEADERS, null)
    exchange.sink.write(': ping\n\n')
    timer = deps.clock.after(PING_INTERVAL_MS, ping)
  }
  return { cancel: () => timer.cancel() }
}

function logFailure(deps: Deps, exchange: Exchange, facts: TargetFacts, failure: UpstreamFailure): void {
  deps.log.warn('attempt.failed', {
    request_id: exchange.id,
    target: facts.target.id,
    kind: failure.kind,
    status: failure.status,
    vendor_code: failure.vendorCode,
    vendor_message: failure.vendorMessage.slice(0, 500),
  })
}
