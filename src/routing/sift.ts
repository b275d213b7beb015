// Which targets may take the next attempt of a request now, why not the others, and how long to wait for those.

import type { PolicySettings } from '#core/settings.ts'
import { chooseAccount } from './account.ts'
import type { Allowance } from './allowance.ts'
import type { Call } from './call.ts'
import { blankCandidate, type Candidate, type Exclusion, timeoutMsOf } from './candidate.ts'
import type { PlannerRequest, PlannerTarget, Quote } from './request.ts'
import type { TargetState } from './target-state.ts'
import type { Targets } from './targets.ts'

export interface Sifted {
  /** May be used, in the order of the configuration until they are ranked. */
  readonly usable: Candidate[]
  /** All targets of the request, in that order; reused from decision to decision. */
  readonly pool: Candidate[]
}

/** A target that has succeeded so lately is well: to try it next is no retry of what fails. */
const WELL_MS = 10_000
/** Share of requests that may be retried where nothing is well, while something is ejected. */
const RETRY_SHARE = 0.1
/** A request waits no longer for limits than this in all, and no longer than that for targets that fail. */
const QUOTA_PATIENCE_MS = 120_000
const EJECTED_PATIENCE_MS = 30_000
const WAIT_MS_MAX = 2_000
const WAIT_MS_MIN = 5
/** Of the timeout. */
const PROBE_SHARE = 0.5

export function sift(into: Sifted, call: Call, targets: Targets, retries: Allowance, nowMs: number): void {
  const { usable, pool } = into
  const { request } = call
  usable.length = 0
  pool.length = request.targets.length
  let areEjected = false
  for (let index = 0; index < pool.length; index++) {
    const target = request.targets[index] as PlannerTarget
    const state = targets.of(target)
    const candidate = pool[index] ?? blankCandidate(target, state)
    pool[index] = candidate
    candidate.target = target
    candidate.state = state
    candidate.account = chooseAccount(state.accounts, request, call.spent.get(target.id), nowMs)
    candidate.waitMs = 0
    candidate.rank = 0
    candidate.precedence = request.ranks?.[index] ?? 0
    candidate.exclusion = exclusionOf(candidate, call, nowMs)
    if (state.breaker(nowMs).state !== 'closed') areEjected = true
    if (candidate.exclusion === null) usable.push(candidate)
  }
  if (!areEjected) retries.clear()
  else if (call.attempts === 0) retries.earn(RETRY_SHARE)
  // Single failures are no outage; once targets are ejected, what is retried beside well ones is counted.
  const mayRetry = !areEjected || retries.has(1)
  if (call.attempts > 0 && !mayRetry) keepToWell(usable, nowMs)
  if (usable.length === 0) lastResort(into, call, mayRetry, retries, nowMs)
}

function exclusionOf(candidate: Candidate, call: Call, nowMs: number): Exclusion | null {
  const { target, state } = candidate
  const { request } = call
  const hard = hardExclusion(target, call, nowMs)
  if (hard !== null) {
    candidate.waitMs = Number.POSITIVE_INFINITY
    return hard
  }
  if (request.tried.includes(target.id) && !hasAnotherKey(state, call)) return 'tried'
  return passingExclusion(candidate, state, request, nowMs)
}

/** What failed was the key that it was asked with, and it has others. */
function hasAnotherKey(state: TargetState, { spent }: Call): boolean {
  const keys = spent.get(state.id)
  return keys !== undefined && keys.size < state.accounts.length
}

/** What waiting does not change. */
function hardExclusion(target: PlannerTarget, call: Call, nowMs: number): Exclusion | null {
  const { policy, needs, inputTokens, outputTokensMax, windowTokens } = call.request
  for (const need of needs) if (target.lacks(need)) return 'capability'
  const { contextWindow, quote } = target
  if (contextWindow !== null) {
    if (windowTokens > contextWindow || contextWindow <= call.windowMin) return 'context_length'
  }
  if (policy.sort === 'price' || policy.sort === 'value') {
    if (Number.isNaN(quote.cost(nowMs, inputTokens, 0, 0))) return 'unpriced'
  }
  const { maxPrice } = policy
  if (maxPrice === null) return null
  return isDearer(quote, maxPrice, inputTokens, outputTokensMax, nowMs) ? 'max_price' : null
}

/** At the tier and the hour of the request. */
export function isDearer(
  quote: Quote,
  maxPrice: NonNullable<PolicySettings['maxPrice']>,
  inputTokens: number,
  outputTokensMax: number | null,
  atMs: number,
): boolean {
  const { input, output } = maxPrice
  const outputTokens = outputTokensMax ?? 0
  if (input !== null && quote.inputPrice(atMs, inputTokens, outputTokens) > input) return true
  return output !== null && quote.outputPrice(atMs, inputTokens, outputTokens) > output
}

function passingExclusion(
  candidate: Candidate,
  state: TargetState,
  request: PlannerRequest,
  nowMs: number,
): Exclusion | null {
  const breaker = state.breaker(nowMs)
  if (breaker.state !== 'closed' && (breaker.state === 'open' || breaker.probing)) {
    candidate.waitMs = breaker.state === 'open' ? breaker.untilMs - nowMs : WAIT_MS_MAX
    return 'breaker_open'
  }
  if (breaker.state === 'half_open' && !isTelling(candidate, request)) {
    candidate.waitMs = WAIT_MS_MAX
    return 'breaker_open'
  }
  const { account } = candidate
  const waitMs = account.waitMs(request, nowMs)
  if (waitMs <= 0) return null
  candidate.waitMs = waitMs
  if (nowMs < account.ejectedUntilMs) return 'breaker_open'
  // What is larger than the limit itself does not fit after a cooldown either.
  return account.isCoolingDown(nowMs) && waitMs < Number.POSITIVE_INFINITY ? 'cooling_down' : 'quota'
}

/** A single probe is to tell soon how the target is: a prompt that usually takes most of the timeout would not. */
function isTelling({ target, state }: Candidate, request: PlannerRequest): boolean {
  const logUsual = state.ttft(target.isThinking).logUsual(request.inputTokens, state.inFlight)
  return !request.isStreamed || Math.exp(logUsual) < PROBE_SHARE * timeoutMsOf(request, target.isThinking)
}

function isWell(state: TargetState, nowMs: number): boolean {
  const breaker = state.breaker(nowMs)
  if (breaker.state !== 'closed') return false
  return breaker.consecutiveFailures === 0 || nowMs - state.succeededAtMs <= WELL_MS
}

function keepToWell(usable: Candidate[], nowMs: number): void {
  let kept = 0
  for (const candidate of usable) {
    if (isWell(candidate.state, nowMs)) usable[kept++] = candidate
    else {
      candidate.exclusion = 'retry_budget'
      candidate.waitMs = WAIT_MS_MAX
    }
  }
  usable.length = kept
}

/**
 * Nothing is left: a target that has been tried may be tried again; a prompt larger than has ever passed must go
 * somewhere; and with everything ejected the one that comes back first is asked, since refusing all would be the
 * greater outage.
 */
function lastResort(
  { usable, pool }: Sifted,
  call: Call,
  mayRetry: boolean,
  retries: Allowance,
  nowMs: number,
): void {
  let soonest = Number.POSITIVE_INFINITY
  for (const candidate of pool) {
    if (candidate.exclusion === 'tried') {
      const again = passingExclusion(candidate, candidate.state, call.request, nowMs)
      if (again === null && (mayRetry || isWell(candidate.state, nowMs))) use(usable, candidate)
      else if (again === null) candidate.waitMs = WAIT_MS_MAX
    }
    if (candidate.waitMs < soonest) soonest = candidate.waitMs
  }
  if (usable.length > 0) return
  if (call.request.keepsLimits) {
    // What was learnt of a limit may be wrong: good for choosing somebody else, not for letting a client wait.
    for (const candidate of pool) if (isLearntOnly(candidate)) use(usable, candidate)
    if (usable.length > 0) return
  }
  const isOversized = soonest === Number.POSITIVE_INFINITY
  if (isOversized) {
    for (const candidate of pool) if (candidate.exclusion === 'quota') use(usable, candidate)
    return
  }
  const areAllEjected = pool.every(
    ({ exclusion, waitMs }) => exclusion === 'breaker_open' || waitMs === Number.POSITIVE_INFINITY,
  )
  if (!areAllEjected || (call.attempts > 0 && !mayRetry)) return
  if (call.attempts > 0) retries.spend(1)
  for (const candidate of pool) if (candidate.waitMs === soonest) use(usable, candidate)
}

function isLearntOnly({ exclusion, account: { quota, sharedQuota } }: Candidate): boolean {
  return exclusion === 'quota' && !quota.isDeclared && sharedQuota?.isDeclared !== true
}

function use(usable: Candidate[], candidate: Candidate): void {
  candidate.exclusion = null
  usable.push(candidate)
}

/**
 * Leaves out what is known to miss the SLO. A target that has hardly answered yet must be tried: refused by a guess, it
 * would never be known.
 */
export function keepUnknown(usable: Candidate[]): void {
  let kept = 0
  for (const candidate of usable) {
    if (!candidate.state.ttft(candidate.target.isThinking).isKnown) usable[kept++] = candidate
    else {
      candidate.exclusion = 'slo'
      candidate.waitMs = Number.POSITIVE_INFINITY
    }
  }
  usable.length = kept
}

/** When the first target may be had again; null: none by waiting. */
export function soonestMs({ pool }: Sifted): number | null {
  let soonest = Number.POSITIVE_INFINITY
  for (const { exclusion, waitMs } of pool) {
    if (exclusion !== null && waitMs > 0 && waitMs < soonest) soonest = waitMs
  }
  return soonest === Number.POSITIVE_INFINITY ? null : soonest
}

/** How long to wait before asking again; null: no use. */
export function waitFor({ pool }: Sifted, waitedMs: number, patience: number | null): number | null {
  let soonest = Number.POSITIVE_INFINITY
  let isForLimits = false
  for (const { exclusion, waitMs } of pool) {
    const isLimit = exclusion === 'quota' || exclusion === 'cooling_down'
    if (isLimit) isForLimits = true
    // Who says how long he waits waits for limits: what fails may go on failing.
    else if (patience !== null && exclusion !== 'tried') continue
    if (exclusion !== null && waitMs > 0 && waitMs < soonest) soonest = waitMs
  }
  const patienceMs = patience ?? (isForLimits ? QUOTA_PATIENCE_MS : EJECTED_PATIENCE_MS)
  if (soonest === Number.POSITIVE_INFINITY || waitedMs > patienceMs) return null
  // Whoever has said how long he waits would rather hear at once that it will not do.
  if (patience !== null && waitedMs + soonest > patience) return null
  return Math.ceil(Math.min(WAIT_MS_MAX, Math.max(WAIT_MS_MIN, soonest)))
}
