// The price that an attempt is billed at.

import { priceAt } from '#pricing/catalogue.ts'
import type { Price } from '#pricing/price.ts'
import type { Live, TargetFacts } from './live.ts'

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
