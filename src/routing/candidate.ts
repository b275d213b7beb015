// One target as a decision sees it: whether it may be used now, and what the attempt there would be like.

import type { AccountState } from './account.ts'
import { meanLevel } from './level.ts'
import { type Expected, UNSEEN } from './prefixes.ts'
import type { PlannerRequest, PlannerTarget } from './request.ts'
import type { TargetState } from './target-state.ts'

/** Why a target is left out; machine-readable. */
export type Exclusion =
  | 'capability'
  | 'context_length'
  | 'unpriced'
  | 'max_price'
  | 'quota'
  | 'cooling_down'
  | 'breaker_open'
  | 'tried'
  | 'retry_budget'
  | 'slo'

/** Reused from decision to decision, so that a decision leaves next to nothing behind. */
export interface Candidate {
  target: PlannerTarget
  state: TargetState
  account: AccountState
  exclusion: Exclusion | null
  /** Until it may be used; Infinity: not by waiting. */
  waitMs: number
  expected: Expected
  hitShare: number
  logUsualHit: number
  logUsualMiss: number
  outputTokens: number
  /** Expected, of a whole answer and of its input alone. */
  cost: number
  inputCost: number
  /** What the room that it would take is worth to others. */
  roomCost: number
  /** P(first token in time), given that it answers. */
  ttftChance: number
  /** P(quick enough to write), given that it answers. */
  tpotChance: number
  failureChance: number
  refusalChance: number
  /** P(no content until it is given up), given that it does not fail at once. */
  hangChance: number
  /** P(within the SLO). */
  chance: number
  /** Expected time to first token. */
  ttftMs: number
  utility: number
  /** The request's own order of targets. */
  precedence: number
  /** Lower before higher, whatever the sort says: 0 meets what is preferred, 1 does not. */
  rank: number
}

export function blankCandidate(target: PlannerTarget, state: TargetState): Candidate {
  return {
    target,
    state,
    account: state.account,
    exclusion: null,
    waitMs: 0,
    expected: UNSEEN,
    hitShare: 0,
    logUsualHit: 0,
    logUsualMiss: 0,
    outputTokens: 0,
    cost: Number.NaN,
    inputCost: Number.NaN,
    roomCost: 0,
    ttftChance: 0,
    tpotChance: 1,
    failureChance: 0,
    refusalChance: 0,
    hangChance: 0,
    chance: 0,
    ttftMs: 0,
    utility: 0,
    precedence: 0,
    rank: 0,
  }
}

/** An unpriced target costs nothing that could be compared. */
export function known(cost: number): number {
  return Number.isNaN(cost) ? 0 : cost
}

export function costOf(candidate: Candidate): number {
  return known(candidate.cost)
}

/** Where the policy does not say it. */
const TIMEOUT_MS = 15_000
const THINKING_TIMEOUT_MS = 180_000

/** When an attempt without content is given up. */
export function timeoutMsOf({ policy }: Pick<PlannerRequest, 'policy'>, isThinking: boolean): number {
  return policy.timeouts.ttftMs ?? (isThinking ? THINKING_TIMEOUT_MS : TIMEOUT_MS)
}

/** Fills in all that does not hang on the other candidates. `barMs`: what is left of the time to first token. */
export function estimate(candidate: Candidate, request: PlannerRequest, barMs: number, nowMs: number): void {
  const { state, target } = candidate
  const { inputTokens, policy } = request
  estimateUsual(candidate, request, nowMs)
  const ttft = state.ttft(target.isThinking)
  const level = ttft.levelNow(nowMs)
  const { hitShare, logUsualHit, logUsualMiss } = candidate
  const missChance = ttft.chance(level, logUsualMiss, barMs)
  candidate.ttftChance =
    hitShare === 0
      ? missChance
      : missChance + hitShare * (ttft.chance(level, logUsualHit, barMs) - missChance)
  candidate.hangChance = ttft.hangChance(level, logUsualMiss, timeoutMsOf(request, target.isThinking))
  candidate.tpotChance = policy.slo.tpotMs === null ? 1 : state.speed.chance(policy.slo.tpotMs)
  candidate.failureChance = state.failures.expected(nowMs)
  candidate.refusalChance = candidate.account.refusals.expected(nowMs)
  candidate.chance =
    candidate.ttftChance *
    candidate.tpotChance *
    (1 - candidate.failureChance) *
    (1 - candidate.refusalChance)
  const usualMs = hitShare * Math.exp(logUsualHit) + (1 - hitShare) * Math.exp(logUsualMiss)
  candidate.ttftMs = Math.exp(meanLevel(level)) * usualMs
  const cached = candidate.hitShare * candidate.expected.tokens
  candidate.cost = target.quote.cost(nowMs, inputTokens, cached, candidate.outputTokens)
  candidate.roomCost = state.room.priceOf(state.quotaMinutes(inputTokens), state.inFlight, nowMs)
  candidate.inputCost = known(target.quote.cost(nowMs, inputTokens, cached, 0))
}

/** What is usual for such a request there, without the level of the moment. */
export function estimateUsual(candidate: Candidate, request: PlannerRequest, nowMs: number): void {
  const { state, target } = candidate
  const ttft = state.ttft(target.isThinking)
  candidate.expected = candidate.account.expect(request, nowMs)
  const tokens = Math.min(candidate.expected.tokens, request.inputTokens)
  candidate.hitShare = tokens === 0 ? 0 : candidate.account.prefixes.hitRate(candidate.expected.ageMs)
  candidate.logUsualMiss = ttft.logUsual(request.inputTokens, state.inFlight)
  candidate.logUsualHit =
    tokens === 0 ? candidate.logUsualMiss : ttft.logUsual(request.inputTokens - tokens, state.inFlight)
}
