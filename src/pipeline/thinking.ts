// What becomes of a call at a model that cannot do all of it while it thinks.

import type { Call } from './context.ts'
import type { TargetFacts } from './live.ts'

/** Thinking output may have a price of its own, which hangs on the mode, not on what came of it. */
export function isThinking(facts: TargetFacts, call: Call): boolean {
  if (call.thinking.enabled !== null) return call.thinking.enabled !== false
  return facts.thinksByDefault
}

/**
 * The call as this target is asked it. A client that says nothing of thinking and asks for what the model does only
 * without it means that, not the model's habit.
 */
export function callFor(facts: TargetFacts, call: Call): Call {
  const { enabled, effort, budgetTokens } = call.thinking
  const { thinksNotFor } = facts.rule
  if (thinksNotFor === undefined || enabled !== null || effort !== null || budgetTokens !== null) return call
  if (!call.needs.some((need) => thinksNotFor.includes(need.capability))) return call
  return { ...call, thinking: { enabled: false, effort: null, budgetTokens: null } }
}

/** Does the upstream stream, whatever the client asked for? */
export function streamsUpstream(facts: TargetFacts, call: Call): boolean {
  return (
    call.streaming ||
    facts.lacks('unstreamed') ||
    (isThinking(facts, call) && facts.lacksWhileThinking('unstreamed'))
  )
}
