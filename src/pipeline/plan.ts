// Gathers what is known of a model's targets and lets routing decide.

import { unmetBy } from '#core/data-policy.ts'
import { GatewayError } from '#core/errors.ts'
import type { Capability } from '#core/provider.ts'
import type { KeySettings, PolicySettings } from '#core/settings.ts'
import { priceAt } from '#pricing/catalogue.ts'
import type { Price } from '#pricing/price.ts'
import { estimateNano } from '#pricing/rate.ts'
import { type Candidate, makePlan, type Plan } from '#routing/plan.ts'
import type { Call, Deps } from './context.ts'
import type { Live, TargetFacts } from './live.ts'
import { isProviderAllowed, nearDirect, noSuchDirect, resolveModel } from './models.ts'
import { callFor, isThinking } from './thinking.ts'

export interface PlannedCall extends Plan {
  readonly policy: ReturnType<typeof resolveModel>['policy']
  /** Why nothing is left to try; null when something is. The decision is recorded either way. */
  readonly refusal: GatewayError | null
}

/** @throws GatewayError when there is no such model for this key. */
export function planCall(deps: Deps, live: Live, key: KeySettings, call: Call): PlannedCall {
  const { targets, policy } = resolveModel(live, key, call.model)
  const nowMs = deps.clock.nowMs()
  const candidates = targets.map((target) => {
    const facts = live.factsOf(target)
    return readCandidate(deps, live, call, facts, ruledOut(key, policy, facts), nowMs)
  })
  const plan = makePlan({
    policy,
    candidates,
    needs: call.needs,
    inputTokensEstimate: call.inputTokensEstimate,
    inputTokensFloor: call.inputTokensFloor,
    random: deps.random.unit,
  })
  const isEmpty = plan.targets.length === 0
  const reason = isEmpty ? (mistyped(live, key, call, plan) ?? refusal(call, plan, candidates, nowMs)) : null
  return { ...plan, policy, refusal: reason }
}

/** A model without a price that a client named itself, where others have nearly its name. */
function mistyped(live: Live, key: KeySettings, call: Call, plan: Plan): GatewayError | null {
  if (plan.decision.excluded.some((entry) => entry.reason !== 'unpriced')) return null
  const near = nearDirect(live, key, call.model)
  if (near === null || near.length === 0) return null
  return noSuchDirect(call.model, near, 'no price is known for it')
}

function readCandidate(
  deps: Deps,
  live: Live,
  call: Call,
  facts: TargetFacts,
  ruled: Candidate['ruledOut'],
  nowMs: number,
): Candidate {
  const { target } = facts
  const own = callFor(facts, call)
  const health = deps.health.of(target.id)
  return {
    target,
    enabled: facts.settings.enabled,
    ruledOut: ruled,
    lacks: lackOf(facts, own),
    contextWindow: facts.contextWindow,
    estimateNano: estimate(live, facts, own, nowMs),
    breaker: health.breaker(nowMs),
    ttftP90Ms: health.latency.p90Ms(nowMs),
    samples: health.latency.samples(nowMs),
  }
}

/** What the key, its team and the policy say of a target, whatever is asked of it. */
function ruledOut(key: KeySettings, policy: PolicySettings, facts: TargetFacts): Candidate['ruledOut'] {
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

/** An unstreamed request to a target that must stream is collected, so it lacks nothing. */
function lackOf(facts: TargetFacts, call: Call): (capability: Capability) => boolean {
  const thinking = isThinking(facts, call)
  const needsOwnEndpoint = call.untranslatable !== null && !hasCompletions(facts)
  return (capability) => {
    if (capability === 'unstreamed') return needsOwnEndpoint
    if (capability === 'stream') return needsOwnEndpoint || facts.lacks('stream')
    return facts.lacks(capability) || (thinking && facts.lacksWhileThinking(capability))
  }
}

export function hasCompletions(facts: TargetFacts): boolean {
  return facts.format === null && facts.provider.completionsPath !== undefined
}

function estimate(live: Live, facts: TargetFacts, call: Call, nowMs: number): Candidate['estimateNano'] {
  const price = priceOf(live, facts, null, nowMs)
  if (price === null) return null
  const rate = live.rateOf(price.currency, nowMs)
  // Without a rate the books cannot say what it costs: the target counts as unpriced.
  if (rate === null && price.currency !== live.settings.currency) return null
  const thinking = isThinking(facts, call)
  return estimateNano(price, call.inputTokensEstimate, call.outputTokensEstimate, nowMs, thinking, rate)
}

/** The price in force; a model that the answer names decides, unless the configuration prices the target itself. */
export function priceOf(
  live: Live,
  facts: TargetFacts,
  responseModel: string | null,
  atMs: number,
): Price | null {
  const own = priceAt(facts.prices, atMs)
  const { provider: providerName, model } = facts.target
  if (responseModel === null || responseModel === model || own?.version.startsWith('config:') === true)
    return own
  const { region } = facts.settings
  const query = { providerName, providerId: facts.provider.id, region, model: responseModel, atMs }
  return live.catalogue.find(query) ?? own
}

/** Neither waiting nor another request helps: the key or the configuration must change. */
function ruledOutRefusal(call: Call, candidates: readonly Candidate[]): GatewayError {
  const said = candidates.map(({ target, ruledOut: rule }) => `${target.id}: ${rule?.detail}`).join('; ')
  const isPolicy = candidates.some((candidate) => candidate.ruledOut?.reason === 'data_policy')
  if (!isPolicy) {
    const message = `no provider of "${call.model}" may be used (${said})`
    return new GatewayError('model_not_allowed', message, { param: 'model' })
  }
  const message = `no target of "${call.model}" does with data what is required (${said})`
  return new GatewayError('no_target', message, { shouldRetry: false })
}

/** Why nothing is left, in the words that help most. */
function refusal(call: Call, plan: Plan, candidates: readonly Candidate[], nowMs: number): GatewayError {
  const { excluded } = plan.decision
  const enabled = candidates.filter((candidate) => candidate.enabled)
  const able = enabled.filter((candidate) => candidate.ruledOut === null)
  if (enabled.length > 0 && able.length === 0) return ruledOutRefusal(call, enabled)
  if (able.length === 0) {
    return new GatewayError(
      'no_target',
      `no target of "${call.model}" is enabled: their providers have no keys`,
      { shouldRetry: false },
    )
  }
  const reasons = excluded.filter(({ target }) => able.some((candidate) => candidate.target.id === target))
  if (call.untranslatable !== null && reasons.every(({ reason }) => reason === 'capability')) {
    return call.untranslatable
  }
  const lacking = call.needs.find((need) => able.every((candidate) => candidate.lacks(need.capability)))
  if (lacking !== undefined) {
    const message = `no target of "${call.model}" supports what \`${lacking.param}\` asks for (${lacking.capability})`
    return new GatewayError('unsupported_parameter', message, { param: lacking.param })
  }
  if (reasons.length > 0 && reasons.every(({ reason }) => reason === 'context_length')) {
    const largest = Math.max(...able.map((candidate) => candidate.contextWindow ?? 0))
    const message = `the request has about ${call.inputTokensEstimate} input tokens; the largest window of "${call.model}" is ${largest}`
    return new GatewayError('context_length_exceeded', message, { param: 'messages' })
  }
  const cooling = able.filter(
    (candidate) => candidate.breaker.reason === 'rate_limit' && candidate.breaker.untilMs > nowMs,
  )
  if (cooling.length > 0) {
    const soonestMs = Math.min(...cooling.map((candidate) => candidate.breaker.untilMs))
    const message = `every target of "${call.model}" is at its provider's rate limit`
    return new GatewayError('upstream_rate_limited', message, { retryAfterMs: soonestMs - nowMs })
  }
  const said = excluded.map((entry) => `${entry.target}: ${entry.reason}`).join('; ')
  return new GatewayError('no_target', `no target of "${call.model}" can take the request now (${said})`)
}
