// The targets of a configuration as the planner sees them, made once for each.

import type { Scope } from '#core/admission.ts'
import type { TargetSettings } from '#core/settings.ts'
import { createQuote } from '#pricing/quote.ts'
import type { QuotaLimits } from '#routing/quota.ts'
import type { PlannerTarget } from '#routing/request.ts'
import type { Live } from './live.ts'

const NO_LIMITS: QuotaLimits = { rpm: null, tpm: null, concurrency: null }

const made = new WeakMap<Live, Map<string, PlannerTarget>>()
/** Clients may name any model of a provider. */
const MADE_MAX = 10_000

export function plannedTarget(live: Live, target: TargetSettings, isThinking: boolean): PlannerTarget {
  let targets = made.get(live)
  if (targets === undefined) {
    targets = new Map()
    made.set(live, targets)
  }
  const key = `${target.id} ${isThinking}`
  let planned = targets.get(key)
  if (planned === undefined || planned.weight !== target.weight || planned.priority !== target.priority) {
    if (targets.size >= MADE_MAX) targets.clear()
    planned = planTarget(live, target, isThinking)
    targets.set(key, planned)
  }
  return planned
}

function planTarget(live: Live, target: TargetSettings, isThinking: boolean): PlannerTarget {
  const facts = live.factsOf(target)
  const { served, currency } = live.settings
  const shared = served.get(target.provider)
  return {
    id: target.id,
    weight: target.weight,
    priority: target.priority,
    contextWindow: facts.contextWindow,
    limits: limitsOf(served.get(target.id)),
    sharedLimits: shared === undefined ? null : { id: shared.id, limits: limitsOf(shared) },
    prior: null,
    lacks: (capability) => facts.lacks(capability) || (isThinking && facts.lacksWhileThinking(capability)),
    quote: createQuote({
      prices: facts.prices,
      rateOf: live.rateOf,
      bookCurrency: currency,
      isThinking,
      balances: (price, atMs) => live.catalogue.balances.of(target.provider, target.model, price, atMs),
    }),
  }
}

function limitsOf(scope: Scope | undefined): QuotaLimits {
  return scope === undefined ? NO_LIMITS : scope.limits
}
