// Which price holds: the configuration's word over the provider's list, by model, region and instant. What a price
// makes of a usage is in rate.ts.

import type { PriceEntry } from '#core/price.ts'
import { BalanceBook } from './balance-book.ts'
import type { Balances } from './balances.ts'
import { holdsAt } from './instants.ts'
import { type Discount, type Price, readDiscount, readPrice } from './price.ts'
import { indexList } from './price-lists.ts'

export interface CatalogueSources {
  /** One list per provider folder. */
  readonly lists: readonly { readonly provider: string; readonly entries: readonly PriceEntry[] }[]
  /** `prices:` of the configuration, by `PROVIDER/MODEL` or `PROVIDER/*`. */
  readonly overrides: readonly { readonly pattern: string; readonly entry: PriceEntry }[]
  /** Of the books. A vendor's own list in it beats the conversion of another one. */
  readonly currency?: string
  /** Where what is left of balances is kept; absent: none. */
  readonly balances?: Balances
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
  /** Tokens of an answer at most; null: the list does not say. */
  readonly maxOutput: number | null
  readonly capabilities: readonly string[] | null
}

export interface Catalogue {
  /** null: unknown, which is never a price of zero. */
  readonly find: (query: PriceQuery) => Price | null
  /** All that may hold at some instant, in the order in which `priceAt` looks. */
  readonly prices: (query: Omit<PriceQuery, 'atMs'>) => readonly Price[]
  /** Models of the provider's list that an answer of this one may name: its snapshots and those it is an alias of. */
  readonly family: (query: Pick<PriceQuery, 'providerId' | 'model'>) => readonly string[]
  readonly balances: Balances
  /** Models of a provider that have a price in some region. */
  readonly models: (query: Pick<PriceQuery, 'providerName' | 'providerId'>) => readonly string[]
  readonly facts: (query: Pick<PriceQuery, 'providerName' | 'providerId' | 'model'>) => ModelFacts | null
}

/** Clients and answers may name any model, so the memory for what was found is bounded. */
const FOUND_MAX = 10_000

/** @throws RangeError when an entry cannot be read. */
export function buildCatalogue(sources: CatalogueSources): Catalogue {
  const currency = sources.currency ?? null
  const lists = new Map(
    sources.lists.map(({ provider, entries }) => [provider, indexList(provider, entries, currency)]),
  )
  const overrides = indexOverrides(sources.overrides)
  const found = new Map<string, readonly Price[]>()
  const families = new Map<string, readonly string[]>()
  function pricesOf(query: Omit<PriceQuery, 'atMs'>): readonly Price[] {
    const { providerName, providerId, region, model } = query
    const key = `${providerId} ${region} ${providerName}/${model}`
    let prices = found.get(key)
    if (prices === undefined) {
      if (found.size >= FOUND_MAX) found.clear()
      const listed = lists.get(providerId)?.find(model, region) ?? []
      const own = [...overrides.pricesFor(providerName, model, region), ...listed.map((row) => row.price)]
      const discounts = overrides.discountsFor(providerName, model)
      prices = discounts.length === 0 ? own : own.map((price) => ({ ...price, discounts }))
      found.set(key, prices)
    }
    return prices
  }

  return {
    find: (query) => priceAt(pricesOf(query), query.atMs),
    prices: pricesOf,
    family({ providerId, model }) {
      const key = `${providerId} ${model}`
      let family = families.get(key)
      if (family === undefined) {
        if (families.size >= FOUND_MAX) families.clear()
        family = lists.get(providerId)?.family(model) ?? []
        families.set(key, family)
      }
      return family
    },
    balances: sources.balances ?? new BalanceBook(),
    models: ({ providerName, providerId }) => [
      ...overrides.modelsOf(providerName),
      ...(lists.get(providerId)?.models ?? []),
    ],
    facts({ providerName, providerId, model }) {
      const listed = lists.get(providerId)?.findAnywhere(model) ?? []
      return factsOf([
        ...overrides.entriesFor(providerName, model),
        ...currentFirst(listed.map((row) => row.entry)),
      ])
    },
  }
}

/** The first that holds. */
export function priceAt(prices: readonly Price[], atMs: number): Price | null {
  for (const price of prices) if (holdsAt(price.validity, atMs)) return price
  return null
}

/**
 * The price that an answer is billed at: a model that it names decides, unless the configuration prices the target itself.
 * `own`: the target's prices, where they are at hand.
 */
export function priceOfAnswer(
  catalogue: Catalogue,
  query: Omit<PriceQuery, 'atMs'>,
  responseModel: string | null,
  atMs: number,
  own = priceAt(catalogue.prices(query), atMs),
): Price | null {
  if (responseModel === null || responseModel === query.model) return own
  if (own?.version.startsWith('config:') === true) return own
  return catalogue.find({ ...query, model: responseModel, atMs }) ?? own
}

interface Override {
  /** null: the entry is a contract over the list's price. */
  readonly price: Price | null
  readonly discounts: readonly Discount[]
  readonly entry: PriceEntry
}

interface Overrides {
  readonly pricesFor: (providerName: string, model: string, region: string) => readonly Price[]
  readonly discountsFor: (providerName: string, model: string) => readonly Discount[]
  readonly entriesFor: (providerName: string, model: string) => readonly PriceEntry[]
  readonly modelsOf: (providerName: string) => readonly string[]
}

/** Overrides go by the names that the configuration spells out, nothing is guessed: exact, by alias, then `/*`. */
function indexOverrides(sources: CatalogueSources['overrides']): Overrides {
  const byPattern = new Map<string, Override>()
  const byAlias = new Map<string, Override>()
  for (const { pattern, entry } of sources) {
    const override = {
      price: entry.tiers.length === 0 ? null : readPrice(entry, `config:${pattern}`),
      discounts: (entry.discounts ?? []).map(readDiscount),
      entry,
    }
    const providerName = pattern.slice(0, pattern.indexOf('/'))
    byPattern.set(pattern, override)
    for (const alias of entry.aliases ?? []) byAlias.set(`${providerName}/${alias}`, override)
  }
  const find = (providerName: string, model: string): readonly Override[] => {
    const name = `${providerName}/${model}`
    const found = [byPattern.get(name), byAlias.get(name), byPattern.get(`${providerName}/*`)]
    return found.filter((override) => override !== undefined)
  }
  return {
    pricesFor: (providerName, model, region) =>
      find(providerName, model)
        .map((override) => override.price)
        .filter((price) => price !== null)
        .filter((price) => price.region === null || price.region === region),
    discountsFor: (providerName, model) => find(providerName, model).flatMap(({ discounts }) => discounts),
    entriesFor: (providerName, model) => find(providerName, model).map((override) => override.entry),
    modelsOf: (providerName) =>
      [...byPattern.keys()]
        .filter((pattern) => pattern.startsWith(`${providerName}/`) && !pattern.endsWith('/*'))
        .map((pattern) => pattern.slice(providerName.length + 1)),
  }
}

/** Historic rows come last. */
function currentFirst(entries: readonly PriceEntry[]): readonly PriceEntry[] {
  return [
    ...entries.filter((entry) => entry.historic !== true),
    ...entries.filter((entry) => entry.historic === true),
  ]
}

/** The first row that knows a fact says it. */
function factsOf(entries: readonly PriceEntry[]): ModelFacts | null {
  if (entries.length === 0) return null
  return {
    contextWindow: first(entries, (entry) => entry.context_window),
    maxOutput: first(entries, (entry) => entry.max_output),
    // An empty list says that nobody wrote it down, not that the model can do nothing.
    capabilities: first(entries, (entry) =>
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
