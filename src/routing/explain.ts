// A decision in words and figures, for the record of a request: made at once from what the decision was made of, and
// never recomputed.

import type { Candidate, Exclusion } from './candidate.ts'
import { costOf } from './candidate.ts'
import type { PlannerRequest } from './request.ts'

/** What a decision was made of; valid until the next one. */
export interface Considered {
  readonly request: PlannerRequest
  /** Of one request within the SLO, book currency. */
  readonly worth: number
  /** In the order of the decision. */
  readonly usable: readonly Candidate[]
  /** All targets of the model. */
  readonly pool: readonly Candidate[]
  readonly explored: boolean
}

export interface ExplainedCandidate {
  readonly target: string
  /** Book currency; null: unpriced. */
  readonly expectedCost: number | null
  /** P(within the SLO). */
  readonly pSlo: number
  readonly ttftMs: number
  readonly tokensPerSecond: number
  readonly cachedTokens: number
  /** Answers that its estimates come from; 0: they are a catalogue's, or typical ones. */
  readonly samples: number
  /** value × P − cost, with what a fallback would make of a failure. */
  readonly utility: number
}

export interface Explanation {
  readonly policy: string
  readonly sort: string
  readonly worth: number
  readonly explored: boolean
  /** First the chosen one. */
  readonly candidates: readonly ExplainedCandidate[]
  readonly runnerUp: { readonly target: string; readonly lostBy: number } | null
  readonly excluded: readonly {
    readonly target: string
    readonly reason: Exclusion
    /** Until it may be used; null: waiting does not help. */
    readonly waitMs: number | null
  }[]
  /** What would have put the runner-up first; null where nothing of the kind would. */
  readonly counterfactual: {
    /** The chosen one's chance, at or below this. */
    readonly pSloBelow: number | null
    /** The worth, above or below this. */
    readonly worthAbove: number | null
    readonly worthBelow: number | null
  } | null
}

export function explain({ request, worth, usable, pool, explored }: Considered): Explanation {
  const [chosen, second] = usable
  const { policy } = request
  return {
    policy: policy.name,
    sort: policy.sort,
    worth,
    explored,
    candidates: usable.map((candidate) => explainCandidate(candidate, request)),
    runnerUp:
      chosen === undefined || second === undefined
        ? null
        : { target: second.target.id, lostBy: chosen.utility - second.utility },
    excluded: pool.flatMap(({ target, exclusion, waitMs }) =>
      exclusion === null
        ? []
        : [{ target: target.id, reason: exclusion, waitMs: Number.isFinite(waitMs) ? waitMs : null }],
    ),
    counterfactual:
      chosen === undefined || second === undefined || policy.sort !== 'value'
        ? null
        : counterfactual(chosen, second, worth),
  }
}

function explainCandidate(candidate: Candidate, request: PlannerRequest): ExplainedCandidate {
  const { state, hitShare, expected, cost } = candidate
  return {
    target: candidate.target.id,
    expectedCost: Number.isNaN(cost) ? null : cost,
    pSlo: candidate.chance,
    ttftMs: candidate.ttftMs,
    tokensPerSecond: state.speed.tokensPerSecond(),
    cachedTokens: hitShare * expected.tokens,
    samples: state.ttft(request.isThinking).samples,
    utility: candidate.utility,
  }
}

/** By value × chance − cost, which decides but for what fallbacks make of failures. */
function counterfactual(chosen: Candidate, second: Candidate, worth: number): Explanation['counterfactual'] {
  const lead = worth * (chosen.chance - second.chance) - costOf(chosen) + costOf(second)
  const pSloBelow = worth <= 0 || lead < 0 ? null : chosen.chance - lead / worth
  const even = (costOf(second) - costOf(chosen)) / (second.chance - chosen.chance)
  const turns = Number.isFinite(even) && even > 0
  return {
    pSloBelow: pSloBelow === null || pSloBelow < 0 ? null : pSloBelow,
    worthAbove: turns && second.chance > chosen.chance ? even : null,
    worthBelow: turns && second.chance < chosen.chance ? even : null,
  }
}
