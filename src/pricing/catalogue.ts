// Which price holds: the configuration's word over the provider's list, by model, region and instant. What a price
// makes of a usage is in rate.ts.

import type { PriceEntry } from '#core/price.ts'
import { holdsAt } from './instants.ts'
import { foldCase } from './model-names.ts'
import { type Price, readPrice } from './price.ts'
import { PriceList, readRows, type Row } from './price-lists.ts'

export interface CatalogueSources {
  /** One list per provider folder. */
  readonly lists: readonly { readonly provider: string; readonly entries: readonly PriceEntry[] }[]
  /** `prices:` of the configuration, by `PROVIDER/MODEL` or `PROVIDER/*`. */
  readonly overrides: readonly { readonly pattern: string; readonly entry: PriceEntry }[]
  /** Of the books. Some vendors print one price in two currencies; the books' own needs no conversion. */
  readonly currency?: string
}

export interface PriceQuery {
  /** The name under `providers:` of the configuration, which overrides go by. */
  readonly providerName: string
  /** The provider's folder, which lists go by. */
  readonly providerId: string
  readonly region: string
  readonly model: string
  readonly atMs: number
}

export interface ModelFacts {
  /** null: the list does not say. */
  readonly contextWindow: number | null
  readonly capabilities: readonly string[] | null
}

export interface Catalogue {
  /** null: unknown, which is never a price of zero. */
  readonly find: (query: PriceQuery) => Price | null
  readonly facts: (providerId: string, model: string) => ModelFacts | null
}

/** Clients and answers may name any model, so the memory for what was found is bounded. */
const FOUND_MAX = 10_000

/** @throws RangeError when an entry cannot be read. */
export function buildCatalogue(sources: CatalogueSources): Catalogue {
  const currency = sources.currency ?? null
  const lists = new Map(
    sources.lists.map(({ provider, entries }) => [
      provider,
      new PriceList(readRows(provider, entries), currency),
    ]),
  )
  const overrides = readOverrides(sources.overrides, currency)
  const found = new Map<string, readonly Price[]>()
  return {
    find(query) {
      const { providerName, providerId, region, model, atMs } = query
      const key = `${providerId} ${region} ${providerName}/${model}`
      let prices = found.get(key)
      if (prices === undefined) {
        if (found.size >= FOUND_MAX) found.clear()
        const own = overrides.get(providerName)?.find(model, region) ?? []
        const listed = lists.get(providerId)?.find(model, region) ?? []
        prices = [...own, ...listed].map((row) => row.price)
        found.set(key, prices)
      }
      for (const price of prices) if (holdsAt(price.validity, atMs)) return price
      return null
    },
    facts: (providerId, model) => factsOf(lists.get(providerId)?.findAnywhere(model) ?? []),
  }
}
