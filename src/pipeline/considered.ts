// The targets of a request before anything is decided: who may be asked, and what each of them can do.

import type { DecisionExclusion } from '#core/decision.ts'
import type { Capability } from '#core/provider.ts'
import type { KeySettings, PolicySettings } from '#core/settings.ts'
import type { PlannerRequest } from '#routing/request.ts'
import type { Call } from './context.ts'
import type { Live, TargetFacts } from './live.ts'
import { isThinking } from './thinking.ts'

/** A target of the model that was asked for. */
export interface Considered {
  readonly facts: TargetFacts
  readonly call: Call
  /** Who asks may not use it, whatever is asked of it: why; null: may. */
  readonly ruledOut: { readonly reason: string; readonly detail: string } | null
  /** Of its model among those that were asked for. */
  readonly place: number
  /** Its model's own policy, where the request goes by another one. */
  readonly bound: PolicySettings | null
}

/** What may serve a request, for all its attempts. */
export interface Plan {
  readonly live: Live
  /** Who asks. */
  readonly key: KeySettings
  readonly policy: PolicySettings
  readonly considered: readonly Considered[]
  /** Those that the planner chooses among. */
  readonly able: readonly Considered[]
  /** The others. */
  readonly excluded: readonly DecisionExclusion[]
  readonly request: PlannerRequest
}

/** An unstreamed request to a target that must stream is collected, so it lacks nothing. */
export function lacks(facts: TargetFacts, call: Call, capability: Capability): boolean {
  const needsOwnEndpoint = call.untranslatable !== null && !hasCompletions(facts)
  if (capability === 'unstreamed') return needsOwnEndpoint
  if (capability === 'stream') return needsOwnEndpoint || facts.lacks('stream')
  return facts.lacks(capability) || (isThinking(facts, call) && facts.lacksWhileThinking(capability))
}

export function hasCompletions(facts: TargetFacts): boolean {
  return facts.format === null && facts.provider.completionsPath !== undefined
}
