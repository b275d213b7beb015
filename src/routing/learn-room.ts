// What room is worth is learnt from the best place for each request, and from the better ones that had none.

import { type Candidate, costOf, estimate } from './candidate.ts'
import type { PlannerRequest } from './request.ts'
import type { Sifted } from './sift.ts'

/** The usable ones have been estimated. `worth`: of one request within the SLO. */
export function learnRoom(
  { usable, pool }: Sifted,
  request: PlannerRequest,
  worth: number,
  barMs: number,
  nowMs: number,
): void {
  let best: Candidate | null = null
  let most = Number.NEGATIVE_INFINITY
  for (const candidate of usable) {
    const gain = worth * candidate.chance - costOf(candidate)
    if (gain <= most) continue
    most = gain
    best = candidate
  }
  if (best === null) return
  best.state.room.served(worth * crowdingLoss(best, request, barMs, nowMs))
  for (const candidate of pool) {
    const { state, exclusion, waitMs } = candidate
    if (exclusion !== 'quota' || waitMs === Number.POSITIVE_INFINITY) continue
    candidate.outputTokens = best.outputTokens
    estimate(candidate, request, barMs, nowMs)
    const loss = worth * candidate.chance - costOf(candidate) - most
    state.room.turnedAway(loss, state.quotaMinutes(request.inputTokens), nowMs)
  }
}

/** P(within the time to first token) that one more request under way there would take. */
function crowdingLoss(candidate: Candidate, request: PlannerRequest, barMs: number, nowMs: number): number {
  const { state, target, expected, hitShare } = candidate
  const ttft = state.ttft(target.isThinking)
  const level = ttft.levelNow(nowMs)
  const uncached = Math.max(0, request.inputTokens - hitShare * expected.tokens)
  const chance = (inFlight: number): number => ttft.chance(level, ttft.logUsual(uncached, inFlight), barMs)
  return Math.max(0, chance(state.inFlight) - chance(state.inFlight + 1))
}
