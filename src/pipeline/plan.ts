// Gathers what is known of a model's targets and lets routing decide.

import { GatewayError } from '#core/errors.ts'
import type { Capability } from '#core/provider.ts'
import type { KeySettings, TargetSettings } from '#core/settings.ts'
import { priceAt } from '#pricing/catalogue.ts'
import type { Price } from '#pricing/price.ts'
import { estimateNano } from '#pricing/rate.ts'
import { type Candidate, makePlan, type Plan } from '#routing/plan.ts'
import type { Call, Deps } from './context.ts'
import type { Live, TargetFacts } from './live.ts'
import { nearDirect, noSuchDirect, resolveModel } from './models.ts'
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
  const candidates = targets.map((target) => readCandidate(deps, live, call, target, nowMs))
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

function readCandidate(deps: Deps, live: Live, call: Call, target: TargetSettings, nowMs: number): Candidate {
  const facts = live.factsOf(target)
  const own = callFor(facts, call)
  const health = deps.health.of(target.id)
  return {
    target,
    enabled: facts.settings.enabled,
    lacks: lackOf(facts, own),
    contextWindow: facts.contextWindow,
    estimateNano: estimate(live, facts, own, nowMs),
    breaker: health.breaker(nowMs),
    ttftP90Ms: health.latency.p90Ms(nowMs),
    samples: health.latency.samples(nowMs),
  }
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

/** Why nothing is left, in the words that help most. */
function refusal(call: Call, plan: Plan, candidates: readonly Candidate[], nowMs: number): GatewayError {
  const { excluded } = plan.decision
  const able = candidates.filter((candidate) => candidate.enabled)
  if (able.length === 0) {
    return new GatewayError(
      'no_target',
      `no target of "${call.model}" is enabled: their providers have no keys`,
      { shouldRetry: false },
    )
  }
  if (
    call.untranslatable !== null &&
    excluded.every((entry) => entry.reason === 'capability' || entry.reason === 'disabled')
  ) {
    return call.untranslatable
  }
  const lacking = call.needs.find((need) => able.every((candidate) => candidate.lacks(need.capability)))
  if (lacking !== undefined) {
    const message = `no target of "${call.model}" supports what \`${lacking.param}\` asks for (${lacking.capability})`
    return new GatewayError('unsupported_parameter', message, { param: lacking.param })
  }
  if (
    excluded.length > 0 &&
    excluded.every((entry) => entry.reason === 'context_length' || entry.reason === 'disabled')
  ) {
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
  const reasons = excluded.map((entry) => `${entry.target}: ${entry.reason}`).join('; ')
  return new GatewayError('no_target', `no target of "${call.model}" can take the request now (${reasons})`)
}
