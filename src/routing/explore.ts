// Which target to try though it does not look best: a cheaper one, or one that was ejected and had been the best, when
// what is known of it is old enough and what could be saved there is enough to pay for the try.

import type { Sort } from '#core/settings.ts'
import type { Call } from './call.ts'
import { type Candidate, costOf } from './candidate.ts'
import { wasSetBack } from './clock.ts'
import { RETURN_MS } from './level.ts'
import { CHANGED_HORIZON_MS, HORIZON_MS, LURE_MS } from './lure.ts'
import type { Sifted } from './sift.ts'
import type { TargetState } from './target-state.ts'

/** So much cheaper, or nothing is won. */
const CHEAPER = 0.97
const GAP_MS_MIN = 5_000
const GAP_MS_MAX = 30_000
/** A target that is due is tried with this probability by each request that could. */
export const EXPLORE_CHANCE = 0.5
/** A try is to win so many times what it costs: what it may win is less sure than its price. */
const EARNINGS = 2
/** What is usual of a target may have changed for good, too; once in about so long. */
const USUAL_MS = 1_200_000
/** What was the best choice not longer ago is missed while it is ejected, whatever it costs. */
const MISSED_MS = 1_200_000
/** Failures of a target that is well. */
const USUAL_FAILURES = 0.005

/**
 * The target whose try gains most; null: none is worth what it costs. A try gains what requests would save there as long
 * as news of it stays good, times the chance that it is now as it usually is, or better than it ever was.
 * `candidates` are in order, the first of them the present choice.
 */
export function findExploration(
  candidates: readonly Candidate[],
  worth: number,
  barMs: number,
  costOfTry: (candidate: Candidate) => number,
  nowMs: number,
): Candidate | null {
  const choice = candidates[0]
  if (choice === undefined) return null
  let found: Candidate | null = null
  let most = 0
  for (const candidate of candidates) {
    if (candidate === choice || candidate.rank !== choice.rank) continue
    const { state } = candidate
    const isCheaper = costOf(candidate) < CHEAPER * costOf(choice)
    const ttft = state.ttft(candidate.target.isThinking)
    const isAmiss = state.breaker(nowMs).state === 'half_open' || ttft.asUsualChance(nowMs) < 0.5
    if (!isCheaper && !(isAmiss && nowMs - state.chosenAtMs <= MISSED_MS)) continue
    const inTime = ttft.usualChance(candidate.logUsualMiss, barMs)
    const quick = worth * candidate.tpotChance * (1 - USUAL_FAILURES)
    const paid = costOf(candidate) + candidate.roomCost + choice.utility
    state.lure.add(quick * inTime - paid, nowMs)
    // One that has changed may be as quick as the one that is chosen now; what nobody answers in time it will not, either.
    const hope = quick * Math.max(inTime, choice.ttftChance) - paid
    state.hope.add(hope, nowMs)
    if (hope <= 0 || !isDue(candidate, nowMs)) continue
    const answers = (1 - candidate.failureChance) * (1 - candidate.refusalChance)
    const quietMs = quietFor(state, nowMs)
    const isUsual = answers * (ttft.isKnown ? 1 - Math.exp(-quietMs / RETURN_MS) : ttft.asUsualChance(nowMs))
    const hasChanged = 1 - Math.exp(-quietMs / USUAL_MS)
    const savings =
      isUsual * HORIZON_MS * state.lure.now(nowMs) + hasChanged * CHANGED_HORIZON_MS * state.hope.now(nowMs)
    const gain = savings / LURE_MS - EARNINGS * costOfTry(candidate)
    if (gain <= most) continue
    most = gain
    found = candidate
  }
  return found
}

/**
 * Where nothing is likely to be in time, and requests are refused rather than answered late: a single one finds out
 * whether a target has become quick. False: none is due.
 */
export function probe(call: Call, { usable, pool }: Sifted, nowMs: number): boolean {
  if (call.attempts > 0 || !call.request.isStreamed) return false
  let found: Candidate | null = null
  for (const candidate of pool) {
    if (candidate.exclusion !== 'slo') continue
    if (candidate.state.exploring > 0) return false
    if (!isDue(candidate, nowMs)) continue
    if (found === null || candidate.utility > found.utility) found = candidate
  }
  if (found === null) return false
  found.exclusion = null
  usable.push(found)
  call.exploring = found.target.id
  explored(found, nowMs)
  return true
}

function isDue({ state, target }: Candidate, nowMs: number): boolean {
  const waitMs = state.nextProbeAtMs - nowMs
  if (state.exploring > 0 || (waitMs > 0 && waitMs <= GAP_MS_MAX)) return false
  // What is sent there for itself tells as much.
  if (quietFor(state, nowMs) < GAP_MS_MIN) return false
  return !state.ttft(target.isThinking).isOverdue(nowMs)
}

/** Infinity: nothing has been sent there. */
function quietFor({ sentAtMs }: TargetState, nowMs: number): number {
  return wasSetBack(sentAtMs, nowMs) ? Number.POSITIVE_INFINITY : Math.max(0, nowMs - sentAtMs)
}

/** One that has hardly answered is tried further while it seems so near to the quickest. */
const NEAR = 1.5

/**
 * Where the quickest is asked for, one of which only is guessed how quick it is: else the first that is quicker than a
 * guess would be asked for ever. null: all are known, or what is known of them is enough.
 */
export function findUnknown(candidates: readonly Candidate[], by: Sort): Candidate | null {
  const choice = candidates[0]
  if (by !== 'latency' && by !== 'throughput') return null
  if (choice === undefined || samplesOf(choice, by) === 0) return null
  for (const candidate of candidates) {
    if (candidate === choice || candidate.rank !== choice.rank || candidate.state.exploring > 0) continue
    if (samplesOf(candidate, by) === 0) return candidate
    const isGuess = by === 'latency' && !candidate.state.ttft(candidate.target.isThinking).isKnown
    if (isGuess && candidate.ttftMs < NEAR * choice.ttftMs) return candidate
  }
  return null
}

function samplesOf({ state, target }: Candidate, by: 'latency' | 'throughput'): number {
  return by === 'latency' ? state.ttft(target.isThinking).samples : state.speed.samples
}

/** The next try of the same target waits longer, unless it is chosen for itself meanwhile. */
export function explored({ state }: Candidate, nowMs: number): void {
  state.probeGapMs = Math.min(GAP_MS_MAX, Math.max(GAP_MS_MIN, 2 * state.probeGapMs))
  state.nextProbeAtMs = nowMs + state.probeGapMs
}

export function chosen({ state }: Candidate, nowMs: number): void {
  state.probeGapMs = 0
  state.chosenAtMs = nowMs
}
