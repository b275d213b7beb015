// Collected price entries → the lists of providers/. Pure; the files are read and written in write-prices.ts.

import type { PriceEntry, PriceItem } from '#core/price.ts'
import { checkEntries } from '#pricing/check.ts'
import type { CollectedEntry } from './collected-entry.ts'
import { isHistoric, mapEntry, providerOf, reasonAgainst } from './import-entry.ts'
import { inSequence, withHistory } from './import-history.ts'
import { ATTACHMENTS, attachedItems, isAttached, readQuota } from './import-rules.ts'

interface Unmapped {
  readonly entry: CollectedEntry
  readonly reason: string
}

export interface Imported {
  /** One list per provider, also where it is empty; entries in the order of model, region, start and currency. */
  readonly lists: ReadonlyMap<string, readonly PriceEntry[]>
  readonly unmapped: readonly Unmapped[]
  /** Counts of what mapped entries say and no price entry has a place for, by what it is and why. */
  readonly leftOut: ReadonlyMap<string, number>
}

interface Mapped {
  readonly collected: CollectedEntry
  readonly entry: PriceEntry
}

export function importPrices(collected: readonly CollectedEntry[], providers: readonly string[]): Imported {
  const unmapped: Unmapped[] = []
  const leftOut = new Counts()
  const mapped = new Map<string, Mapped[]>(providers.toSorted().map((provider) => [provider, []]))
  for (const entry of collected) {
    const list = mapped.get(providerOf(entry))
    if (list === undefined) unmapped.push({ entry, reason: `no provider for ${entry.provider}` })
    else if (!isAttached(entry)) {
      const reason = reasonAgainst(entry)
      if (reason !== null) unmapped.push({ entry, reason })
      else list.push({ collected: entry, entry: mapEntry(entry, itemsFor(entry, collected)) })
    }
  }
  const lists = new Map<string, readonly PriceEntry[]>()
  for (const [provider, list] of mapped) {
    const { sound, unsound } = sift(inSequence(list))
    unmapped.push(...unsound)
    for (const { collected: origin } of sound) countLeftOut(leftOut, origin)
    lists.set(provider, dated(sound, leftOut).toSorted(compareEntries))
  }
  return { lists, unmapped, leftOut }
}

/** Surcharges that the collection has as entries of their own. */
function itemsFor(entry: CollectedEntry, collected: readonly CollectedEntry[]): readonly PriceItem[] {
  if (entry.kind !== 'chat' || entry.quoted_only === true) return []
  return ATTACHMENTS.filter(
    ({ provider, models, isHistoric: past }) =>
      provider === entry.provider && models.test(entry.model) && (past !== true || isHistoric(entry)),
  ).flatMap(({ provider, item }) =>
    collected
      .filter((other) => other.provider === provider && other.model === item)
      .flatMap((other) => attachedItems(other)),
  )
}

function sift(list: readonly Mapped[]): { readonly sound: readonly Mapped[]; readonly unsound: Unmapped[] } {
  const problems = new Map(
    checkEntries(list.map(({ entry }) => entry)).map(({ entry, problem }) => [entry, problem]),
  )
  return {
    sound: list.filter(({ entry }) => !problems.has(entry)),
    unsound: list.flatMap(({ entry, collected }) => {
      const reason = problems.get(entry)
      return reason === undefined ? [] : [{ entry: collected, reason }]
    }),
  }
}

/** Where a model has rows of the past already, older sources add nothing to them. */
function dated(list: readonly Mapped[], leftOut: Counts): readonly PriceEntry[] {
  const nameOf = ({ model, region, currency }: PriceEntry) => `${model} ${region} ${currency}`
  const rows = new Map<string, number>()
  for (const { entry } of list) rows.set(nameOf(entry), (rows.get(nameOf(entry)) ?? 0) + 1)
  return list.flatMap(({ entry, collected }) => {
    const { price_history: history = [] } = collected
    if (rows.get(nameOf(entry)) !== 1) {
      leftOut.add('price_history beside rows of the past', history.length)
      return [entry]
    }
    const { entries, leftOut: unusable } = withHistory(entry, collected)
    leftOut.add('price_history that is misread or no older than its row', unusable)
    return entries
  })
}

class Counts extends Map<string, number> {
  add(name: string, count = 1): void {
    if (count > 0) this.set(name, (this.get(name) ?? 0) + count)
  }
}

function countLeftOut(leftOut: Counts, collected: CollectedEntry): void {
  for (const name of ['max_input'] as const) if (name in collected) leftOut.add(name)
  const isUnconfirmed = collected.tiers.some((tier) => 'cached_input_unconfirmed' in tier)
  if (isUnconfirmed) leftOut.add('cached_input_unconfirmed')
  const { free_quota: quota } = collected
  if (quota !== undefined && readQuota(quota) === null) leftOut.add('free_quota in unclear prose')
}

/** By code unit, so that every machine writes the same file. */
function compareEntries(a: PriceEntry, b: PriceEntry): number {
  const keys = (entry: PriceEntry) => [
    entry.model,
    entry.region ?? '',
    entry.effective_from ?? '',
    entry.currency,
  ]
  const theirs = keys(b)
  for (const [index, own] of keys(a).entries()) {
    const other = theirs[index] ?? ''
    if (own !== other) return own < other ? -1 : 1
  }
  return 0
}
