// Admission of an attempt: the scopes that count it, the hold it takes, and what a refusal tells the client. Keys and
// targets without limits pass untouched.

import type { Refusal, Scope } from '#core/admission.ts'
import { GatewayError } from '#core/errors.ts'
import type { AttemptRow } from '#core/ledger.ts'
import { formatNano, NANO_ZERO, type Nano } from '#core/money.ts'
import type { PolicySettings } from '#core/settings.ts'
import type { Call, Deps, Exchange } from './context.ts'
import { type Held, holdFor } from './hold.ts'
import type { Lane } from './lane.ts'
import type { Live, TargetFacts } from './live.ts'
import { servedScopes } from './scopes.ts'

/** Why an attempt may not be made. */
export interface Refused {
  readonly error: GatewayError
  /** As in a decision: `limit`, `budget`, `unpriced`, `unbounded`. */
  readonly reason: string
  readonly detail: string
  /** Another target would be refused as well. */
  readonly isFinal: boolean
  /** Resolves when the same attempt is worth asking for again; null: it is not. */
  readonly refill: Promise<void> | null
}

/** An attempt that was let in. */
export interface AdmittedCall {
  /** The call as it may be sent. */
  readonly call: Call
  /** The attempt's start, which dates its price and its charge. */
  readonly atMs: number
  readonly refused: null
}

/** The hold outlives the attempt's own deadline by this much. */
const LEASE_MARGIN_MS = 60_000

const NONE: readonly Scope[] = []

/** Takes all that one attempt needs of every scope at once, or nothing. */
export function admitAttempt(
  deps: Deps,
  exchange: Exchange,
  lane: Lane,
  call: Call,
  facts: TargetFacts,
  policy: PolicySettings,
): AdmittedCall | { readonly refused: Refused } {
  const callerScopes = exchange.key?.scopes ?? NONE
  const targetScopes = servedScopes(exchange.live.settings, facts.target)
  const atMs = deps.clock.nowMs()
  lane.held = null
  if (callerScopes.length === 0 && targetScopes.length === 0) return { call, atMs, refused: null }
  const scopes = [...callerScopes, ...targetScopes]
  const held = hold(deps, exchange.live, call, facts, { scopes, atMs, totalMs: policy.timeouts.totalMs })
  if (held.kind === 'excluded') return { refused: excluded(call, facts, held) }
  lane.grant ??= deps.admission.open(exchange.id, callerScopes)
  const untilMs = leaseEndMs(atMs, policy)
  const ask = { targetScopes, claim: held.claim, atMs, untilMs }
  const refusal = lane.grant.begin(ask)
  exchange.limitHeaders = rateHeaders(deps, callerScopes)
  if (deps.admission.isLocal(scopes))
    exchange.limitHeaders = { ...exchange.limitHeaders, 'x-sluice-limits-mode': 'local' }
  deps.metrics.admission(deps.admission.state)
  if (refusal === null) {
    lane.held = held.money
    exchange.limitHeaders = { ...exchange.limitHeaders, ...boundHeader(held.maxTokens) }
    return { call: held.call, atMs, refused: null }
  }
  const refill = refusal.cause === 'lease' ? lane.grant.refill(ask) : null
  if (refill === null) deps.metrics.admissionRefused(`${refusal.scope.kind}_${refusal.limit}`)
  return { refused: { ...refusedBy(refusal, exchange.live.settings.currency, callerScopes), refill } }
}

function leaseEndMs(fromMs: number, policy: PolicySettings): number {
  return fromMs + policy.timeouts.totalMs + LEASE_MARGIN_MS
}

/** The attempt's own time begins now: what came before, a slow disk or a token to be fetched, was not part of it. */
export function extendHold(deps: Deps, lane: Lane, policy: PolicySettings): void {
  lane.grant?.extend(leaseEndMs(deps.clock.nowMs(), policy))
}

interface Circumstances {
  readonly scopes: readonly Scope[]
  readonly atMs: number
  readonly totalMs: number
}

function hold(
  deps: Deps,
  live: Live,
  call: Call,
  facts: TargetFacts,
  { scopes, atMs, totalMs }: Circumstances,
): Held {
  const isStrict = scopes.some((scope) => scope.budget?.isStrict === true)
  return holdFor({
    live,
    call,
    facts,
    gauge: deps.gauge,
    atMs,
    totalMs,
    tpm: tightestTpm(scopes),
    hasBudget: scopes.some((scope) => scope.budget !== null),
    isStrict,
    leftNano: isStrict ? deps.admission.affordableNano(scopes) : null,
  })
}

function tightestTpm(scopes: readonly Scope[]): number | null {
  let tightest: number | null = null
  for (const { limits } of scopes)
    if (limits.tpm !== null && (tightest === null || limits.tpm < tightest)) tightest = limits.tpm
  return tightest
}

/** A target that a limit or a budget keeps out is no attempt; the decision says why it was passed over. */
export function noteSkipped(exchange: Exchange, facts: TargetFacts, refused: Refused): void {
  const { decision } = exchange
  if (decision === null) return
  const target = facts.target.id
  const { reason, detail } = refused
  if (decision.excluded.some((known) => known.target === target && known.reason === reason)) return
  const wasTried = exchange.attempts.some((attempt) => attempt.target === target)
  exchange.decision = {
    ...decision,
    candidates: wasTried
      ? decision.candidates
      : decision.candidates.filter((candidate) => candidate.target !== target),
    excluded: [...decision.excluded, { target, reason, detail }],
  }
}

/** An ended attempt: its hold becomes its charge. */
export function settleAttempt(deps: Deps, lane: Lane, row: AttemptRow): void {
  const { grant } = lane
  if (grant === null) return
  const { usage } = row
  grant.settle(row.cost?.amountNano ?? NANO_ZERO, usage.inputTokens + usage.outputTokens)
  deps.metrics.admission(deps.admission.state)
}

/** Nothing was sent. */
export function releaseAttempt(lane: Lane): void {
  lane.grant?.settle(NANO_ZERO, 0)
}

function excluded(call: Call, facts: TargetFacts, held: Extract<Held, { kind: 'excluded' }>): Refused {
  const { reason, detail } = held
  const message = `no target of "${call.model}" can be asked under this budget (${facts.target.id}: ${detail})`
  const error = new GatewayError('no_target', message, { shouldRetry: false })
  return { error, reason, detail, isFinal: false, refill: null }
}

function refusedBy(
  refusal: Refusal,
  currency: string,
  callerScopes: readonly Scope[],
): Omit<Refused, 'refill'> {
  const { scope, limit } = refusal
  const isCaller = callerScopes.includes(scope)
  const detail = `${scope.kind} "${scope.name}": ${stateText(refusal, currency)}`
  // A dearer target may be refused where a cheaper one is not; a rate is the same for all.
  const isFinal = isCaller && limit !== 'budget' && limit !== 'tpm'
  // How much the gateway spends with a provider is not for its clients.
  const shown = isCaller ? detail : `that of ${scope.kind} "${scope.name}"`
  return {
    error: refusalError(refusal, shown),
    reason: limit === 'budget' ? 'budget' : 'limit',
    detail,
    isFinal,
  }
}

function refusalError(refusal: Refusal, detail: string): GatewayError {
  const { limit, used, retryAfterMs, cause } = refusal
  if (cause === 'store') {
    const message = `the store that counts limits for all instances does not answer, and this one may let no more in (${detail})`
    return new GatewayError('store_unavailable', message, { retryAfterMs })
  }
  if (used === null) {
    const what = limit === 'budget' ? 'what was spent of the budget' : 'how the limit stands'
    return new GatewayError('store_unavailable', `${what} is not known yet (${detail})`, { retryAfterMs })
  }
  if (limit === 'budget') {
    return new GatewayError('insufficient_quota', `the budget is used up: ${detail}`, {
      retryAfterMs: refusal.resetAtMs === null ? null : retryAfterMs,
    })
  }
  const isHopeless = retryAfterMs === null
  const message = isHopeless
    ? `the request is larger than its limit: ${detail}`
    : `the rate limit is reached: ${detail}`
  return new GatewayError('rate_limit_exceeded', message, {
    retryAfterMs,
    ...(isHopeless ? { shouldRetry: false } : {}),
  })
}

/** `4.99 of 5 CNY spent, 0.01 held, 0.02 needed; it resets at 2026-12-01T00:00:00.000Z`. */
function stateText(refusal: Refusal, currency: string): string {
  const { limit, allowed, used, held, asked, retryAfterMs, resetAtMs } = refusal
  if (limit === 'budget') {
    const money = (amount: bigint): string => formatNano(amount as Nano)
    const reset = resetAtMs === null ? '' : `; it resets at ${new Date(resetAtMs).toISOString()}`
    return `${used === null ? '?' : money(used)} of ${money(allowed)} ${currency} spent, ${money(held)} held, ${money(asked)} needed${reset}`
  }
  const known = used ?? '?'
  const wait = retryAfterMs === null ? '' : `; there is room in ${Math.ceil(retryAfterMs / 1000)} s`
  if (limit === 'concurrency') return `${known} of ${allowed} requests run`
  if (limit === 'rpm') return `${known} of ${allowed} requests in the last 60 s (rpm)${wait}`
  return `${known} of ${allowed} tokens in the last 60 s (tpm), up to ${asked} needed${wait}`
}

/** As OpenAI names them. */
function rateHeaders(deps: Deps, scopes: readonly Scope[]): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  const states = deps.admission.rates(scopes)
  for (const name of ['requests', 'tokens'] as const) {
    const state = states[name]
    if (state === null) continue
    headers[`x-ratelimit-limit-${name}`] = String(state.limit)
    headers[`x-ratelimit-remaining-${name}`] = String(state.remaining)
    headers[`x-ratelimit-reset-${name}`] = `${Math.ceil(state.resetMs / 100) / 10}s`
  }
  return headers
}

/** What we bound without being asked, the client is told. */
function boundHeader(maxTokens: number | null): Readonly<Record<string, string>> {
  return maxTokens === null ? {} : { 'x-sluice-max-tokens': String(maxTokens) }
}
