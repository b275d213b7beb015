// One provider's list, indexed by the names that its rows go by. Which of the rows found is in force is not decided here.

import type { PriceEntry } from '#core/price.ts'
import { foldCase, snapshotDate, undated } from './model-names.ts'
import { type Price, readPrice } from './price.ts'

export interface Row {
  readonly entry: PriceEntry
  readonly price: Price
}

/** The international list holds wherever a region outside the mainland has no list of its own. */
const INTERNATIONAL = 'intl'
const MAINLAND = 'cn'

export class PriceList {
  readonly #byId = new Map<string, Row[]>()
  readonly #byFoldedId = new Map<string, Row[]>()
  readonly #byAlias = new Map<string, Row[]>()
  readonly #byFoldedAlias = new Map<string, Row[]>()
  /** Rows for all models that start so; the longest start first. */
  readonly #byPrefix: { readonly prefix: string; readonly rows: Row[] }[] = []

  /** `currency`: of two rows that differ only in it, the one in this currency comes first; else the earlier one. */
  constructor(rows: readonly Row[], currency: string | null) {
    // The latest start that is not in the future wins, so later starts are looked at first.
    const ordered = rows.toSorted(
      (a, b) =>
        compare(b.price.validity.fromMs, a.price.validity.fromMs) ||
        Number(b.price.currency === currency) - Number(a.price.currency === currency),
    )
    for (const row of ordered) this.#add(row)
    // An alias of several rows means the newest snapshot; the sort is stable, so starts stay in order within one.
    for (const index of [this.#byAlias, this.#byFoldedAlias]) {
      for (const named of index.values()) {
        named.sort((a, b) => snapshotDate(b.entry.model) - snapshotDate(a.entry.model))
      }
    }
    this.#byPrefix.sort((a, b) => b.prefix.length - a.prefix.length)
  }

  #add(row: Row): void {
    const { model, aliases = [] } = row.entry
    if (model.endsWith('*')) this.#addPrefix(model.slice(0, -1), row)
    else {
      push(this.#byId, model, row)
      push(this.#byFoldedId, foldCase(model), row)
    }
    for (const alias of aliases) push(this.#byAlias, alias, row)
    for (const alias of new Set(aliases.map(foldCase))) push(this.#byFoldedAlias, alias, row)
  }

  #addPrefix(prefix: string, row: Row): void {
    const known = this.#byPrefix.find((candidate) => candidate.prefix === prefix)
    if (known === undefined) this.#byPrefix.push({ prefix, rows: [row] })
    else known.rows.push(row)
  }

  /**
   * The rows that speak of a model in a region, the first one in force to be taken. A name that a list has decides
   * alone, so a model whose price has ended stays without one and is not priced as another.
   */
  find(model: string, region: string): readonly Row[] {
    for (const own of regionsFor(region)) {
      const rows = this.#find(model, (row) => row.price.region === own || row.price.region === null)
      if (rows.length > 0) return rows
    }
    return []
  }

  /** Rows of all regions. */
  findAnywhere(model: string): readonly Row[] {
    return this.#find(model, () => true)
  }

  #find(model: string, isOurs: (row: Row) => boolean): readonly Row[] {
    const base = undated(model)
    for (const name of base === null ? [model] : [model, base]) {
      for (const rows of this.#named(name)) {
        const ours = rows.filter(isOurs)
        if (ours.length > 0) return ours
      }
    }
    return []
  }

  *#named(name: string): Generator<readonly Row[]> {
    const folded = foldCase(name)
    yield this.#byId.get(name) ?? []
    yield this.#byFoldedId.get(folded) ?? []
    yield this.#byAlias.get(name) ?? []
    yield this.#byFoldedAlias.get(folded) ?? []
    for (const { prefix, rows } of this.#byPrefix) if (name.startsWith(prefix)) yield rows
  }
}

export function readRows(provider: string, entries: readonly PriceEntry[]): Row[] {
  return entries.map((entry) => ({ entry, price: readPrice(entry, versionOf(provider, entry)) }))
}

/** What tells the row from all others, now and in later lists. */
function versionOf(provider: string, entry: PriceEntry): string {
  const parts = [`${provider}/${entry.model}${entry.region === undefined ? '' : `@${entry.region}`}`]
  parts.push(entry.currency)
  if (entry.effective_from !== undefined) parts.push(`from=${entry.effective_from}`)
  if (entry.checked_on !== undefined) parts.push(`checked=${entry.checked_on}`)
  return parts.join(';')
}

/**
 * Where to look for a region's rows. The mainland's list is never taken for another region nor another one for the
 * mainland: they differ in currency and by factors of three.
 */
function regionsFor(region: string): readonly string[] {
  return region === MAINLAND || region === INTERNATIONAL ? [region] : [region, INTERNATIONAL]
}

function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function push(index: Map<string, Row[]>, name: string, row: Row): void {
  const rows = index.get(name)
  if (rows === undefined) index.set(name, [row])
  else rows.push(row)
}
