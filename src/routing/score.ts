// The order of the candidates that may be used: the policy's `sort`, after what is preferred.

import type { Percentiles, PolicySettings } from '#core/settings.ts'
import { PERCENTILES } from '#core/settings.ts'
import { type Candidate, costOf } from './candidate.ts'
import type { PlannerRequest } from './request.ts'

const SHARE_OF: Readonly<Record<(typeof PERCENTILES)[number], number>> = {
  p50: 0.5,
  p75: 0.75,
  p90: 0.9,
  p99: 0.99,
}
/** Under sorts that do not weigh it, a target is quick enough when it is in time this often. */
const SLO_SHARE = 0.9
/** Below this chance no target can be said to meet the SLO. */
const HOPE = 0.5
/** A refusal or an error that comes at once leaves most of the time for the next target. */
const FALLBACK_KEEPS = 0.92
/** Failures that are quick; the others hang. */
const QUICK_FAILURES = 0.6
/** What an answer that comes late, but not very late, is worth against one in time: of two misses the lesser. */
const LATE_WORTH = 0.06
const LATE_TIMES = 3

/** A last attempt that fails leaves the request without any answer. */
const LOST_WORTH = 10
/** A request that hangs until it is given up is worse than one that misses the SLO by a little. */
export const HANG_WORTH = 0.25

export interface Scoring {
  readonly request: PlannerRequest
  /** Left of the time to first token. */
  readonly barMs: number
  /** Of one request within the SLO, book currency. */
  readonly worth: number
  /** No further attempt may follow. */
  readonly isLast: boolean
  readonly nowMs: number
  readonly random: () => number
}

/** Sorts in place, best first. False: nothing is likely to meet the SLO. */
export function rank(candidates: Candidate[], scoring: Scoring): boolean {
  const { policy } = scoring.request
  setUtilities(candidates, scoring)
  for (const candidate of candidates) {
    candidate.rank = RANKS * candidate.precedence + (isPreferred(candidate, scoring) ? 0 : 1)
  }
  keepSession(candidates, scoring.request)
  const hasHope = meetsSlo(candidates, scoring.request)
  sort(candidates, hasHope ? policy.sort : OTHERWISE[policy.onNoCandidate], scoring)
  return hasHope
}

export const OTHERWISE = {
  best_value: 'value',
  fastest: 'latency',
  cheapest: 'price',
  reject: 'value',
} as const

/** Where the policy wants it so, a session stays where its last request went. */
function keepSession(candidates: readonly Candidate[], { policy, session }: PlannerRequest): void {
  if (policy.affinity !== 'session' || session === null) return
  let latest: Candidate | null = null
  let latestAtMs = Number.NEGATIVE_INFINITY
  for (const candidate of candidates) {
    const atMs = candidate.state.sessionAtMs(session)
    if (atMs < latestAtMs || atMs === Number.NEGATIVE_INFINITY) continue
    // A refusal and the fallback behind it may come within one millisecond: then it is where the answer came from.
    if (atMs === latestAtMs && latest !== null && !hasAnsweredSince(candidate, latest)) continue
    latest = candidate
    latestAtMs = atMs
  }
  if (latest !== null) latest.rank += SESSION_RANK
}

function hasAnsweredSince(one: Candidate, other: Candidate): boolean {
  return one.state.succeededAtMs > other.state.succeededAtMs
}

/** Before all that is preferred. */
const SESSION_RANK = -10
/** What the request itself puts in an order goes before all of this. */
const RANKS = 100

/** Other sorts than by value keep to targets that are in time nine times in ten, where there are any; one that is not
 * known yet must be tried once. */
function meetsSlo(candidates: readonly Candidate[], { policy }: PlannerRequest): boolean {
  if (policy.slo.ttftMs === null && policy.slo.tpotMs === null) return true
  if (policy.sort === 'value') return candidates.some((candidate) => candidate.chance >= HOPE)
  let isMet = false
  for (const candidate of candidates) {
    const isUnobserved = candidate.state.ttft(candidate.target.isThinking).samples === 0
    if (isUnobserved || candidate.ttftChance * candidate.tpotChance >= SLO_SHARE) isMet = true
    else candidate.rank += 2
  }
  return isMet
}

function setUtilities(candidates: readonly Candidate[], scoring: Scoring): void {
  const { worth, isLast } = scoring
  let best: Candidate | null = null
  let second: Candidate | null = null
  for (const candidate of candidates) {
    candidate.utility = worth * candidate.chance - costOf(candidate)
    if (best === null || candidate.utility > best.utility) {
      second = best
      best = candidate
    } else if (second === null || candidate.utility > second.utility) second = candidate
  }
  const areAllLate = best !== null && candidates.every((candidate) => candidate.chance < HOPE)
  for (const candidate of candidates) {
    const fallback = candidate === best ? second : best
    const quick = candidate.refusalChance + QUICK_FAILURES * candidate.failureChance
    const rescued =
      fallback === null || isLast ? 0 : quick * (FALLBACK_KEEPS * worth * fallback.chance - costOf(fallback))
    const unanswered = candidate.failureChance + candidate.refusalChance + candidate.hangChance
    const lost = isLast || fallback === null ? LOST_WORTH * worth * unanswered : 0
    const hung =
      fallback === null
        ? 0
        : candidate.hangChance * (candidate.inputCost + costOf(fallback) + HANG_WORTH * worth)
    candidate.utility =
      worth * candidate.chance -
      costOf(candidate) * (1 - quick - candidate.hangChance) +
      rescued -
      lost -
      hung -
      candidate.roomCost
    if (areAllLate) candidate.utility += worth * LATE_WORTH * lateChance(candidate, scoring)
  }
}

function lateChance(candidate: Candidate, { request, barMs, nowMs }: Scoring): number {
  const ttft = candidate.state.ttft(candidate.target.isThinking)
  const fullBarMs = request.policy.slo.ttftMs ?? 0
  const lateMs = Math.max(barMs, 0) + LATE_TIMES * fullBarMs
  return (
    ttft.chance(ttft.levelNow(nowMs), candidate.logUsualMiss, lateMs) *
    (1 - candidate.failureChance) *
    (1 - candidate.refusalChance)
  )
}

function isPreferred(candidate: Candidate, scoring: Scoring): boolean {
  const { preferredMaxLatency, preferredMinThroughput } = scoring.request.policy
  return (
    (preferredMaxLatency === null ||
      holds(preferredMaxLatency, (ms) => latencyChance(candidate, scoring.nowMs, ms))) &&
    (preferredMinThroughput === null ||
      holds(preferredMinThroughput, (rate) => candidate.state.speed.chance(1000 / rate)))
  )
}

function latencyChance(candidate: Candidate, nowMs: number, ms: number): number {
  const ttft = candidate.state.ttft(candidate.target.isThinking)
  return ttft.chance(ttft.levelNow(nowMs), candidate.logUsualMiss, ms)
}

function holds(bars: Percentiles, chance: (bar: number) => number): boolean {
  return PERCENTILES.every((name) => {
    const bar = bars[name]
    return bar === undefined || chance(bar) >= SHARE_OF[name]
  })
}

function sort(candidates: Candidate[], by: PolicySettings['sort'], scoring: Scoring): void {
  if (by === 'weighted') shuffleByWeight(candidates, scoring.random)
  const compare = COMPARE[by]
  // Stable, and quick for the few targets that a model has.
  for (let place = 1; place < candidates.length; place++) {
    const candidate = candidates[place] as Candidate
    let before = place - 1
    while (before >= 0 && isBefore(candidate, candidates[before] as Candidate, compare)) {
      candidates[before + 1] = candidates[before] as Candidate
      before--
    }
    candidates[before + 1] = candidate
  }
}

type Compare = (a: Candidate, b: Candidate) => number

function isBefore(a: Candidate, b: Candidate, compare: Compare): boolean {
  return a.rank === b.rank ? compare(a, b) < 0 : a.rank < b.rank
}

/** What has no price comes last. */
const byCost: Compare = (a, b) => {
  const aIsPriced = !Number.isNaN(a.cost)
  if (aIsPriced !== !Number.isNaN(b.cost)) return aIsPriced ? -1 : 1
  return costOf(a) - costOf(b) || a.target.priority - b.target.priority
}

const COMPARE: Readonly<Record<PolicySettings['sort'], Compare>> = {
  value: (a, b) => b.utility - a.utility || a.target.priority - b.target.priority,
  price: byCost,
  latency: (a, b) => a.ttftMs - b.ttftMs || byCost(a, b),
  throughput: (a, b) => b.state.speed.tokensPerSecond() - a.state.speed.tokensPerSecond() || byCost(a, b),
  priority: (a, b) => a.target.priority - b.target.priority || byCost(a, b),
  weighted: () => 0,
}

/** Draws without replacement, each time in proportion to the weights left. */
function shuffleByWeight(candidates: Candidate[], random: () => number): void {
  for (let place = 0; place < candidates.length; place++) {
    let total = 0
    for (let index = place; index < candidates.length; index++) total += candidates[index]?.target.weight ?? 0
    let point = random() * total
    let drawn = place
    while (drawn < candidates.length - 1) {
      point -= candidates[drawn]?.target.weight ?? 0
      if (point < 0) break
      drawn++
    }
    const candidate = candidates[drawn] as Candidate
    candidates.copyWithin(place + 1, place, drawn)
    candidates[place] = candidate
  }
}
