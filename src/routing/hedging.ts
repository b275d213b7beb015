// A late request of the planner: when to ask for a second target, and which one.

import { type Call, ttftBarMs } from './call.ts'
import { type Candidate, costOf, estimate, known, timeoutMsOf } from './candidate.ts'
import { type Hedging, hedgeGain, hedgeTimeMs, openHedging, silentChance } from './hedge.ts'
import type { PolicyBook } from './policy-book.ts'
import type { Attempt } from './target-state.ts'

/** When to ask, from now; null: not at all. `usable` is in order, the first of them the one that is asked. */
export function hedgeAfterMs(
  call: Call,
  usable: readonly Candidate[],
  barMs: number,
  nowMs: number,
): number | null {
  const [first, second] = usable
  const { policy, isStreamed } = call.request
  if (!policy.hedge.enabled || !isStreamed || call.isHedged) return null
  if (first === undefined || second === undefined || barMs === Number.POSITIVE_INFINITY) return null
  const ttft = first.state.ttft(first.target.isThinking)
  const { hitShare, logUsualHit, logUsualMiss, inputCost, cost, failureChance } = first
  const attempt = { ttft, hitShare, logUsualHit, logUsualMiss, inputCost, cost, failureChance }
  const timeoutMs = timeoutMsOf(call.request, first.target.isThinking)
  const hedging = openHedging(attempt, ttft.levelNow(nowMs), call.worth, barMs, timeoutMs, usable)
  // The time is set for one that is known: for another it would be later, and that one might be the better by then.
  const known = firstKnown(usable)
  const timeMs = known === null ? null : timeFor(hedging, known, barMs, nowMs)
  return timeMs === null && known !== second ? timeFor(hedging, second, barMs, nowMs) : timeMs
}

/** Of those that could be asked second. */
function firstKnown(usable: readonly Candidate[]): Candidate | null {
  for (let place = 1; place < usable.length; place++) {
    const candidate = usable[place] as Candidate
    if (candidate.state.ttft(candidate.target.isThinking).isKnown) return candidate
  }
  return null
}

function timeFor(hedging: Hedging, second: Candidate, barMs: number, nowMs: number): number | null {
  const ttft = second.state.ttft(second.target.isThinking)
  const level = ttft.levelNow(nowMs)
  const sure = second.tpotChance * (1 - second.failureChance) * (1 - second.refusalChance)
  const chanceIn = (ms: number): number => sure * ttft.chance(level, second.logUsualMiss, ms)
  return hedgeTimeMs(hedging, second, chanceIn, barMs)
}

/** What is lost by asking `tried` first, book currency; where a hedge may save it, `choice` is asked in time. */
export function costOfTry(
  call: Call,
  tried: Candidate,
  choice: Candidate,
  barMs: number,
  nowMs: number,
): number {
  const loss = choice.utility - tried.utility
  const atMs = hedgeAfterMs(call, [tried, choice], barMs, nowMs)
  if (atMs === null) return loss
  const ttft = choice.state.ttft(choice.target.isThinking)
  const sure = choice.tpotChance * (1 - choice.failureChance) * (1 - choice.refusalChance)
  const rescue = sure * ttft.chance(ttft.levelNow(nowMs), choice.logUsualMiss, barMs - atMs)
  const missed = call.worth * (choice.chance - tried.chance - (1 - tried.chance) * rescue)
  // Whichever of the two loses has its prompt billed; those that the first answers late but in time are asked twice, too.
  const early = chanceBy(tried, atMs, nowMs)
  const paid =
    tried.chance * (costOf(tried) - costOf(choice)) +
    (1 - tried.chance) * tried.inputCost +
    Math.max(0, tried.chance - early) * choice.inputCost
  return Math.min(loss, Math.max(0, missed + paid))
}

/** P(it has answered by then). */
function chanceBy(
  { state, target, logUsualMiss, failureChance }: Candidate,
  ms: number,
  nowMs: number,
): number {
  const ttft = state.ttft(target.isThinking)
  return (1 - failureChance) * ttft.chance(ttft.levelNow(nowMs), logUsualMiss, ms)
}

/** What the running attempt is expected to cost. */
interface RunningCost {
  readonly outputTokens: number
  readonly cost: number
  readonly inputCost: number
}

export function runningCost(
  { request }: Call,
  { target, hitShare, expected }: Attempt,
  book: PolicyBook,
  nowMs: number,
): RunningCost {
  const { inputTokens, outputTokensMax, targets } = request
  const facts = targets.find((candidate) => candidate.id === target.id)
  const outputTokens = book.outputs.expect(inputTokens, outputTokensMax)
  const cached = hitShare * expected.tokens
  return {
    outputTokens,
    cost: known(facts?.quote.cost(nowMs, inputTokens, cached, outputTokens) ?? 0),
    inputCost: known(facts?.quote.cost(nowMs, inputTokens, cached, 0) ?? 0),
  }
}

/** The target that gains most by being asked now; null: none gains anything. */
export function bestHedge(
  call: Call,
  first: Attempt,
  firstCost: RunningCost,
  usable: readonly Candidate[],
  book: PolicyBook,
  nowMs: number,
): Candidate | null {
  const { request, worth } = call
  const barMs = ttftBarMs(request) - (nowMs - call.arrivedAtMs)
  const atMs = nowMs - first.sentAtMs
  for (const candidate of usable) {
    candidate.outputTokens = firstCost.outputTokens
    estimate(candidate, request, barMs, nowMs)
  }
  const hedging = openHedging(
    { ...first, ...firstCost, failureChance: first.target.failures.expected(nowMs) },
    first.ttft.levelBeside(first, nowMs),
    worth,
    atMs + barMs,
    timeoutMsOf(request, first.isThinking),
    usable,
  )
  const silent = silentChance(hedging, atMs)
  let best: Candidate | null = null
  let most = 0
  for (const candidate of usable) {
    if (candidate.state === first.target) continue
    const gain = hedgeGain(hedging, candidate, candidate.chance, silent)
    if (gain <= most || !book.mayHedgeFor(costOf(candidate))) continue
    most = gain
    best = candidate
  }
  return best
}
