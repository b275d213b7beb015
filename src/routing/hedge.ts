// When a second target is worth asking before the first one has answered, and whether it still is when the time comes.

import type { Candidate } from './candidate.ts'
import { costOf } from './score.ts'
import type { TtftModel } from './ttft.ts'

/** Of the second target's expected time, so much is left for it when it is asked. */
const LEFT = [1.1, 1.35, 1.7, 2.2, 3]

export interface FirstAttempt {
  readonly ttft: TtftModel
  readonly logUsualHit: number
  readonly logUsualMiss: number
  readonly hitShare: number
  readonly inputCost: number
  readonly cost: number
}

/** P(the first token is there by then), from the time it was sent. */
function chanceBy(first: FirstAttempt, level: Float64Array, ms: number): number {
  const miss = first.ttft.chance(level, first.logUsualMiss, ms)
  if (first.hitShare === 0) return miss
  return miss + first.hitShare * (first.ttft.chance(level, first.logUsualHit, ms) - miss)
}

/**
 * What asking `second` at `atMs` gains, book currency, given that the first is silent until then. `barMs` is what the
 * first had when it was sent.
 */
export function hedgeGain(
  first: FirstAttempt,
  level: Float64Array,
  second: Candidate,
  secondChance: number,
  worth: number,
  atMs: number,
  barMs: number,
): number {
  const silent = 1 - chanceBy(first, level, atMs)
  if (silent <= 0) return 0
  const inTime = (chanceBy(first, level, barMs) - chanceBy(first, level, atMs)) / silent
  const rescued = (1 - inTime) * secondChance
  // The loser's prompt is billed, and the winner may be dearer than the first would have been.
  const extra = inTime * second.inputCost + (1 - inTime) * (first.inputCost + Math.max(0, costOf(second) - first.cost))
  return worth * rescued - extra
}

/** When to ask; null: there is no time for a second target. */
export function hedgeTimeMs(
  first: FirstAttempt,
  level: Float64Array,
  second: Candidate,
  chanceIn: (ms: number) => number,
  worth: number,
  barMs: number,
): number | null {
  let time: number | null = null
  let most = Number.NEGATIVE_INFINITY
  for (const times of LEFT) {
    const leftMs = times * second.ttftMs
    const atMs = barMs - leftMs
    if (atMs <= 0) break
    const silent = 1 - chanceBy(first, level, atMs)
    const gain = silent * hedgeGain(first, level, second, chanceIn(leftMs), worth, atMs, barMs)
    if (gain <= most) continue
    most = gain
    time = atMs
  }
  return time
}
