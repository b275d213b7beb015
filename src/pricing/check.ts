// What must hold of a price list before anybody is billed by it.

import { PRICE_NAMES, PRICE_UNITS, type PriceEntry, type PriceTier, TOKEN_PRICE_NAMES } from '#core/price.ts'
import { isSlip, problemOfSize } from './bounds.ts'
import { parseInstantMs, parseValidity } from './instants.ts'
import { overlap, problemOfOverlap, spanText } from './overlaps.ts'
import { type Price, readPrice, type Tier } from './price.ts'

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
  // What is only quoted prices nothing, so it cannot be in another row's way.
  const whole = sound.filter((entry) => entry.quoted_only !== true)
  return [...problems, ...findRivals(whole), ...findOverlaps(whole), ...findSlips(whole)]
}

/** null: it can be used. */
function problemOf(entry: PriceEntry): string | null {
  if (!PRICE_UNITS.includes(entry.unit)) return `"${entry.unit}" is no unit`
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
  return (
    first(tierLists, (tiers) => problemOfPrices(entry, tiers)) ??
    first(readLists, problemOfOrder) ??
    problemOfOverlap(entry) ??
    first(tierLists, (tiers) => first(tiers, (tier) => problemOfSize(entry, tier, PRICE_NAMES)))
  )
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

function problemOfPrices(entry: PriceEntry, tiers: readonly PriceTier[]): string | null {
  if (tiers.length === 0) return 'has no tier'
  const isOfTokens = entry.unit === 'per_million_tokens'
  for (const tier of tiers) {
    if (PRICE_NAMES.every((name) => tier[name] === undefined)) return 'a tier has no price'
    if (PRICE_NAMES.some((name) => tier[name]?.startsWith('-') === true)) return 'a price is negative'
    if (isOfTokens ? tier.price !== undefined : TOKEN_PRICE_NAMES.some((name) => tier[name] !== undefined))
      return `a tier has a price that is not ${entry.unit}`
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
          (other.when === null || isSame(other.when, tier.when)) &&
          other.inputTokensMax >= tier.inputTokensMax &&
          other.outputTokensMax >= tier.outputTokensMax,
      )
    if (wider !== -1) return `tier ${index} is never reached: tier ${wider} fits all that it fits`
  }
  return null
}

function isSame(conditions: Tier['when'], others: Tier['when']): boolean {
  const text = (when: Tier['when']) =>
    JSON.stringify(when, (_name, value: unknown) => (value instanceof Set ? [...value] : value))
  return text(conditions) === text(others)
}

/** Rows of one model that are a unit apart: which of them is wrong nobody can say here, so both are named. */
function findSlips(entries: readonly PriceEntry[]): EntryProblem[] {
  const first = new Map<string, PriceEntry>()
  const problems: EntryProblem[] = []
  for (const entry of entries) {
    const other = first.get(entry.model)
    if (other === undefined) first.set(entry.model, entry)
    else if (isSlip(entry, other)) {
      problems.push({ entry, problem: 'costs hundreds of times what another row of this model does' })
    }
  }
  return problems
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

/** Rows of one model, region and currency that each say when they begin and end, and overlap. */
function findOverlaps(entries: readonly PriceEntry[]): EntryProblem[] {
  // A row without a start holds since ever and gives way to any that has one.
  const dated = entries.filter((entry) => entry.effective_from !== undefined)
  const groups = Map.groupBy(dated, ({ model, region, currency }) =>
    JSON.stringify([model, region, currency]),
  )
  return [...groups.values()].flatMap((rows) =>
    rows.flatMap((entry) => {
      // Equal starts have a problem of their own.
      const other = rows.find((row) => !isSameStart(row, entry) && overlap(row, entry))
      if (other === undefined) return []
      const problem = `its time (${spanText(entry)}) overlaps that of another row of this model (${spanText(other)})`
      return [{ entry, problem }]
    }),
  )
}

function isSameStart(one: PriceEntry, other: PriceEntry): boolean {
  const startOf = ({ effective_from: from }: PriceEntry) => parseValidity(from, undefined).fromMs
  return startOf(one) === startOf(other)
}

export interface OverrideProblem {
  readonly pattern: string
  readonly problem: string
}

/** Prices of the configuration that cannot be meant, by themselves or beside the list that they go over. */
export function checkOverrides(
  overrides: readonly { readonly pattern: string; readonly entry: PriceEntry }[],
  listOf: (providerName: string) => readonly PriceEntry[],
): OverrideProblem[] {
  return overrides.flatMap(({ pattern, entry }) => {
    // Without tiers it is a contract, and the list's own price is checked there.
    const own = entry.tiers.length === 0 ? problemOfOverlap(entry) : problemOf(entry)
    if (own !== null) return [{ pattern, problem: own }]
    if (entry.tiers.length === 0) return []
    const providerName = pattern.slice(0, pattern.indexOf('/'))
    const listed = listOf(providerName).filter(
      ({ model, historic }) => model === entry.model && historic !== true,
    )
    if (!listed.some((other) => isSlip(entry, other))) return []
    return [
      { pattern, problem: 'costs hundreds of times more or less than the list says: is the unit meant?' },
    ]
  })
}
