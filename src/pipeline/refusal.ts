// Why nothing is left to try, in the words that help most.

import type { Decision } from '#core/decision.ts'
import { GatewayError } from '#core/errors.ts'
import { type Considered, lacks, type Plan } from './considered.ts'
import type { Call } from './context.ts'
import { nearDirect, noSuchDirect } from './models.ts'

/** `soonestMs`: when a target may be had again; null: not by waiting. */
export function refusalOf(
  plan: Plan,
  call: Call,
  decision: Decision,
  soonestMs: number | null,
): GatewayError {
  const enabled = plan.considered.filter(({ facts }) => facts.settings.enabled)
  const allowed = enabled.filter(({ ruledOut }) => ruledOut === null)
  if (enabled.length === 0) {
    const message = `no target of "${call.model}" is enabled: their providers have no keys`
    return new GatewayError('no_target', message, { shouldRetry: false })
  }
  if (allowed.length === 0) return ruledOutRefusal(call, enabled)
  const mistyped = mistypedRefusal(plan, call, decision)
  if (mistyped !== null) return mistyped
  const reasons = new Map(decision.excluded.map(({ target, reason }) => [target, reason]))
  const said = allowed.map(({ facts }) => reasons.get(facts.target.id))
  const areAll = (...wanted: string[]): boolean =>
    said.every((reason) => reason !== undefined && wanted.includes(reason))
  if (call.untranslatable !== null && areAll('capability')) return call.untranslatable
  const lacking = call.needs.find(({ capability }) =>
    allowed.every(({ facts, call: own }) => lacks(facts, own, capability)),
  )
  if (lacking !== undefined) {
    const message = `no target of "${call.model}" supports what \`${lacking.param}\` asks for (${lacking.capability})`
    return new GatewayError('unsupported_parameter', message, { param: lacking.param })
  }
  if (areAll('parameters', 'capability')) {
    const details = decision.excluded.map(({ target, detail }) => `${target}: ${detail}`).join('; ')
    const message = `no target of "${call.model}" takes all parameters of the request (${details})`
    return new GatewayError('unsupported_parameter', message, { param: 'provider.require_parameters' })
  }
  if (areAll('max_price')) {
    const details = decision.excluded.map(({ target, detail }) => `${target}: ${detail}`).join('; ')
    const message = `every target of "${call.model}" is dearer than max_price allows (${details})`
    return new GatewayError('no_target', message, { shouldRetry: false })
  }
  if (areAll('context_length')) {
    const largest = Math.max(...allowed.map(({ facts }) => facts.contextWindow ?? 0))
    const message = `the request has about ${call.inputTokensEstimate} input tokens; the largest window of "${call.model}" is ${largest}`
    return new GatewayError('context_length_exceeded', message, { param: 'messages' })
  }
  if (said.some((reason) => reason === 'cooling_down' || reason === 'quota')) {
    const message = `every target of "${call.model}" is at its provider's rate limit`
    return new GatewayError('upstream_rate_limited', message, { retryAfterMs: soonestMs })
  }
  const listed = decision.excluded.map(({ target, reason }) => `${target}: ${reason}`).join('; ')
  const message = `no target of "${call.model}" can take the request now (${listed})`
  return new GatewayError('no_target', message, { retryAfterMs: soonestMs })
}

/** A model without a price that a client named itself, where others have nearly its name. */
function mistypedRefusal({ live, key }: Plan, call: Call, decision: Decision): GatewayError | null {
  if (decision.excluded.some(({ reason }) => reason !== 'unpriced')) return null
  const near = nearDirect(live, key, call.model)
  if (near === null || near.length === 0) return null
  return noSuchDirect(call.model, near, 'no price is known for it')
}

const WISHES: ReadonlySet<string> = new Set(['only', 'ignore', 'order'])

/** Neither waiting nor another request helps: the key or the configuration must change. */
function ruledOutRefusal(call: Call, candidates: readonly Considered[]): GatewayError {
  const said = candidates.map(({ facts, ruledOut }) => `${facts.target.id}: ${ruledOut?.detail}`).join('; ')
  if (candidates.some(({ ruledOut }) => WISHES.has(ruledOut?.reason ?? ''))) {
    const message = `what \`provider\` says leaves no target of "${call.model}" (${said})`
    return new GatewayError('invalid_request', message, { param: 'provider' })
  }
  const isPolicy = candidates.some(({ ruledOut }) => ruledOut?.reason === 'data_policy')
  if (!isPolicy) {
    const message = `no provider of "${call.model}" may be used (${said})`
    return new GatewayError('model_not_allowed', message, { param: 'model' })
  }
  const message = `no target of "${call.model}" does with data what is required (${said})`
  return new GatewayError('no_target', message, { shouldRetry: false })
}
