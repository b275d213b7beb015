// The prices that a hold goes by: all that an answer of the target may be billed at, and for a target without a price
// what the configuration says of those.

import type { Micro } from '#core/money.ts'
import { priceAt } from '#pricing/catalogue.ts'
import type { Price } from '#pricing/price.ts'
import { decideUnpriced } from '#pricing/unpriced.ts'
import type { Live, TargetFacts } from './live.ts'
import { priceOf } from './price-of.ts'

export type HeldPrices =
  | { readonly kind: 'priced' | 'bound'; readonly prices: readonly Price[] }
  /** Served without a hold. */
  | { readonly kind: 'flagged' }
  | { readonly kind: 'denied' }

/** `model`: the name that was asked for. */
export function heldPrices(live: Live, model: string, facts: TargetFacts, atMs: number): HeldPrices {
  const own = priceOf(live, facts, null, atMs)
  if (own !== null && canRate(live, own, atMs))
    return { kind: 'priced', prices: answeredPrices(live, facts, own, atMs) }
  const { unpriced: rule } = live.settings
  const known = rule === 'bound' ? likePrices(live, model, facts, atMs) : []
  const decision = decideUnpriced({ rule, underBudget: true, known })
  if (decision.kind === 'deny') return { kind: 'denied' }
  return decision.kind === 'bound' ? { kind: 'bound', prices: decision.known } : { kind: 'flagged' }
}

function canRate(live: Live, price: Price, atMs: number): boolean {
  return price.currency === live.settings.currency || exchangeOf(live, price, atMs) !== null
}

export function exchangeOf(live: Live, price: Price, atMs: number): Micro | null {
  return live.rateOf(price.currency, atMs)
}

/**
 * The model that an answer names decides its price: an alias stands for one of several snapshots. A name that has
 * nothing to do with the one asked for cannot be foreseen; what it costs more is counted as an overrun.
 */
function answeredPrices(live: Live, facts: TargetFacts, own: Price, atMs: number): readonly Price[] {
  if (own.version.startsWith('config:')) return [own]
  const names = live.catalogue.family({ providerId: facts.provider.id, model: facts.target.model })
  return [own, ...pricesOf(live, facts, names, atMs).filter((price) => price !== own)]
}

/** What answers that name these models would be billed at. */
function pricesOf(live: Live, facts: TargetFacts, names: readonly string[], atMs: number): readonly Price[] {
  return names
    .map((name) => priceOf(live, facts, name, atMs))
    .filter((price) => price !== null)
    .filter((price) => isHeld(live, price, atMs))
}

/** Of the model's other targets; where none has a price, the whole list of the target's provider. */
function likePrices(live: Live, model: string, facts: TargetFacts, atMs: number): readonly Price[] {
  const targets = live.settings.models.get(model)?.targets ?? []
  const siblings = targets
    .filter((target) => target.id !== facts.target.id)
    .map((target) => priceAt(live.factsOf(target).prices, atMs))
    .filter((price) => price !== null)
    .filter((price) => isHeld(live, price, atMs))
  if (siblings.length > 0) return siblings
  return pricesOf(
    live,
    facts,
    live.catalogue.models({ providerName: facts.target.provider, providerId: facts.provider.id }),
    atMs,
  )
}

function isHeld(live: Live, price: Price, atMs: number): boolean {
  return price.unit === 'per_million_tokens' && canRate(live, price, atMs)
}
