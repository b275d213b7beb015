// What older sources had → dated rows before the row of today.

import type { PriceEntry } from '#core/price.ts'
import type { CollectedEntry, CollectedPast } from './collected-entry.ts'
import { citation, mapTiers, reasonAgainst } from './import-entry.ts'

export interface Dated {
  /** The past, oldest first, and the row itself, which begins where it ends. */
  readonly entries: readonly PriceEntry[]
  /** Prices of the past that could not be used. */
  readonly leftOut: number
}

const DAY_MS = 24 * 60 * 60_000

/**
 * Two sources tell of one price, each with an end of its own: the later one is believed from its start on, which is
 * where the earlier one ends. A row that outlasts the later one is left as it is, and is a problem of the list.
 */
export function inSequence<Row extends { readonly entry: PriceEntry }>(rows: readonly Row[]): readonly Row[] {
  return rows.map((row) => {
    const { effective_from: from, effective_to: to } = row.entry
    if (from === undefined || to === undefined) return row
    const next = rows
      .map(({ entry }) => entry)
      .filter((entry) => nameOf(entry) === nameOf(row.entry))
      .flatMap(({ effective_from: start = '', effective_to: end = '' }) =>
        start > from && start < to && end >= to ? [start] : [],
      )
      .toSorted()[0]
    return next === undefined ? row : { ...row, entry: { ...row.entry, effective_to: next } }
  })
}

function nameOf({ model, region, currency }: PriceEntry): string {
  return `${model} ${region} ${currency}`
}

/**
 * A source says what a price was on a day, not when it changed: it is taken to have held since the source before
 * and through that day, and the next price to have begun on the day after.
 */
export function withHistory(entry: PriceEntry, collected: CollectedEntry): Dated {
  const history = (collected.price_history ?? []).toSorted((a, b) => (a.as_of < b.as_of ? -1 : 1))
  const usable = history.filter((past) => isUsable(past, entry, collected))
  const rows: PriceEntry[] = []
  let from: string | undefined
  for (const past of usable) {
    const to = dayAfter(past.as_of)
    rows.push(pastEntry(past, entry, collected, from, to))
    from = to
  }
  const own = from === undefined || entry.effective_from !== undefined ? {} : { effective_from: from }
  return { entries: [...rows, { ...entry, ...own }], leftOut: history.length - usable.length }
}

function isUsable(past: CollectedPast, entry: PriceEntry, collected: CollectedEntry): boolean {
  const begun = entry.effective_from ?? entry.checked_on
  // A source of the same day or a later one does not tell of a past, it disagrees.
  if (begun === undefined || dayAfter(past.as_of) > begun.slice(0, 10)) return false
  if (past.unit !== collected.unit) return false
  const { tiers } = past
  if (reasonAgainst({ ...collected, tiers, time_bands: [] }) !== null) return false
  return !tiers.some(isMisread)
}

/** No chat model ever cost less to write than a tenth of what it costs to read: a digit is missing. */
function isMisread(tier: Readonly<Record<string, unknown>>): boolean {
  return 'input' in tier && 'output' in tier && Number(tier['output']) < Number(tier['input']) / 10
}

function pastEntry(
  past: CollectedPast,
  entry: PriceEntry,
  collected: CollectedEntry,
  from: string | undefined,
  to: string,
): PriceEntry {
  const { model, aliases, region, currency, unit } = entry
  const source = citation(past.source)
  return {
    model,
    ...(aliases === undefined ? {} : { aliases }),
    ...(region === undefined ? {} : { region }),
    currency,
    unit,
    tiers: mapTiers(collected, past.tiers),
    ...(from === undefined ? {} : { effective_from: from }),
    effective_to: to,
    historic: true,
    ...(source === undefined ? {} : { source }),
    checked_on: past.as_of,
  }
}

function dayAfter(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + DAY_MS).toISOString().slice(0, 10)
}
