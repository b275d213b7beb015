// Why a request went where it went, as it is kept with the request.

/** `hedge`: beside another one that was late. */
export type AttemptRole = 'first' | 'retry' | 'fallback' | 'hedge'

/** Why the plan looked as it did; written once, never recomputed. */
export interface Decision {
  readonly policy: string
  /** Which state of the policy, by its content; null: it was not kept. */
  readonly policyVersion: string | null
  readonly sort: string
  /** Worth of one request within the SLO, book currency; null: the sort does not weigh it. */
  readonly value: number | null
  /** The chosen one is not the best known, but might be. */
  readonly explored: boolean
  /** With which probability it was chosen. */
  readonly propensity: number
  /** In the order of the plan: first the chosen one. */
  readonly candidates: readonly DecisionCandidate[]
  readonly runnerUp: RunnerUp | null
  readonly excluded: readonly DecisionExclusion[]
  /** Each would have put the runner-up first; empty where nothing of the kind would. */
  readonly counterfactuals: readonly Counterfactual[]
  /** True when no target was likely to meet the SLO and `on_no_candidate` decided. */
  readonly sloRelaxed: boolean
  /** Attempts behind the first. */
  readonly later: readonly LaterAttempt[]
}

export interface DecisionCandidate {
  readonly target: string
  /** The key of several that it would be asked with; null: its only one. */
  readonly account: string | null
  /** Expected cost of this request, book currency, decimal string; null when unpriced. */
  readonly estimatedCost: string | null
  /** P(within the SLO). */
  readonly pSlo: number | null
  /** Expected time to first token. */
  readonly ttftMs: number | null
  readonly tokensPerSecond: number | null
  /** Of the prompt, expected in its cache. */
  readonly cachedTokens: number
  /** Answers that its estimates come from; 0: they are typical ones. */
  readonly samples: number
  /** What the room that it takes is worth to the requests that come next, book currency; part of `utility`. */
  readonly roomCost: number | null
  /** value × P − cost − room, with what a fallback would make of a failure; book currency. */
  readonly utility: number | null
  /** Why it stands where it stands: `best_value`, `cheapest`, `fastest`, `priority`, `weight`, `explored`, `dearer`, `slower`, `less_value`, `slo_missed`, `not_preferred`, `order`. */
  readonly reason: string
}

/** What decided between the first two: money in book currency, milliseconds, tokens per second, or an order. */
export type DecisionMeasure = 'utility' | 'cost' | 'ttft_ms' | 'tokens_per_second' | 'priority' | 'rank'

export interface RunnerUp {
  readonly target: string
  /** null: by chance, or to learn how a cheaper one is. */
  readonly lostBy: number | null
  readonly by: DecisionMeasure | null
}

export interface Counterfactual {
  readonly quantity: 'p_slo' | 'value' | 'cost' | 'ttft_ms' | 'tokens_per_second'
  /** Of which target; null: of the request. */
  readonly target: string | null
  readonly above: number | null
  readonly below: number | null
}

export interface LaterAttempt {
  readonly target: string
  readonly role: AttemptRole
  readonly estimatedCost: string | null
  readonly pSlo: number | null
}

export interface DecisionExclusion {
  readonly target: string
  /**
   * Machine-readable: `capability`, `context_length`, `unpriced`, `max_price`, `quota`, `cooling_down`, `breaker_open`,
   * `tried`, `retry_budget`, `slo`, `disabled`, `provider_not_allowed`, `data_policy`; of the request's own wishes `only`,
   * `ignore`, `order`, `parameters`; of limits `limit`, `budget`, `unbounded`.
   */
  readonly reason: string
  readonly detail: string
}

/** What decisions lack that were kept before they gave their reasons. */
export const UNREASONED = {
  policyVersion: null,
  value: null,
  explored: false,
  propensity: 1,
  runnerUp: null,
  counterfactuals: [],
  later: [],
} as const satisfies Partial<Decision>

/** JSON; `null` for none. Not remembered: a table of texts by object costs the collector more than making one twice. */
export function decisionText(decision: Decision | null): string {
  return JSON.stringify(decision)
}
