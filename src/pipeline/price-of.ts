// The price that an attempt is billed at.

import { priceAt, priceOfAnswer } from '#pricing/catalogue.ts'
import type { Price } from '#pricing/price.ts'
import type { Live, TargetFacts } from './live.ts'

/** The price in force; a model that the answer names decides, unless the configuration prices the target itself. */
export function priceOf(
  live: Live,
  facts: TargetFacts,
  responseModel: string | null,
  atMs: number,
): Price | null {
  const { provider: providerName, model } = facts.target
  const query = { providerName, providerId: facts.provider.id, region: facts.settings.region, model }
  return priceOfAnswer(live.catalogue, query, responseModel, atMs, priceAt(facts.prices, atMs))
}
