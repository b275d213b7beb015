// Targets that a policy which goes by price can never choose, said before anyone asks why.

import type { TargetSettings } from '#core/settings.ts'
import { priceAt } from '#pricing/catalogue.ts'
import type { Live } from './live.ts'
import { nearest } from './models.ts'

/** Searches for near names cost their length times the names: past this many targets they are left out. */
const NEAREST_SEARCHES_MAX = 100

/** One line for each such target of a model; those of disabled providers have a line already. */
export function priceNotices(live: Live, nowMs: number): readonly string[] {
  const notices = new Map<string, string>()
  for (const model of live.settings.models.values()) {
    const { name, sort } = live.policy(model.policy)
    if (sort !== 'price' && sort !== 'value') continue
    for (const target of model.targets) {
      if (notices.has(target.id) || live.settings.providers.get(target.provider)?.enabled !== true) continue
      const why = unpricedBecause(live, target, nowMs, notices.size < NEAREST_SEARCHES_MAX)
      if (why === null) continue
      const end = `never chosen under sort: ${sort} (model "${model.name}", policy "${name}")`
      notices.set(target.id, `target "${target.id}" ${why}; ${end}`)
    }
  }
  return [...notices.values()]
}

/** null: it has a price that the books can say. */
function unpricedBecause(
  live: Live,
  target: TargetSettings,
  nowMs: number,
  searches: boolean,
): string | null {
  const facts = live.factsOf(target)
  const price = priceAt(facts.prices, nowMs)
  if (price !== null) {
    const isKnown = price.currency === live.settings.currency || live.rateOf(price.currency, nowMs) !== null
    return isKnown ? null : `is priced in ${price.currency}: it needs fx.${price.currency}`
  }
  const known = live.catalogue.models({ providerName: target.provider, providerId: facts.provider.id })
  if (known.includes(target.model))
    return `has no price in region "${facts.settings.region}"; give it one under prices`
  const near = searches ? nearest(target.model, known) : []
  const hint =
    near.length === 0
      ? 'give it one under prices'
      : `did you mean ${near.map((name) => `"${name}"`).join(' or ')}?`
  return `has no price; ${hint}`
}
