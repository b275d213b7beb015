// The targets of a configuration as the planner sees them, made once for each.

import { type Limits, NO_LIMITS, type Scope } from '#core/admission.ts'
import type { ProviderSettings } from '#core/settings.ts'
import { createQuote } from '#pricing/quote.ts'
import type { PlannerAccount, PlannerTarget } from '#routing/request.ts'
import type { Live, TargetFacts } from './live.ts'

const made = new WeakMap<TargetFacts, Partial<Record<'plain' | 'thinking', PlannerTarget>>>()

export function plannedTarget(live: Live, facts: TargetFacts, isThinking: boolean): PlannerTarget {
  let known = made.get(facts)
  if (known === undefined) {
    known = {}
    made.set(facts, known)
  }
  const mode = isThinking ? 'thinking' : 'plain'
  known[mode] ??= planTarget(live, facts, isThinking)
  return known[mode]
}

const NO_ACCOUNTS: readonly PlannerAccount[] = Object.freeze([])
const accountsOf = new WeakMap<ProviderSettings, readonly PlannerAccount[]>()

function plannedAccounts(settings: ProviderSettings): readonly PlannerAccount[] {
  if (settings.accounts.length === 0) return NO_ACCOUNTS
  let accounts = accountsOf.get(settings)
  if (accounts === undefined) {
    accounts = settings.accounts.map(({ name, limits }) => ({
      id: name,
      limits,
      sharedId: `account:${settings.name}#${name}`,
    }))
    accountsOf.set(settings, accounts)
  }
  return accounts
}

function planTarget(live: Live, facts: TargetFacts, isThinking: boolean): PlannerTarget {
  const { target } = facts
  const { served, currency } = live.settings
  const shared = served.get(target.provider)
  return {
    id: target.id,
    weight: target.weight,
    priority: target.priority,
    contextWindow: facts.contextWindow,
    limits: limitsOf(served.get(target.id)),
    sharedLimits: shared === undefined ? null : { id: shared.id, limits: limitsOf(shared) },
    accounts: plannedAccounts(facts.settings),
    prior: null,
    isThinking,
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

function limitsOf(scope: Scope | undefined): Limits {
  return scope === undefined ? NO_LIMITS : scope.limits
}
