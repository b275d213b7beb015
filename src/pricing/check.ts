// What must hold of a price list before anybody is billed by it.

import type { PriceEntry, PriceTier } from '#core/price.ts'
import { parseInstantMs, parseValidity } from './instants.ts'
import { PRICE_NAMES, type Price, readPrice, type Tier } from './price.ts'

export interface EntryProblem {
  readonly entry: PriceEntry
  readonly problem: string
}

const CURRENCY = /^[A-Z]{3}$/

/** Entries that cannot be used, each with its first problem. */
export function checkEntries(entries: readonly PriceEntry[]): EntryProblem[] {
  const problems: EntryProblem[] = []
  const sound: PriceEntry[] = []
  for (const entry of entries) {
    const problem = problemOf(entry)
    if (problem === null) sound.push(entry)
    else problems.push({ entry, problem })
  }
  return [...problems, ...findRivals(sound)]
}

function problemOf(entry: PriceEntry): string | null {
  let price: Price
  try {
    price = readPrice(entry, '')
    if (entry.checked_on !== undefined) parseInstantMs(entry.checked_on)
  } catch (error) {
    if (error instanceof RangeError) return error.message
    throw error
  }
  if (!CURRENCY.test(entry.currency)) return `"${entry.currency}" is no currency`
  if (isEmpty(entry)) return 'is never in force'
  for (const { hours } of price.bands) {
    if (hours.startMinute === hours.endMinute) return 'a time band ends where it starts'
    if (hours.validity.fromMs >= hours.validity.toMs) return 'a time band is never in force'
  }
  const tierLists = [entry.tiers, ...(entry.time_bands ?? []).map((band) => band.tiers)]
  const readLists = [price.tiers, ...price.bands.map((band) => band.tiers)]
  return first(tierLists, problemOfPrices) ?? first(readLists, problemOfOrder)
}

function isEmpty(entry: PriceEntry): boolean {
  const { fromMs, toMs } = parseValidity(entry.effective_from, entry.effective_to)
  return fromMs >= toMs
}

function first<Item>(items: readonly Item[], read: (item: Item) => string | null): string | null {
  for (const item of items) {
    const problem = read(item)
    if (problem !== null) return problem
  }
  return null
}

function problemOfPrices(tiers: readonly PriceTier[]): string | null {
  if (tiers.length === 0) return 'has no tier'
  for (const tier of tiers) {
    if (PRICE_NAMES.every((name) => tier[name] === undefined)) return 'a tier has no price'
    if (PRICE_NAMES.some((name) => tier[name]?.startsWith('-') === true)) return 'a price is negative'
  }
  return null
}

/** The first row that fits prices a request, so one behind a wider one is never reached. */
function problemOfOrder(tiers: readonly Tier[]): string | null {
  for (const [index, tier] of tiers.entries()) {
    const wider = tiers
      .slice(0, index)
      .findIndex(
        (other) =>
          other.inputTokensMax >= tier.inputTokensMax && other.outputTokensMax >= tier.outputTokensMax,
      )
    if (wider !== -1) return `tier ${index} is never reached: tier ${wider} fits all that it fits`
  }
  return null
}

/** Rows of one model, region and currency with one start: the latest start decides, so neither could. */
function findRivals(entries: readonly PriceEntry[]): EntryProblem[] {
  const byName = new Map<string, PriceEntry[]>()
  for (const entry of entries) {
    const { fromMs } = parseValidity(entry.effective_from, undefined)
    const name = JSON.stringify([entry.model, entry.region ?? null, entry.currency, String(fromMs)])
    byName.set(name, [...(byName.get(name) ?? []), entry])
  }
  return [...byName.values()]
    .filter((rivals) => rivals.length > 1)
    .flatMap((rivals) =>
      rivals.map((entry) => ({ entry, problem: 'another row of this model has the same start' })),
    )
}
