// From candidates to an ordered plan with reasons. Pure: what is known comes in, the decision goes out.

import type { Decision, DecisionExclusion } from '#core/ledger.ts'
import { formatNano, type Nano } from '#core/money.ts'
import type { Capability } from '#core/provider.ts'
import type { PolicySettings, TargetSettings } from '#core/settings.ts'
import { admits, type BreakerState } from './breaker.ts'

/** A target as the filter sees it. */
export interface Candidate {
  readonly target: TargetSettings
  readonly enabled: boolean
  /** Who asks may not use it, as far as that is known before: why; null: may. */
  readonly ruledOut: { readonly reason: string; readonly detail: string } | null
  /** Capabilities it is known to lack. */
  readonly lacks: (capability: Capability) => boolean
  readonly contextWindow: number | null
  /** This request's estimated cost in book currency; null when no price is known. */
  readonly estimateNano: Nano | null
  readonly breaker: BreakerState
  readonly ttftP90Ms: number | null
  readonly samples: number
}

export interface PlanInput {
  readonly policy: PolicySettings
  readonly candidates: readonly Candidate[]
  readonly needs: readonly { readonly capability: Capability; readonly param: string }[]
  readonly inputTokensEstimate: number
  /** Fewer tokens than this cannot be; only a window below it refuses for certain. */
  readonly inputTokensFloor: number
  readonly random: () => number
}

export interface Plan {
  /** In the order in which they are tried. */
  readonly targets: readonly TargetSettings[]
  readonly decision: Decision
}

interface Sifted {
  readonly kept: Candidate[]
  /** Missed the latency bar only. */
  readonly slow: Candidate[]
  /** Ejected for failures, used when nothing else is left. */
  readonly ejected: Candidate[]
  readonly excluded: DecisionExclusion[]
}

export function makePlan(input: PlanInput): Plan {
  const sifted = sift(input)
  const { policy } = input
  const kept = order(sifted.kept, input)
  const slow = policy.onNoCandidate !== 'reject' ? [...sifted.slow].sort(byLatency) : []
  const sloRelaxed = kept.length === 0 && slow.length > 0
  // Panic: with every target ejected the least bad one is tried; refusing all would be the greater outage.
  const panic =
    kept.length + sifted.slow.length === 0
      ? [...sifted.ejected].sort((a, b) => a.breaker.untilMs - b.breaker.untilMs)
      : []
  const ordered = [...kept, ...slow, ...panic]
  const otherwise = panic.length > 0 ? 'panic' : 'slo_missed'
  const inPlan = new Set(ordered)
  const excluded = [
    ...sifted.excluded,
    ...sifted.slow
      .filter((candidate) => !inPlan.has(candidate))
      .map((candidate) => sloExclusion(candidate, policy)),
    ...sifted.ejected.filter((candidate) => !inPlan.has(candidate)).map(breakerExclusion),
  ]
  return {
    targets: ordered.map((candidate) => candidate.target),
    decision: {
      policy: policy.name,
      sort: policy.sort,
      candidates: ordered.map((candidate, index) => ({
        target: candidate.target.id,
        estimatedCost: candidate.estimateNano === null ? null : formatNano(candidate.estimateNano),
        ttftP90Ms: candidate.ttftP90Ms,
        samples: candidate.samples,
        reason: index < kept.length ? reasonOf(policy.sort, candidate, kept) : otherwise,
      })),
      excluded,
      sloRelaxed,
    },
  }
}

function sift(input: PlanInput): Sifted {
  const sifted: Sifted = { kept: [], slow: [], ejected: [], excluded: [] }
  const estimate = input.inputTokensEstimate
  const fits = input.candidates.some((candidate) => hardExclusion(candidate, input, estimate) === null)
  const tokens = fits ? estimate : input.inputTokensFloor
  for (const candidate of input.candidates) {
    const exclusion = hardExclusion(candidate, input, tokens)
    const bar = input.policy.slo.ttftMs
    if (exclusion !== null) sifted.excluded.push(exclusion)
    else if (!admits(candidate.breaker)) {
      if (candidate.breaker.reason === 'rate_limit') sifted.excluded.push(breakerExclusion(candidate))
      else sifted.ejected.push(candidate)
    } else if (bar !== null && candidate.ttftP90Ms !== null && candidate.ttftP90Ms > bar)
      sifted.slow.push(candidate)
    else sifted.kept.push(candidate)
  }
  return sifted
}

function hardExclusion(candidate: Candidate, input: PlanInput, tokens: number): DecisionExclusion | null {
  const target = candidate.target.id
  if (!candidate.enabled) return { target, reason: 'disabled', detail: 'its provider has no key' }
  if (candidate.ruledOut !== null) return { target, ...candidate.ruledOut }
  for (const need of input.needs) {
    if (candidate.lacks(need.capability))
      return { target, reason: 'capability', detail: `${need.capability} (${need.param})` }
  }
  if (!fitsWindow(candidate, tokens)) {
    return {
      target,
      reason: 'context_length',
      detail: `about ${tokens} input tokens, window ${candidate.contextWindow}`,
    }
  }
  const needsPrice = input.policy.sort === 'price' || input.policy.sort === 'value'
  if (needsPrice && candidate.estimateNano === null) {
    return { target, reason: 'unpriced', detail: `sort: ${input.policy.sort} needs a price` }
  }
  return null
}

function fitsWindow(candidate: Candidate, tokens: number): boolean {
  return candidate.contextWindow === null || tokens <= candidate.contextWindow
}

function sloExclusion(candidate: Candidate, policy: PolicySettings): DecisionExclusion {
  const detail = `p90 ${candidate.ttftP90Ms} ms over ${policy.slo.ttftMs} ms`
  return { target: candidate.target.id, reason: 'slo_ttft', detail }
}

function breakerExclusion(candidate: Candidate): DecisionExclusion {
  const { breaker } = candidate
  const reason = breaker.reason === 'rate_limit' ? 'cooling_down' : 'breaker_open'
  const detail =
    breaker.state === 'half_open' ? 'a probe is under way' : `${breaker.reason} until ${breaker.untilMs}`
  return { target: candidate.target.id, reason, detail }
}

function order(candidates: readonly Candidate[], input: PlanInput): Candidate[] {
  switch (input.policy.sort) {
    case 'value':
    case 'price':
      return [...candidates].sort(byPrice)
    case 'throughput':
    case 'latency':
      return [...candidates].sort(byLatency)
    case 'priority':
      return [...candidates].sort((a, b) => a.target.priority - b.target.priority || byPrice(a, b))
    case 'weighted':
      return shuffleByWeight(candidates, input.random)
  }
}

function byPrice(a: Candidate, b: Candidate): number {
  if (a.estimateNano === b.estimateNano) return a.target.priority - b.target.priority
  if (a.estimateNano === null) return 1
  if (b.estimateNano === null) return -1
  return a.estimateNano < b.estimateNano ? -1 : 1
}

/** An unobserved target goes first: it must be tried once to be known. */
function byLatency(a: Candidate, b: Candidate): number {
  return (a.ttftP90Ms ?? -1) - (b.ttftP90Ms ?? -1) || byPrice(a, b)
}

/** Draws without replacement, each time in proportion to the weights left. */
function shuffleByWeight(candidates: readonly Candidate[], random: () => number): Candidate[] {
  const left = [...candidates]
  const drawn: Candidate[] = []
  while (left.length > 0) {
    const total = left.reduce((sum, candidate) => sum + candidate.target.weight, 0)
    let point = random() * total
    let index = left.findIndex((candidate) => {
      point -= candidate.target.weight
      return point < 0
    })
    if (index === -1) index = left.length - 1
    drawn.push(...left.splice(index, 1))
  }
  return drawn
}

function reasonOf(sort: PolicySettings['sort'], candidate: Candidate, kept: readonly Candidate[]): string {
  const first = kept[0]
  switch (sort) {
    case 'value':
    case 'price':
      if (candidate === first) return 'cheapest'
      return candidate.estimateNano === first?.estimateNano ? 'same_price' : 'dearer'
    case 'throughput':
    case 'latency':
      if (candidate === first) return 'fastest'
      return candidate.ttftP90Ms === first?.ttftP90Ms ? 'same_latency' : 'slower'
    case 'priority':
      return 'priority'
    case 'weighted':
      return 'weight'
  }
}
