// A planner with targets that behave as they are told, in virtual time.

import type { FailureKind } from '#core/errors.ts'
import type { PolicySettings } from '#core/settings.ts'
import { Planner } from '#routing/planner.ts'
import type { PlannerDecision, PlannerRequest, PlannerTarget, Quote } from '#routing/request.ts'
import { createRandom } from '#simulator/random.ts'
import { NO_SLO, policyWith } from './policy.ts'

/** Prices per million tokens. */
export function flatQuote(input: number, cached: number, output: number): Quote {
  return {
    cost: (_, inputTokens, cachedTokens, outputTokens) =>
      ((inputTokens - cachedTokens) * input + cachedTokens * cached + outputTokens * output) / 1e6,
    inputPrice: () => input,
    outputPrice: () => output,
  }
}

export const UNPRICED: Quote = {
  cost: () => Number.NaN,
  inputPrice: () => Number.NaN,
  outputPrice: () => Number.NaN,
}

export function target(id: string, changes: Partial<PlannerTarget> = {}): PlannerTarget {
  return {
    id,
    weight: 1,
    priority: 0,
    contextWindow: null,
    limits: { rpm: null, tpm: null, concurrency: null },
    sharedLimits: null,
    accounts: [],
    prior: null,
    isThinking: false,
    lacks: () => false,
    quote: flatQuote(1, 0.1, 2),
    ...changes,
  }
}

export const QUICK: PolicySettings = policyWith({
  sort: 'value',
  slo: { ...NO_SLO, ttftMs: 1_500, tpotMs: 50, value: 0.02 },
  onNoCandidate: 'best_value',
  explore: { maxShare: 0.05 },
  timeouts: { connectMs: 1, ttftMs: 15_000, idleMs: 1, totalMs: 1 },
})

export type Behaviour =
  | { readonly ttftMs: number; readonly tokensPerSecond?: number; readonly cachedTokens?: number }
  | { readonly error: FailureKind; readonly afterMs?: number; readonly retryAfterMs?: number }

/** Plays requests one after the other, each to its end, at the given pace. */
export class Play {
  readonly planner: Planner
  readonly targets: readonly PlannerTarget[]
  readonly policy: PolicySettings
  nowMs = 1_700_000_000_000
  #next = 0

  constructor(targets: readonly PlannerTarget[], policy: PolicySettings = QUICK, seed = 1) {
    this.planner = new Planner({ random: createRandom(seed).unit })
    this.targets = targets
    this.policy = policy
  }

  request(changes: Partial<PlannerRequest> = {}): PlannerRequest {
    this.#next++
    return {
      id: `r${this.#next}`,
      model: 'chat',
      policy: this.policy,
      targets: this.targets,
      needs: [],
      inputTokens: 1_000,
      outputTokensMax: null,
      prefixes: [],
      session: null,
      windowTokens: (changes.inputTokens ?? 1_000) + (changes.outputTokensMax ?? 0),
      isStreamed: true,
      ranks: null,
      keepsLimits: false,
      patienceMs: null,
      tried: [],
      ...changes,
    }
  }

  decide(changes: Partial<PlannerRequest> = {}): PlannerDecision {
    return this.planner.decide(this.request(changes), this.nowMs)
  }

  /** One attempt at `target`, to its end; time passes by `paceMs` in all. */
  run(
    behaviour: (target: string) => Behaviour,
    changes: Partial<PlannerRequest> = {},
    paceMs = 2_000,
  ): { readonly decision: PlannerDecision; readonly target: string | undefined } {
    const request = this.request(changes)
    const startMs = this.nowMs
    const decision = this.planner.decide(request, startMs)
    const [chosen] = decision.order
    if (chosen !== undefined) this.attempt(request.id, chosen, behaviour(chosen), startMs)
    this.nowMs = startMs + paceMs
    return { decision, target: chosen }
  }

  attempt(id: string, chosen: string, behaviour: Behaviour, startMs: number): void {
    this.planner.attemptStarted(id, chosen, null, startMs)
    if ('error' in behaviour) {
      const { error, afterMs = 50, retryAfterMs = null } = behaviour
      this.planner.failed(id, chosen, error, retryAfterMs, startMs + afterMs)
      return
    }
    const { ttftMs, tokensPerSecond = 60, cachedTokens = 0 } = behaviour
    this.planner.firstToken(id, chosen, startMs + ttftMs)
    const endMs = startMs + ttftMs + (99 * 1000) / tokensPerSecond
    this.planner.finished(id, chosen, { cachedTokens, outputTokens: 100 }, endMs)
  }
}

export function shareOf(
  play: Play,
  count: number,
  id: string,
  behaviour: (target: string) => Behaviour,
  paceMs = 2_000,
): number {
  let hits = 0
  for (let index = 0; index < count; index++) if (play.run(behaviour, {}, paceMs).target === id) hits++
  return hits / count
}
