// Which price holds: the configuration's word over the provider's list, by model, region and instant. What a price
// makes of a usage is in rate.ts.

import type { PriceEntry } from '#core/price.ts'
import { holdsAt } from './instants.ts'
import { type Price, readPrice } from './price.ts'
import { indexList, type Row } from './price-lists.ts'

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

interface ModelFacts {
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
    sources.lists.map(({ provider, entries }) => [provider, indexList(provider, entries, currency)]),
  )
  const overridesFor = indexOverrides(sources.overrides)
  const found = new Map<string, readonly Price[]>()
  return {
    find(query) {
      const { providerName, providerId, region, model, atMs } = query
      const key = `${providerId} ${region} ${providerName}/${model}`
      let prices = found.get(key)
      if (prices === undefined) {
        if (found.size >= FOUND_MAX) found.clear()
        const listed = lists.get(providerId)?.find(model, region) ?? []
        prices = [...overridesFor(providerName, model, region), ...listed.map((row) => row.price)]
        found.set(key, prices)
      }
      for (const price of prices) if (holdsAt(price.validity, atMs)) return price
      return null
    },
    facts: (providerId, model) => factsOf(lists.get(providerId)?.findAnywhere(model) ?? []),
  }
}

/** Overrides go by the names that the configuration spells out, nothing is guessed: exact, by alias, then `/*`. */
function indexOverrides(
  overrides: CatalogueSources['overrides'],
): (providerName: string, model: string, region: string) => readonly Price[] {
  const byPattern = new Map<string, Price>()
  const byAlias = new Map<string, Price>()
  for (const { pattern, entry } of overrides) {
    const price = readPrice(entry, `config:${pattern}`)
    const providerName = pattern.slice(0, pattern.indexOf('/'))
    byPattern.set(pattern, price)
    for (const alias of entry.aliases ?? []) byAlias.set(`${providerName}/${alias}`, price)
  }
  return (providerName, model, region) => {
    const name = `${providerName}/${model}`
    return [byPattern.get(name), byAlias.get(name), byPattern.get(`${providerName}/*`)]
      .filter((price) => price !== undefined)
      .filter((price) => price.region === null || price.region === region)
  }
}

/** The first row that knows a fact says it; historic rows come last. */
function factsOf(rows: readonly Row[]): ModelFacts | null {
  if (rows.length === 0) return null
  const entries = rows.map((row) => row.entry)
  const ordered = [
    ...entries.filter((entry) => entry.historic !== true),
    ...entries.filter((entry) => entry.historic === true),
  ]
  return {
    contextWindow: first(ordered, (entry) => entry.context_window),
    // An empty list says that nobody wrote it down, not that the model can do nothing.
    capabilities: first(ordered, (entry) =>
      entry.capabilities?.length === 0 ? undefined : entry.capabilities,
    ),
  }
}

function first<Value>(
  entries: readonly PriceEntry[],
  read: (entry: PriceEntry) => Value | undefined,
): Value | null {
  for (const entry of entries) {
    const value = read(entry)
    if (value !== undefined) return value
  }
  return null
}
