// Gathers what may serve a request and lets the planner decide, attempt by attempt.

import { unmetBy } from '#core/data-policy.ts'
import type { Decision, DecisionExclusion } from '#core/decision.ts'
import type { GatewayError } from '#core/errors.ts'
import { RETRY_WAIT_MS_MAX } from '#core/limits.ts'
import type { KeySettings, PolicySettings, TargetSettings } from '#core/settings.ts'
import type { PlannerRequest, PlannerTarget } from '#routing/request.ts'
import { type Considered, lacks, type Plan } from './considered.ts'
import type { Call, Deps, Exchange } from './context.ts'
import type { Live, TargetFacts } from './live.ts'
import { isProviderAllowed, resolveModel } from './models.ts'
import { plannedTarget } from './planned-targets.ts'
import { prefixesOf } from './prefixes.ts'
import { refusalOf } from './refusal.ts'
import { callFor, isThinking } from './thinking.ts'

/** What to do for the next attempt. */
export type Step =
  | {
      readonly kind: 'ask'
      /** Best first: the next one where this one cannot be asked. */
      readonly targets: readonly TargetSettings[]
      /** When a second one should be asked, too; null: not at all. */
      readonly hedgeAfterMs: number | null
      readonly decision: Decision
    }
  | { readonly kind: 'wait'; readonly waitMs: number }
  | { readonly kind: 'refuse'; readonly error: GatewayError; readonly decision: Decision }

type Asking = Pick<Exchange, 'id' | 'live' | 'session'>

/** @throws GatewayError when there is no such model for this key. */
export function planCall(exchange: Asking, key: KeySettings, call: Call): Plan {
  const { live } = exchange
  const { targets, policy } = resolveModel(live, key, call.model)
  const considered = targets.map((target): Considered => {
    const facts = live.factsOf(target)
    return { facts, call: callFor(facts, call), ruledOut: ruledOut(key, policy, facts) }
  })
  const able: Considered[] = []
  const excluded: DecisionExclusion[] = []
  for (const candidate of considered) {
    const exclusion = exclusionOf(candidate)
    if (exclusion === null) able.push(candidate)
    else excluded.push({ target: candidate.facts.target.id, ...exclusion })
  }
  const planned = able.map(({ facts, call: own }) => plannedTarget(live, facts, isThinking(facts, own)))
  const request = requestOf(exchange, call, policy, planned)
  return { policy, considered, able, excluded, request }
}

function requestOf(
  exchange: Asking,
  call: Call,
  policy: PolicySettings,
  targets: readonly PlannerTarget[],
): PlannerRequest {
  const outputTokensMax = outputAsked(call)
  return {
    id: exchange.id,
    model: call.model,
    policy,
    targets,
    needs: NONE,
    inputTokens: call.inputTokensEstimate,
    outputTokensMax,
    windowTokens: windowTokens(call, targets, outputTokensMax ?? 0),
    isStreamed: call.streaming,
    // With one target there is nothing to weigh a cache against.
    prefixes: policy.affinity === 'priced' && targets.length > 1 ? prefixesOf(call) : NONE,
    session: exchange.session ?? call.user,
    ranks: null,
    keepsLimits: true,
    patienceMs: RETRY_WAIT_MS_MAX,
    tried: NONE,
  }
}

const NONE: readonly never[] = Object.freeze([])

function outputAsked({ chat }: Call): number | null {
  const bound = chat['max_completion_tokens'] ?? chat['max_tokens']
  return typeof bound === 'number' ? bound : null
}

/** An estimate that no window holds may be wrong; only what must be too large is refused for certain. */
function windowTokens(call: Call, targets: readonly PlannerTarget[], outputTokens: number): number {
  const { inputTokensEstimate, inputTokensFloor } = call
  let largest = 0
  for (const { contextWindow } of targets) {
    if (contextWindow === null) return inputTokensEstimate + outputTokens
    if (contextWindow > largest) largest = contextWindow
  }
  if (inputTokensEstimate + outputTokens <= largest) return inputTokensEstimate + outputTokens
  return inputTokensEstimate <= largest ? inputTokensEstimate : inputTokensFloor
}

/** Where the next attempt goes, after those at `tried`; none of them goes to `barred`. */
export function nextStep(
  deps: Deps,
  plan: Plan,
  call: Call,
  tried: readonly string[],
  barred: ReadonlySet<string>,
): Step {
  const nowMs = deps.clock.nowMs()
  const { request } = plan
  const left =
    barred.size === 0 ? request.targets : request.targets.filter((target) => !barred.has(target.id))
  const { order, waitMs, soonestMs, hedgeAfterMs } = deps.planner.decide(
    tried.length === 0 ? request : { ...request, targets: left, tried },
    nowMs,
  )
  if (waitMs !== null) return { kind: 'wait', waitMs }
  const decision = withExcluded(deps.planner.explainLast(nowMs), plan)
  if (order.length > 0) {
    const targets = order.map((id) => targetOf(plan, id))
    return { kind: 'ask', targets, hedgeAfterMs, decision }
  }
  return { kind: 'refuse', error: refusalOf(plan, call, decision, soonestMs), decision }
}

function targetOf(plan: Plan, id: string): TargetSettings {
  const found = plan.able.find(({ facts }) => facts.target.id === id)
  if (found === undefined) throw new Error(`the planner named ${id}, which is no target of the request`)
  return found.facts.target
}

function withExcluded(decision: Decision, { excluded }: Plan): Decision {
  return excluded.length === 0 ? decision : { ...decision, excluded: [...excluded, ...decision.excluded] }
}

function exclusionOf({ facts, call, ruledOut: rule }: Considered): Omit<DecisionExclusion, 'target'> | null {
  if (!facts.settings.enabled) return { reason: 'disabled', detail: 'its provider has no key' }
  if (rule !== null) return rule
  for (const { capability, param } of call.needs) {
    if (lacks(facts, call, capability)) return { reason: 'capability', detail: `${capability} (${param})` }
  }
  return null
}

/** What the key, its team and the policy say of a target, whatever is asked of it. */
function ruledOut(key: KeySettings, policy: PolicySettings, facts: TargetFacts): Considered['ruledOut'] {
  const { provider } = facts.target
  if (!isProviderAllowed(key, provider)) {
    return { reason: 'provider_not_allowed', detail: `key "${key.name}" may not use ${provider}` }
  }
  const whose = `key "${key.name}"${key.team === null ? '' : ` or team "${key.team}"`}`
  for (const required of key.dataPolicies) {
    const unmet = unmetBy(facts.data, required)
    if (unmet !== null) return { reason: 'data_policy', detail: `${unmet} by ${whose}` }
  }
  const unmet = policy.dataPolicy === null ? null : unmetBy(facts.data, policy.dataPolicy)
  return unmet === null ? null : { reason: 'data_policy', detail: `${unmet} by policy "${policy.name}"` }
}

/** The target as the planner knows it. */
export function plannerTargetOf(live: Live, facts: TargetFacts, call: Call): PlannerTarget {
  return plannedTarget(live, facts, isThinking(facts, callFor(facts, call)))
}
