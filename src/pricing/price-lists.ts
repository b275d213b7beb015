// One provider's list, indexed by the names that its rows go by. Which of the rows found is in force is decided in
// catalogue.ts.

import type { PriceEntry } from '#core/price.ts'
import { foldCase, snapshotDate, undated } from './model-names.ts'
import { type Price, readPrice } from './price.ts'

export interface Row {
  readonly entry: PriceEntry
  readonly price: Price
}

export interface PriceList {
  /**
   * The rows that speak of a model in a region, the first one in force to be taken. The best name found decides
   * alone: a model whose price has ended has none, and is not priced as another that goes by its name.
   */
  readonly find: (model: string, region: string) => readonly Row[]
  /** The same over all regions. */
  readonly findAnywhere: (model: string) => readonly Row[]
  /** All models of the list under any name of which this one goes: the snapshots of a model share their undated name. */
  readonly family: (model: string) => readonly string[]
  /** The names of the models that it prices today or some day, patterns left out. */
  readonly models: readonly string[]
}

type Names = ReadonlyMap<string, readonly Row[]>

interface Index {
  readonly ids: Names
  readonly foldedIds: Names
  readonly aliases: Names
  readonly foldedAliases: Names
  /** Rows for every model that starts so; the longest start first. */
  readonly prefixes: readonly (readonly [string, readonly Row[]])[]
}

const MAINLAND = 'cn'
const INTERNATIONAL = 'intl'

/**
 * Prices differ between regions by factors of three and by currency, so the mainland's rows never stand in for
 * others nor others for them (`cn-beijing` counts as the mainland, and better as unpriced than as abroad). A row
 * without a region holds in all, and the international list in a region abroad that has no rows of its own.
 */
function regionsFor(region: string): readonly (string | null)[] {
  const isAbroad = region !== INTERNATIONAL && region.split('-')[0] !== MAINLAND
  return isAbroad ? [region, null, INTERNATIONAL] : [region, null]
}

/** `currency`: a row in it that is in force is taken before any in another. Rows that are only quoted price nothing. */
export function indexList(
  provider: string,
  entries: readonly PriceEntry[],
  currency: string | null,
): PriceList {
  const whole = entries.filter((entry) => entry.quoted_only !== true)
  const rows = whole.map((entry) => ({ entry, price: readPrice(entry, versionOf(provider, entry)) }))
  const index = indexRows(rows.toSorted(byPrecedence(currency)))
  return {
    find(model, region) {
      for (const own of regionsFor(region)) {
        const found = findRows(index, model, (row) => row.price.region === own)
        if (found.length > 0) return found
      }
      return []
    },
    findAnywhere: (model) => findRows(index, model, () => true),
    family(model) {
      const base = baseOf(model)
      const isOurs = ({ entry }: Row): boolean =>
        [entry.model, ...(entry.aliases ?? [])].some((name) => baseOf(name) === base)
      return namesOf(rows.filter(isOurs))
    },
    models: namesOf(rows.filter(isCurrentModel)),
  }
}

function baseOf(model: string): string {
  return foldCase(undated(model) ?? model)
}

function namesOf(rows: readonly Row[]): readonly string[] {
  return [...new Set(rows.map(({ entry }) => entry.model))]
}

function isCurrentModel({ entry }: Row): boolean {
  return entry.historic !== true && !entry.model.endsWith('*')
}

/** Names the row among all others of this list and of later ones. */
function versionOf(provider: string, entry: PriceEntry): string {
  const region = entry.region === undefined ? '' : `@${entry.region}`
  const from = entry.effective_from === undefined ? '' : `;from=${entry.effective_from}`
  const checked = entry.checked_on === undefined ? '' : `;checked=${entry.checked_on}`
  return `${provider}/${entry.model}${region};${entry.currency}${from}${checked}`
}

/**
 * The books' currency first: vendors' lists in two currencies are two prices, not one and a rate. Then the latest
 * start that is not in the future wins, so later starts come first.
 */
function byPrecedence(currency: string | null): (a: Row, b: Row) => number {
  return (a, b) => {
    const byCurrency = Number(b.price.currency === currency) - Number(a.price.currency === currency)
    if (byCurrency !== 0) return byCurrency
    const aFromMs = a.price.validity.fromMs
    const bFromMs = b.price.validity.fromMs
    return aFromMs === bFromMs ? 0 : aFromMs > bFromMs ? -1 : 1
  }
}

function indexRows(rows: readonly Row[]): Index {
  const isPattern = ({ entry }: Row): boolean => entry.model.endsWith('*')
  const named = rows.filter((row) => !isPattern(row))
  // An alias of several rows means the newest snapshot; the sort is stable, so one model's starts stay in order.
  const byDate = rows.toSorted((a, b) => snapshotDate(b.entry.model) - snapshotDate(a.entry.model))
  const prefixes = group(rows.filter(isPattern), (row) => [row.entry.model.slice(0, -1)])
  return {
    ids: group(named, (row) => [row.entry.model]),
    foldedIds: group(named, (row) => [foldCase(row.entry.model)]),
    aliases: group(byDate, (row) => row.entry.aliases ?? []),
    foldedAliases: group(byDate, (row) => (row.entry.aliases ?? []).map(foldCase)),
    prefixes: [...prefixes].toSorted(([a], [b]) => b.length - a.length),
  }
}

function group(rows: readonly Row[], namesOf: (row: Row) => readonly string[]): Names {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    for (const name of new Set(namesOf(row))) {
      const known = groups.get(name)
      if (known === undefined) groups.set(name, [row])
      else known.push(row)
    }
  }
  return groups
}

/** A snapshot that the list does not know costs what its undated model does; nothing else is guessed. */
function findRows(index: Index, model: string, isOurs: (row: Row) => boolean): readonly Row[] {
  const base = undated(model)
  for (const name of base === null ? [model] : [model, base]) {
    for (const rows of candidates(index, name)) {
      const ours = rows.filter(isOurs)
      if (ours.length > 0) return ours
    }
  }
  return []
}

/** An exact id beats an alias, an alias a pattern; the case as written beats another one. */
function* candidates(index: Index, name: string): Generator<readonly Row[]> {
  const folded = foldCase(name)
  yield index.ids.get(name) ?? []
  yield index.foldedIds.get(folded) ?? []
  yield index.aliases.get(name) ?? []
  yield index.foldedAliases.get(folded) ?? []
  for (const [prefix, rows] of index.prefixes) if (name.startsWith(prefix)) yield rows
}
