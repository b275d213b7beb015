// Which target to try though it does not look best: a cheaper one that, were it as it usually is, would be chosen, one
// that nobody has asked for long, and one that was ejected and had been the best.

import type { Sort } from '#core/settings.ts'
import { type Candidate, costOf } from './candidate.ts'

/** So much cheaper, or nothing is won. */
const CHEAPER = 0.97
const GAP_MS_MIN = 5_000
const GAP_MS_MAX = 30_000
/** A target that is due is tried with this probability by each request that could. */
export const EXPLORE_CHANCE = 0.5
const FORGOTTEN_MS = 60_000
/** What was the best choice not longer ago is missed while it is ejected, whatever it costs. */
const MISSED_MS = 1_200_000
/** Failures of a target that is well. */
const USUAL_FAILURES = 0.005

/** null: none is due. `candidates` are in order, the first of them the present choice. */
export function findExploration(
  candidates: readonly Candidate[],
  worth: number,
  barMs: number,
  nowMs: number,
): Candidate | null {
  const choice = candidates[0]
  if (choice === undefined) return null
  let found: Candidate | null = null
  let most = choice.utility
  for (const candidate of candidates) {
    if (candidate === choice || candidate.rank !== choice.rank) continue
    const { state } = candidate
    const ttft = state.ttft(candidate.target.isThinking)
    const waitMs = state.nextProbeAtMs - nowMs
    if (state.exploring > 0 || (waitMs > 0 && waitMs <= GAP_MS_MAX)) continue
    if (ttft.isOverdue(nowMs)) continue
    const isCheaper = costOf(candidate) < CHEAPER * costOf(choice)
    const isMissed = nowMs - state.chosenAtMs <= MISSED_MS && state.breaker(nowMs).state === 'half_open'
    if (!isCheaper && !isMissed) continue
    // Of what has not been heard for long, the usual may have changed, too.
    const isForgotten = nowMs - state.sentAtMs >= FORGOTTEN_MS
    const inTime = isForgotten ? 1 : ttft.usualChance(candidate.logUsualMiss, barMs)
    const utility =
      worth * inTime * candidate.tpotChance * (1 - USUAL_FAILURES) - costOf(candidate) - candidate.roomCost
    if (utility <= most) continue
    most = utility
    found = candidate
  }
  return found
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
