// Gathers what may serve a request and lets the planner decide, attempt by attempt.

import { assert } from '#core/assert.ts'
import { unmetBy } from '#core/data-policy.ts'
import type { Decision, DecisionExclusion } from '#core/decision.ts'
import { GatewayError } from '#core/errors.ts'
import { RETRY_WAIT_MS_MAX } from '#core/limits.ts'
import type { AccountSettings, KeySettings, PolicySettings } from '#core/settings.ts'
import type { PlannerRequest, PlannerTarget } from '#routing/request.ts'
import { isDearer } from '#routing/sift.ts'
import { type Considered, lacks, type Plan } from './considered.ts'
import type { Call, Deps, Exchange } from './context.ts'
import type { Live, TargetFacts } from './live.ts'
import { isProviderAllowed, type ResolvedModel, resolveModel } from './models.ts'
import { plannedTarget } from './planned-targets.ts'
import { prefixesOf } from './prefixes.ts'
import { refusalOf } from './refusal.ts'
import { callFor, isThinking } from './thinking.ts'
import { encodeUpstream } from './translate.ts'
import { NO_DATA_COLLECTION, precedence, refusedByWish, type Wishes } from './wishes.ts'
import { applyWishes, namedPolicy, withBounds } from './wishes-apply.ts'

/** A target, the call as it is asked it, and the key to ask it with; null: its only one. */
export interface Aim {
  readonly facts: TargetFacts
  readonly call: Call
  readonly account: AccountSettings | null
}

/** What to do for the next attempt. */
export type Step =
  | {
      readonly kind: 'ask'
      /** Best first: the next one where this one cannot be asked. */
      readonly aims: readonly Aim[]
      /** When a second one should be asked, too; null: not at all. */
      readonly hedgeAfterMs: number | null
      readonly decision: Decision
    }
  | { readonly kind: 'wait'; readonly waitMs: number }
  | { readonly kind: 'refuse'; readonly error: GatewayError; readonly decision: Decision }

type Asking = Pick<Exchange, 'id' | 'live' | 'session'>

/** @throws GatewayError when there is no such model for this key, or the request contradicts what is configured. */
export function planCall(exchange: Asking, key: KeySettings, call: Call, atMs: number): Plan {
  const { live } = exchange
  const asked = namesOf(call).map((name) => resolveModel(live, key, name))
  const policy = policyOf(live, asked, call.wishes, atMs)
  const considered: Considered[] = []
  const seen = new Set<string>()
  for (const [index, { targets, policy: own }] of asked.entries()) {
    const policies = own.name === policy.name ? [policy] : [policy, own]
    for (const target of targets) {
      if (seen.has(target.id)) continue
      seen.add(target.id)
      const facts = live.factsOf(target)
      const ruled = ruledOut(key, policies, call.wishes, facts)
      const bound = own.name === policy.name ? null : own
      considered.push({ facts, call: callFor(facts, call), ruledOut: ruled, place: index, bound })
    }
  }
  const able: Considered[] = []
  const excluded: DecisionExclusion[] = []
  for (const candidate of considered) {
    const exclusion = exclusionOf(candidate) ?? dearerThanBound(live, candidate, atMs)
    if (exclusion === null) able.push(candidate)
    else excluded.push({ target: candidate.facts.target.id, ...exclusion })
  }
  const request = requestOf(exchange, call, policy, able)
  return { live, key, policy, considered, able, excluded, request }
}

function namesOf({ model, wishes }: Call): readonly string[] {
  return wishes === null ? [model] : wishes.names
}

/** The first model's, or the one that the request names; either way as the request wants it. */
function policyOf(
  live: Live,
  [first]: readonly ResolvedModel[],
  wishes: Wishes | null,
  atMs: number,
): PolicySettings {
  assert(first !== undefined, 'a request names a model')
  if (wishes === null) return first.policy
  const named = wishes.policy === null ? first.policy : namedPolicy(live, wishes.policy)
  return applyWishes(live, withBounds(named, first.policy), wishes, atMs)
}

function requestOf(
  exchange: Asking,
  call: Call,
  policy: PolicySettings,
  able: readonly Considered[],
): PlannerRequest {
  const targets = able.map(({ facts, call: own }) =>
    plannedTarget(exchange.live, facts, isThinking(facts, own)),
  )
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
    ranks: call.wishes === null ? null : ranksOf(call.wishes, able),
    keepsLimits: true,
    patienceMs: RETRY_WAIT_MS_MAX,
    tried: NONE,
  }
}

const NONE: readonly never[] = Object.freeze([])

/** Providers that an order may name, and more. */
const PLACES = 1_000

/** A further model comes after all targets of the one before; within a model goes what the request puts in an order. */
function ranksOf(wishes: Wishes, able: readonly Considered[]): readonly number[] | null {
  if (wishes.names.length === 1 && wishes.order === null) return null
  return able.map(({ facts, place }) => place * PLACES + precedence(wishes, facts.target))
}

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
  const isAlone = call.wishes !== null && !call.wishes.allowFallbacks && call.wishes.order === null
  const request = tried.length === 0 ? plan.request : requestAfter(plan, tried, barred, isAlone)
  const { order, accounts, waitMs, soonestMs, hedgeAfterMs } = deps.planner.decide(request, nowMs)
  if (waitMs !== null) return { kind: 'wait', waitMs }
  const decision = withExcluded(deps.planner.explainLast(nowMs), plan)
  const [first] = order
  if (first === undefined)
    return { kind: 'refuse', error: refusalOf(plan, call, decision, soonestMs), decision }
  const aims = (isAlone ? [first] : order).map((id, index) => aimOf(plan, id, accounts[index] ?? null))
  return { kind: 'ask', aims, hedgeAfterMs: isAlone ? null : hedgeAfterMs, decision }
}

/** The same without anything being sent, learnt or used up by it. */
export function previewStep(deps: Deps, plan: Plan, call: Call): Exclude<Step, { readonly kind: 'wait' }> {
  const decision = withExcluded(deps.planner.preview(plan.request, deps.clock.nowMs()), plan)
  const aims = decision.candidates.map(({ target, account }) => aimOf(plan, target, account))
  if (aims.length > 0) return { kind: 'ask', aims, hedgeAfterMs: null, decision }
  return { kind: 'refuse', error: refusalOf(plan, call, decision, null), decision }
}

function requestAfter(
  { request }: Plan,
  tried: readonly string[],
  barred: ReadonlySet<string>,
  isAlone: boolean,
): PlannerRequest {
  const isLeft = ({ id }: PlannerTarget): boolean => !barred.has(id) && (!isAlone || tried.includes(id))
  const targets: PlannerTarget[] = []
  const ranks: number[] = []
  for (const [index, target] of request.targets.entries()) {
    if (!isLeft(target)) continue
    targets.push(target)
    ranks.push(request.ranks?.[index] ?? 0)
  }
  return { ...request, targets, ranks: request.ranks === null ? null : ranks, tried }
}

/** What the planner names. */
export function aimOf(plan: Plan, id: string, account: string | null): Aim {
  const found = plan.able.find(({ facts }) => facts.target.id === id)
  assert(found !== undefined, 'the planner names targets of the request')
  const { facts, call } = found
  return { facts, call, account: facts.settings.accounts.find(({ name }) => name === account) ?? null }
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
  return call.wishes?.requireParameters === true ? lostParameters(facts, call) : null
}

/** A model keeps the bound of its own policy also where the request goes by another one. */
function dearerThanBound(
  live: Live,
  { facts, call, bound }: Considered,
  atMs: number,
): Omit<DecisionExclusion, 'target'> | null {
  if (bound === null || bound.maxPrice === null) return null
  const { quote } = plannedTarget(live, facts, isThinking(facts, call))
  if (!isDearer(quote, bound.maxPrice, call.inputTokensEstimate, outputAsked(call), atMs)) return null
  return { reason: 'max_price', detail: `dearer than policy "${bound.name}" of its model allows` }
}

/** What of the request would not reach a target, or not be said in its dialect at all. */
function lostParameters(facts: TargetFacts, call: Call): Omit<DecisionExclusion, 'target'> | null {
  const reason = 'parameters'
  try {
    const { dropped } = encodeUpstream(call, facts)
    return dropped.length === 0 ? null : { reason, detail: `it does not get ${dropped.join(', ')}` }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { reason, detail: error.message }
  }
}

/** What the key, its team, the policies and the request say of a target, whatever is asked of it. */
function ruledOut(
  key: KeySettings,
  policies: readonly PolicySettings[],
  wishes: Wishes | null,
  facts: TargetFacts,
): Considered['ruledOut'] {
  const { provider } = facts.target
  if (!isProviderAllowed(key, provider)) {
    return { reason: 'provider_not_allowed', detail: `key "${key.name}" may not use ${provider}` }
  }
  const whose = `key "${key.name}"${key.team === null ? '' : ` or team "${key.team}"`}`
  for (const required of key.dataPolicies) {
    const unmet = unmetBy(facts.data, required)
    if (unmet !== null) return { reason: 'data_policy', detail: `${unmet} by ${whose}` }
  }
  for (const { name, dataPolicy } of policies) {
    const unmet = dataPolicy === null ? null : unmetBy(facts.data, dataPolicy)
    if (unmet !== null) return { reason: 'data_policy', detail: `${unmet} by policy "${name}"` }
  }
  return wishes === null ? null : unwished(wishes, facts)
}

function unwished(wishes: Wishes, facts: TargetFacts): Considered['ruledOut'] {
  const unmet = wishes.denyDataCollection ? unmetBy(facts.data, NO_DATA_COLLECTION) : null
  if (unmet !== null) return { reason: 'data_policy', detail: `${unmet} by \`provider.data_collection\`` }
  return refusedByWish(wishes, facts.target)
}
