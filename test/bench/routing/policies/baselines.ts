// The rules that gateways and papers offer, as ROUTING.md reads them from their documents: not their code.

import { type Ask, baseline, type Rule, type View } from './baseline.ts'
import type { Contender } from './contender.ts'
import { MovingWindow } from './moving-window.ts'

const WINDOW_MS = 5 * 60_000
const HOUR_MS = 60 * 60_000

/** The candidate for which `read` is least; the first of equals. */
function leastOf(candidates: readonly number[], read: (target: number) => number): number {
  let best = candidates[0] ?? 0
  let bestValue = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const value = read(candidate)
    if (value < bestValue) {
      best = candidate
      bestValue = value
    }
  }
  return best
}

function weightedPick(
  candidates: readonly number[],
  weigh: (target: number) => number,
  random: () => number,
): number {
  const weights = candidates.map(weigh)
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [index, weight] of weights.entries()) {
    left -= weight
    if (left <= 0) return candidates[index] ?? 0
  }
  return candidates.at(-1) ?? 0
}

function random(view: View): Rule {
  return { choose: (_, candidates) => candidates[Math.floor(view.random() * candidates.length)] ?? 0 }
}

function roundRobin(): Rule {
  let turn = 0
  return {
    choose: (_, candidates) => {
      turn += 1
      return candidates[turn % candidates.length] ?? 0
    },
  }
}

/** Requests per minute of a target that declares none. */
const RPM_UNDECLARED = 300

function weightedByRpm(view: View): Rule {
  const weigh = (target: number): number => view.targets[target]?.rpm ?? RPM_UNDECLARED
  return { choose: (_, candidates) => weightedPick(candidates, weigh, view.random) }
}

function cheapestStatic(view: View): Rule {
  return {
    choose: ({ at, inputTokens }, candidates) =>
      leastOf(candidates, (target) => view.expectedCost(target, inputTokens, at)),
  }
}

/** By the operator's measurements on an idle day. */
function fastestStatic(view: View): Rule {
  const idleMs = (target: number, { inputTokens }: Ask): number => {
    const facts = view.targets[target]
    return facts === undefined ? 0 : facts.baseMs + facts.msPerInputToken * inputTokens
  }
  return { choose: (ask, candidates) => leastOf(candidates, (target) => idleMs(target, ask)) }
}

/** LiteLLM's latency-based routing: mean of the last ten, kept for an hour, a target without any goes first. */
function litellmLatency(view: View): Rule {
  const windows = view.targets.map(() => new MovingWindow(10, HOUR_MS))
  return {
    choose: ({ at }, candidates) => leastOf(candidates, (target) => windows[target]?.mean(at) ?? 0),
    onFinished: (target, ttftMs, _, __, at) => windows[target]?.add(ttftMs, at),
    onFailed: (target, isRateLimited, ageMs, at) => {
      if (!isRateLimited && ageMs > 10_000) windows[target]?.add(1_000_000, at)
    },
  }
}

const OPENROUTER_OUTAGE_MS = 30_000

/** OpenRouter's older default: what failed in the last 30 s last, the others by chance with weight 1/price². */
function openrouterPrice(view: View): Rule {
  const failedAt = new Float64Array(view.targets.length).fill(Number.NEGATIVE_INFINITY)
  return {
    choose: ({ at, inputTokens }, candidates) => {
      const stable = candidates.filter((target) => at - (failedAt[target] ?? 0) > OPENROUTER_OUTAGE_MS)
      const weigh = (target: number): number => view.expectedCost(target, inputTokens, at) ** -2
      return weightedPick(stable.length > 0 ? stable : candidates, weigh, view.random)
    },
    onFailed: (target, isRateLimited, _, at) => {
      if (!isRateLimited) failedAt[target] = at
    },
  }
}

/** `preferred_max_latency: {p90}` over the older default: what is slower than that in five minutes goes last. */
function openrouterLatency(view: View): Rule {
  const windows = view.targets.map(() => new MovingWindow(100, WINDOW_MS))
  return {
    choose: ({ at, inputTokens }, candidates) => {
      const quick = candidates.filter(
        (target) => (windows[target]?.quantile(0.9, at) ?? 0) <= view.slo.ttftMs,
      )
      const weigh = (target: number): number => view.expectedCost(target, inputTokens, at) ** -2
      return weightedPick(quick.length > 0 ? quick : candidates, weigh, view.random)
    },
    onFirstToken: (target, ttftMs, at) => windows[target]?.add(ttftMs, at),
    onFailed: (target, isRateLimited, ageMs, at) => {
      if (!isRateLimited) windows[target]?.add(ageMs + view.slo.ttftMs, at)
    },
  }
}

const COMPETITIVE_EDGE_POWER = 8
const SMALL_SHARE = 0.005

/** OpenRouter of 2026 as its documents tell: adjusted price against speed and failures, by share, caps learnt from 429s. */
function openrouterAdjusted(view: View): Rule {
  const windows = view.targets.map(() => new MovingWindow(50, WINDOW_MS))
  const failures = view.targets.map(() => new MovingWindow(50, WINDOW_MS))
  const cap = new Float64Array(view.targets.length).fill(1)
  const score = (target: number, ask: Ask): number => {
    const seconds = (windows[target]?.mean(ask.at) ?? view.slo.ttftMs / 2) / view.slo.ttftMs
    const failureShare = failures[target]?.mean(ask.at) ?? 0
    return (
      view.expectedCost(target, ask.inputTokens, ask.at) * (1 + seconds * seconds) * (1 + 5 * failureShare)
    )
  }
  return {
    choose: (ask, candidates) => {
      const best = Math.min(...candidates.map((target) => score(target, ask)))
      const weigh = (target: number): number =>
        (cap[target] ?? 1) * Math.max(SMALL_SHARE, (best / score(target, ask)) ** COMPETITIVE_EDGE_POWER)
      return weightedPick(candidates, weigh, view.random)
    },
    onFirstToken: (target, ttftMs, at) => {
      windows[target]?.add(ttftMs, at)
      failures[target]?.add(0, at)
      cap[target] = Math.min(1, (cap[target] ?? 1) + 0.01)
    },
    onFailed: (target, isRateLimited, ageMs, at) => {
      if (isRateLimited) {
        cap[target] = Math.max(0.1, (cap[target] ?? 1) * 0.7)
      } else {
        failures[target]?.add(1, at)
        if (ageMs > view.slo.ttftMs) windows[target]?.add(ageMs, at)
      }
    },
  }
}

const PEAK_DECAY_MS = 10_000
const PEAK_AT_FIRST_MS = 500

/** Finagle's peak EWMA over two targets drawn by chance: jumps up at once, comes down over ten seconds. */
function peakEwma(view: View): Rule {
  const level = new Float64Array(view.targets.length).fill(PEAK_AT_FIRST_MS)
  const seenAt = new Float64Array(view.targets.length)
  const observe = (target: number, ms: number, at: number): void => {
    const known = level[target] ?? 0
    const keep = Math.exp(-(at - (seenAt[target] ?? 0)) / PEAK_DECAY_MS)
    level[target] = ms > known ? ms : known * keep + ms * (1 - keep)
    seenAt[target] = at
  }
  return {
    choose: (_, candidates) => {
      const drawn = [0, 1].map(() => candidates[Math.floor(view.random() * candidates.length)] ?? 0)
      return leastOf(drawn, (target) => (level[target] ?? 0) * ((view.inFlight[target] ?? 0) + 1))
    },
    onFirstToken: observe,
    onFailed: (target, isRateLimited, ageMs, at) => {
      if (!isRateLimited) observe(target, Math.max(ageMs, PEAK_AT_FIRST_MS), at)
    },
  }
}

const UCB_HALF_LIFE_MS = 120_000
const UCB_BONUS = 0.1

/** Discounted UCB (Garivier and Moulines) on what a request brings: value if the SLO is met, less its cost. */
function discountedUcb(view: View): Rule {
  const count = new Float64Array(view.targets.length)
  const sum = new Float64Array(view.targets.length)
  let agedAt = 0
  const age = (at: number): void => {
    const keep = agedAt === 0 ? 1 : 0.5 ** ((at - agedAt) / UCB_HALF_LIFE_MS)
    for (let target = 0; target < count.length; target += 1) {
      count[target] = (count[target] ?? 0) * keep
      sum[target] = (sum[target] ?? 0) * keep
    }
    agedAt = at
  }
  const learn = (target: number, isMet: boolean): void => {
    count[target] = (count[target] ?? 0) + 1
    sum[target] = (sum[target] ?? 0) + (isMet ? 1 : 0)
  }
  return {
    choose: ({ at, inputTokens }, candidates) => {
      age(at)
      const total = count.reduce((all, one) => all + one, 1)
      const index = (target: number): number => {
        const weight = count[target] ?? 0
        const mean = (1 + (sum[target] ?? 0)) / (1 + weight)
        const bonus = UCB_BONUS * Math.sqrt(Math.log(total + 1) / (weight + 1))
        return view.expectedCost(target, inputTokens, at) - view.valueCny * (mean + bonus)
      }
      return leastOf(candidates, index)
    },
    onFirstToken: (target, ttftMs) => learn(target, ttftMs <= view.slo.ttftMs),
    onFailed: (target) => learn(target, false),
  }
}

export const BASELINES: readonly Contender[] = [
  baseline('random', random),
  baseline('round-robin', roundRobin),
  baseline('weighted-rpm', weightedByRpm),
  baseline('cheapest-static', cheapestStatic),
  baseline('fastest-static', fastestStatic),
  baseline('litellm-latency', litellmLatency),
  baseline('openrouter-1/p²', openrouterPrice),
  baseline('or:price+p90≤SLO', openrouterLatency),
  baseline('or2026-like', openrouterAdjusted),
  baseline('peak-ewma-p2c', peakEwma),
  baseline('disc-ucb', discountedUcb, true),
]
