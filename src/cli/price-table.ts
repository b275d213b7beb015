// Prices in force at an instant, as a table of rows. Pure; the command is prices.ts.

import { formatDecimal, parseMicro } from '#core/money.ts'
import type { PriceEntry, PriceTier } from '#core/price.ts'
import { isWithin, parseHours } from '#pricing/bands.ts'
import { holdsAt } from '#pricing/instants.ts'
import { validityOf } from '#pricing/price.ts'

export const TABLE_UNITS = ['yuan-per-1k', 'yuan-per-1m'] as const

export type TableUnit = (typeof TABLE_UNITS)[number]

export interface TableQuery {
  readonly atMs: number
  readonly provider: string | null
  readonly region: string | null
  readonly model: string | null
  /** null: as listed. */
  readonly unit: TableUnit | null
}

export interface TableRow {
  readonly provider: string
  readonly model: string
  readonly region: string | null
  readonly currency: string
  readonly unit: string
  /** Of the first tier; null: not known, or not billed. */
  readonly input: string | null
  readonly cached_input: string | null
  readonly output: string | null
  readonly price: string | null
  /** All of them where there are several. */
  readonly tiers: readonly PriceTier[]
  readonly since: string | null
  readonly until: string | null
  readonly quoted_only: boolean
  readonly source: string | null
  readonly checked_on: string | null
}

export interface PriceTable {
  readonly rows: readonly TableRow[]
  /** Rows of which nobody says since when, first seen long after the instant: they may not have been there yet. */
  readonly undated: number
}

type Lists = readonly { readonly provider: string; readonly entries: readonly PriceEntry[] }[]

export function priceTable(lists: Lists, query: TableQuery): PriceTable {
  const rows: TableRow[] = []
  let undated = 0
  for (const { provider, entries } of lists) {
    if (query.provider !== null && query.provider !== provider) continue
    for (const rivals of groupByName(entries.filter((entry) => isAsked(entry, query)))) {
      const best = rivals.toSorted(byKnowledge)[0]
      if (best === undefined) continue
      if (query.model === null && !isKnownAt(best, query.atMs)) undated += 1
      else rows.push(rowOf(provider, best, query))
    }
  }
  return { rows, undated }
}

function isAsked(entry: PriceEntry, { model, region, unit, atMs }: TableQuery): boolean {
  if (!holdsAt(validityOf(entry), atMs)) return false
  if (region !== null && entry.region !== region) return false
  if (unit !== null && (entry.currency !== 'CNY' || entry.unit !== 'per_million_tokens')) return false
  return (
    model === null ||
    [entry.model, ...(entry.aliases ?? [])].some((name) => name.toLowerCase() === model.toLowerCase())
  )
}

function groupByName(entries: readonly PriceEntry[]): readonly (readonly PriceEntry[])[] {
  const groups = Map.groupBy(entries, ({ model, region, currency }) => `${model} ${region} ${currency}`)
  return [...groups.values()]
}

function isDated(entry: PriceEntry): boolean {
  return entry.effective_from !== undefined || entry.effective_to !== undefined || entry.historic === true
}

const SEEN_WITHIN_MS = 90 * 24 * 60 * 60_000

/** A row without a start holds since ever for a bill; that its model was there is said by a source of that time. */
function isKnownAt(
  { effective_from: from, effective_to: to, historic, checked_on: seen }: PriceEntry,
  atMs: number,
): boolean {
  if (from !== undefined || (historic === true && to === undefined)) return true
  return seen !== undefined && Date.parse(seen) <= atMs + SEEN_WITHIN_MS
}

/** A row that says when it held beats one that does not; then the latest start, then the whole price. */
function byKnowledge(a: PriceEntry, b: PriceEntry): number {
  if (isDated(a) !== isDated(b)) return isDated(a) ? -1 : 1
  const aFrom = validityOf(a).fromMs
  const bFrom = validityOf(b).fromMs
  if (aFrom !== bFrom) return aFrom > bFrom ? -1 : 1
  return Number(a.quoted_only === true) - Number(b.quoted_only === true)
}

function rowOf(provider: string, entry: PriceEntry, { atMs, unit }: TableQuery): TableRow {
  const band = (entry.time_bands ?? []).find((candidate) => isWithin(parseHours(candidate), atMs))
  const tiers = (band?.tiers ?? entry.tiers).map((tier) => inUnit(tier, unit))
  const plain = tiers.find((tier) => tier.when === undefined) ?? tiers[0]
  return {
    provider,
    model: entry.model,
    region: entry.region ?? null,
    currency: entry.currency,
    unit: unit ?? entry.unit,
    input: plain?.input ?? null,
    cached_input: plain?.cached_input ?? null,
    output: plain?.output ?? null,
    price: plain?.price ?? null,
    tiers,
    since: entry.effective_from ?? null,
    until: entry.effective_to ?? null,
    quoted_only: entry.quoted_only === true,
    source: entry.source ?? null,
    checked_on: entry.checked_on ?? null,
  }
}

/** Bounds are numbers and stay; prices are strings. */
function inUnit(tier: PriceTier, unit: TableUnit | null): PriceTier {
  if (unit !== 'yuan-per-1k') return tier
  const scaled = Object.entries(tier).map(([name, value]) => [
    name,
    typeof value === 'string' ? formatDecimal(parseMicro(value), 9) : (value as unknown),
  ])
  return Object.fromEntries(scaled) as PriceTier
}
