// A decision in words and figures, for the record of a request: made at once from what the decision was made of, and
// never recomputed.

import type {
  Counterfactual,
  Decision,
  DecisionCandidate,
  DecisionExclusion,
  DecisionMeasure,
  RunnerUp,
} from '#core/decision.ts'
import { formatNano, type Nano } from '#core/money.ts'
import type { Sort } from '#core/settings.ts'
import type { Call } from './call.ts'
import { type Candidate, costOf } from './candidate.ts'
import { OTHERWISE } from './score.ts'

/** What a decision was made of; valid until the next one. */
export interface Considered {
  readonly call: Call
  /** In the order of the decision. */
  readonly usable: readonly Candidate[]
  /** All targets of the model. */
  readonly pool: readonly Candidate[]
  readonly nowMs: number
}

export type Explanation = Decision

/** A record is kept for years: of very many targets it names the first. */
const CANDIDATES_MAX = 16
const EXCLUDED_MAX = 32

export function explain(considered: Considered): Explanation {
  const { call, usable, pool, nowMs } = considered
  const { policy } = call.request
  const [chosen, second] = usable
  const by = call.meetsSlo ? policy.sort : OTHERWISE[policy.onNoCandidate]
  const hasExplored = call.exploring !== null && chosen?.target.id === call.exploring
  return {
    policy: policy.name,
    policyVersion: policy.version,
    sort: policy.sort,
    value: policy.sort === 'value' ? rounded(call.worth) : null,
    explored: hasExplored,
    propensity: call.propensity,
    candidates: usable
      .slice(0, CANDIDATES_MAX)
      .map((candidate) => explainCandidate(candidate, reasonOf(candidate, considered, by, hasExplored))),
    runnerUp:
      chosen === undefined || second === undefined ? null : runnerUpOf(chosen, second, by, hasExplored),
    excluded: excludedOf(pool, call, nowMs),
    counterfactuals:
      chosen === undefined || second === undefined || hasExplored || chosen.rank !== second.rank
        ? NOTHING
        : counterfactualsOf(chosen, second, by, call.worth),
    sloRelaxed: !call.meetsSlo,
    later: NOTHING,
  }
}

const NOTHING: readonly never[] = Object.freeze([])

/** Nine places: more says nothing of money, nor of chances. */
function rounded(value: number): number {
  return Math.round(value * 1e9) / 1e9
}

function costText(cost: number): string | null {
  return Number.isNaN(cost) ? null : formatNano(BigInt(Math.round(cost * 1e9)) as Nano)
}

function explainCandidate(candidate: Candidate, reason: string): DecisionCandidate {
  const { state, target, hitShare, expected, cost } = candidate
  return {
    target: target.id,
    account: candidate.account.id,
    estimatedCost: costText(cost),
    pSlo: Math.round(candidate.chance * 1e4) / 1e4,
    ttftMs: Math.round(candidate.ttftMs),
    tokensPerSecond: Math.round(state.speed.tokensPerSecond() * 10) / 10,
    cachedTokens: Math.round(hitShare * expected.tokens),
    samples: state.ttft(target.isThinking).samples,
    roomCost: rounded(candidate.roomCost),
    utility: rounded(candidate.utility),
    reason,
  }
}

const FIRST: Readonly<Record<Sort, string>> = {
  value: 'best_value',
  price: 'cheapest',
  latency: 'fastest',
  throughput: 'fastest',
  priority: 'priority',
  weighted: 'weight',
}
const FURTHER: Readonly<Record<Sort, string>> = {
  value: 'less_value',
  price: 'dearer',
  latency: 'slower',
  throughput: 'slower',
  priority: 'priority',
  weighted: 'weight',
}

function reasonOf(
  candidate: Candidate,
  { call, usable }: Considered,
  by: Sort,
  hasExplored: boolean,
): string {
  const [first] = usable
  if (candidate === first && hasExplored) return 'explored'
  if (!call.meetsSlo) return 'slo_missed'
  if (candidate === first) return FIRST[by]
  if (first !== undefined && candidate.precedence > first.precedence) return 'order'
  if (first !== undefined && candidate.rank > first.rank)
    return candidate.rank - first.rank >= 2 ? 'slo_missed' : 'not_preferred'
  return FURTHER[by]
}

const MEASURES: Readonly<Record<Sort, DecisionMeasure | null>> = {
  value: 'utility',
  price: 'cost',
  latency: 'ttft_ms',
  throughput: 'tokens_per_second',
  priority: 'priority',
  weighted: null,
}

function runnerUpOf(chosen: Candidate, second: Candidate, by: Sort, hasExplored: boolean): RunnerUp {
  const target = second.target.id
  if (hasExplored) return { target, lostBy: null, by: null }
  if (chosen.rank !== second.rank) return { target, lostBy: second.rank - chosen.rank, by: 'rank' }
  return { target, lostBy: lostBy(chosen, second, by), by: MEASURES[by] }
}

function lostBy(chosen: Candidate, second: Candidate, by: Sort): number | null {
  switch (by) {
    case 'value':
      return rounded(chosen.utility - second.utility)
    case 'price':
      return Number.isNaN(second.cost) ? null : rounded(second.cost - chosen.cost)
    case 'latency':
      return Math.round(second.ttftMs - chosen.ttftMs)
    case 'throughput':
      return rounded(chosen.state.speed.tokensPerSecond() - second.state.speed.tokensPerSecond())
    case 'priority':
      return second.target.priority - chosen.target.priority
    case 'weighted':
      return null
  }
}

function excludedOf(pool: readonly Candidate[], call: Call, nowMs: number): readonly DecisionExclusion[] {
  const excluded: DecisionExclusion[] = []
  for (const candidate of pool) {
    const { exclusion, target } = candidate
    if (exclusion === null || excluded.length >= EXCLUDED_MAX) continue
    excluded.push({ target: target.id, reason: exclusion, detail: detailOf(candidate, call, nowMs) })
  }
  return excluded.length === 0 ? NOTHING : excluded
}

function detailOf({ exclusion, target, state, waitMs }: Candidate, { request }: Call, nowMs: number): string {
  const { policy, inputTokens, windowTokens } = request
  switch (exclusion) {
    case 'context_length':
      return `about ${windowTokens} tokens asked for, window ${target.contextWindow}`
    case 'unpriced':
      return `sort: ${policy.sort} needs a price`
    case 'max_price': {
      const { quote } = target
      const outputTokens = request.outputTokensMax ?? 0
      const [input, output] = [quote.inputPrice, quote.outputPrice].map((price) =>
        rounded(price(nowMs, inputTokens, outputTokens)),
      )
      return `input ${input}, output ${output} per million; at most ${policy.maxPrice?.input ?? 'any'}, ${policy.maxPrice?.output ?? 'any'}`
    }
    case 'breaker_open': {
      const breaker = state.breaker(nowMs)
      if (breaker.state === 'open')
        return `${breaker.reason} until ${new Date(breaker.untilMs).toISOString()}`
      return breaker.probing ? 'a probe is under way' : 'a prompt that takes so long is no probe of it'
    }
    case 'cooling_down':
      return `rate_limit until ${new Date(nowMs + waitMs).toISOString()}`
    case 'quota':
      return Number.isFinite(waitMs)
        ? `its limits let it through in ${Math.ceil(waitMs)} ms`
        : 'larger than its limits let through'
    case 'slo':
      return 'not likely to meet the SLO'
    case 'tried':
      return 'it was asked already'
    case 'retry_budget':
      return 'too much fails to try again'
    default:
      return ''
  }
}

function counterfactualsOf(
  chosen: Candidate,
  second: Candidate,
  by: Sort,
  worth: number,
): readonly Counterfactual[] {
  const { id } = chosen.target
  switch (by) {
    case 'value':
      return byValue(chosen, second, worth)
    case 'price':
      return Number.isNaN(second.cost)
        ? NOTHING
        : [{ quantity: 'cost', target: id, above: rounded(second.cost), below: null }]
    case 'latency':
      return [{ quantity: 'ttft_ms', target: id, above: Math.round(second.ttftMs), below: null }]
    case 'throughput': {
      const below = rounded(second.state.speed.tokensPerSecond())
      return [{ quantity: 'tokens_per_second', target: id, above: null, below }]
    }
    default:
      return NOTHING
  }
}

/** By value × chance − cost − room, which decides but for what fallbacks make of failures. */
function byValue(chosen: Candidate, second: Candidate, worth: number): readonly Counterfactual[] {
  const { id } = chosen.target
  const list: Counterfactual[] = []
  const dearer = costOf(second) + second.roomCost - costOf(chosen) - chosen.roomCost
  const lead = worth * (chosen.chance - second.chance) + dearer
  if (lead < 0) return NOTHING
  const chance = worth <= 0 ? -1 : chosen.chance - lead / worth
  if (chance >= 0) list.push({ quantity: 'p_slo', target: id, above: null, below: rounded(chance) })
  const even = dearer / (second.chance - chosen.chance)
  if (Number.isFinite(even) && even > 0) {
    const isAbove = second.chance > chosen.chance
    const [above, below] = isAbove ? [rounded(even), null] : [null, rounded(even)]
    list.push({ quantity: 'value', target: null, above, below })
  }
  list.push({ quantity: 'cost', target: id, above: rounded(costOf(chosen) + lead), below: null })
  return list
}
