// When a second target is worth asking before the first one has answered, and whether it still is when the time comes.

import { type Candidate, costOf } from './candidate.ts'
import { HANG_WORTH } from './score.ts'
import type { TtftModel } from './ttft.ts'

/** Of the second target's expected time, so much is left for it when it is asked. */
const LEFT = [1.15, 1.5, 2, 2.8]
/** One that has not been heard has what is typical for an expected time: it may well be twice as quick. */
const LEFT_TYPICAL = [0.4, 0.6, 0.85, 1.15, 1.5, 2]
/** Of requests whose first target would have been in time, the second is quicker in about so many. */
const OVERTAKES = 0.15
/** A hedge is to earn so many times what it costs: what it is expected to save is less sure than its price. */
const EARNINGS = 1.2

export interface FirstAttempt {
  readonly ttft: TtftModel
  readonly logUsualHit: number
  readonly logUsualMiss: number
  readonly hitShare: number
  readonly inputCost: number
  readonly cost: number
  /** Where requests fail, those that are silent are likely to hang. */
  readonly failureChance: number
}

/** A request whose first target has not answered. Times are from when the first was asked. */
export interface Hedging {
  readonly first: FirstAttempt
  /** Of the first target. */
  readonly level: Float64Array
  /** Of one request within the SLO. */
  readonly worth: number
  /** P(the first token is there by the end of the SLO), and P(it never comes), when it was asked. */
  readonly inTime: number
  readonly hung: number
  /** Of a whole answer at the cheapest target that could be asked. */
  readonly leastCost: number
}

export function openHedging(
  first: FirstAttempt,
  level: Float64Array,
  worth: number,
  barMs: number,
  timeoutMs: number,
  usable: readonly Candidate[],
): Hedging {
  const answers = 1 - first.failureChance
  const inTime = answers * chanceBy(first, level, barMs)
  const hung = 1 - answers * (1 - first.ttft.hangChance(level, first.logUsualMiss, timeoutMs))
  let leastCost = Number.POSITIVE_INFINITY
  for (const candidate of usable) leastCost = Math.min(leastCost, costOf(candidate))
  return { first, level, worth, inTime, hung, leastCost }
}

/** P(the first token is there by then). */
function chanceBy(first: FirstAttempt, level: Float64Array, ms: number): number {
  const miss = first.ttft.chance(level, first.logUsualMiss, ms)
  if (first.hitShare === 0) return miss
  return miss + first.hitShare * (first.ttft.chance(level, first.logUsualHit, ms) - miss)
}

/** P(no token until then). */
export function silentChance({ first, level }: Hedging, atMs: number): number {
  return 1 - (1 - first.failureChance) * chanceBy(first, level, atMs)
}

/**
 * What asking `second` gains, book currency, given that the first is silent, which had the chance `silent`.
 * `secondChance` is that the second answers within the SLO.
 */
export function hedgeGain(hedging: Hedging, second: Candidate, secondChance: number, silent: number): number {
  const { first, worth } = hedging
  if (silent <= 0) return 0
  const inTime = Math.max(0, (hedging.inTime - 1 + silent) / silent)
  const hung = Math.min(1, hedging.hung / silent)
  const rescued = (1 - inTime) * secondChance
  // One of the two prompts is billed for nothing, and the winner may be the dearer one. After a hang there would be a
  // second attempt all the same, but in no hurry.
  const wins = 1 - inTime + OVERTAKES * inTime * secondChance
  const prompts = (1 - wins) * second.inputCost + wins * (first.inputCost + costOf(second) - first.cost)
  const dearer = Math.max(0, costOf(second) - hedging.leastCost)
  const extra = (prompts + second.roomCost) * (1 - hung) + dearer * hung
  return worth * (rescued + HANG_WORTH * hung) - EARNINGS * extra
}

/** When to ask; null: there is no time for a second target. `chanceIn`: of the second, with so much time left. */
export function hedgeTimeMs(
  hedging: Hedging,
  second: Candidate,
  chanceIn: (ms: number) => number,
  barMs: number,
): number | null {
  let time: number | null = null
  let most = Number.NEGATIVE_INFINITY
  const { isKnown } = second.state.ttft(second.target.isThinking)
  for (const times of isKnown ? LEFT : LEFT_TYPICAL) {
    const leftMs = times * second.ttftMs
    const atMs = barMs - leftMs
    if (atMs <= 0) break
    const silent = silentChance(hedging, atMs)
    const gain = silent * hedgeGain(hedging, second, chanceIn(leftMs), silent)
    if (gain <= most) continue
    most = gain
    time = atMs
  }
  return time
}
