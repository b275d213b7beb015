// Collected price entries → the lists of providers/. Pure; the files are read and written in write-prices.ts.

import { formatDecimal, parseMicro } from '#core/money.ts'
import type { PriceEntry, PriceTier, PriceTimeBand } from '#core/price.ts'
import { checkEntries } from '#pricing/check.ts'
import { PRICE_NAMES } from '#pricing/price.ts'

/** An entry as collected: more kinds, units and remarks than the gateway bills by. */
export interface CollectedEntry {
  readonly provider: string
  readonly model: string
  readonly aliases?: readonly string[]
  readonly kind: string
  readonly region?: string | null
  readonly currency: string
  readonly unit: string
  readonly tiers: readonly CollectedTier[]
  readonly time_bands?: readonly CollectedBand[]
  readonly effective_from?: string | null
  readonly effective_to?: string | null
  readonly status?: string
  readonly cache_rule?: string
  readonly id_kind?: string
  readonly context_window?: number | null
  readonly max_output?: number | null
  readonly capabilities?: readonly string[]
  readonly source?: string
  readonly source_date?: string | null
}

type CollectedTier = Readonly<Record<string, unknown>>
type CollectedBand = Omit<PriceTimeBand, 'tiers'> & { readonly tiers: readonly CollectedTier[] }

interface Unmapped {
  readonly entry: CollectedEntry
  readonly reason: string
}

export interface Imported {
  /** One list per provider, also where it is empty; entries in the order of model, region, start and currency. */
  readonly lists: ReadonlyMap<string, readonly PriceEntry[]>
  readonly unmapped: readonly Unmapped[]
  /** Counts of what mapped entries say and a price entry has no field for yet. */
  readonly leftOut: ReadonlyMap<string, number>
}

/** The collection names vendors as its sources do. */
const PROVIDERS: Readonly<Record<string, string>> = {
  volcengine: 'doubao',
  byteplus: 'doubao',
  dashscope: 'qwen',
  qianfan: 'ernie',
  zai: 'zhipu',
}
const INTERNATIONAL = /-intl$/

/** Kinds that are billed by the text tokens of a request and its answer. */
const KINDS: ReadonlySet<string> = new Set(['chat', 'embedding', 'rerank'])

const BOUNDS = ['input_tokens_up_to', 'output_tokens_up_to'] as const

/** Parts of a tier by which the lengths of a request do not decide its price alone. */
const CONDITIONS = ['condition', 'quantity_up_to']
const MODAL = ['image_input', 'input_audio', 'output_audio', 'audio_input', 'audio_output']

const LEFT_OUT_OF_ENTRIES = [
  'cache_storage_per_million_tokens_hour',
  'free_quota',
  'price_history',
  'max_input',
  'tools',
] as const
const LEFT_OUT_OF_TIERS = [
  'batch_discount',
  'batch_input',
  'batch_output',
  'batch_cached_input',
  'cached_input_unconfirmed',
] as const

export function importPrices(collected: readonly CollectedEntry[], providers: readonly string[]): Imported {
  const unmapped: Unmapped[] = []
  const mapped = new Map<string, Mapped[]>(providers.toSorted().map((provider) => [provider, []]))
  for (const entry of collected) {
    const list = mapped.get(providerOf(entry))
    const reason = reasonAgainst(entry)
    if (reason !== null) unmapped.push({ entry, reason })
    else if (list === undefined) unmapped.push({ entry, reason: `no provider for ${entry.provider}` })
    else list.push({ collected: entry, entry: mapEntry(entry) })
  }
  const lists = new Map<string, readonly PriceEntry[]>()
  const leftOut = new Map<string, number>()
  for (const [provider, list] of mapped) {
    const problems = new Map(
      checkEntries(list.map(({ entry }) => entry)).map(({ entry, problem }) => [entry, problem]),
    )
    const sound: PriceEntry[] = []
    for (const { entry, collected: origin } of list) {
      const problem = problems.get(entry)
      if (problem !== undefined) unmapped.push({ entry: origin, reason: problem })
      else {
        sound.push(entry)
        countLeftOut(leftOut, origin)
      }
    }
    lists.set(provider, sound.toSorted(compareEntries))
  }
  return { lists, unmapped, leftOut }
}

interface Mapped {
  readonly collected: CollectedEntry
  readonly entry: PriceEntry
}

function providerOf(entry: CollectedEntry): string {
  const vendor = entry.provider.replace(INTERNATIONAL, '')
  return PROVIDERS[vendor] ?? vendor
}

function reasonAgainst(entry: CollectedEntry): string | null {
  if (entry.unit !== 'per_million_tokens') return `unit ${entry.unit}`
  if (!KINDS.has(entry.kind)) return `kind ${entry.kind}`
  const tiers = [...entry.tiers, ...(entry.time_bands ?? []).flatMap((band) => band.tiers)]
  const has = (names: readonly string[]) => tiers.some((tier) => names.some((name) => name in tier))
  if (has(MODAL)) return 'tokens of images or sound have prices of their own'
  if (has(CONDITIONS)) return 'tiers hang on more than lengths'
  if (tiers.some((tier) => PRICE_NAMES.some((name) => name in tier && !isDecimal(tier[name]))))
    return 'a price is no decimal string'
  // Embeddings and rankings have no output; a chat model whose output is free says "0".
  if (entry.kind === 'chat' && tiers.some((tier) => !('input' in tier && 'output' in tier)))
    return 'a tier lacks the price of input or output'
  return null
}

function isDecimal(value: unknown): boolean {
  return typeof value === 'string' && /^\d{1,18}(\.\d{1,6})?$/.test(value)
}

function mapEntry(collected: CollectedEntry): PriceEntry {
  const ownRegion = INTERNATIONAL.test(collected.provider) ? 'intl' : undefined
  return compact({
    model: collected.model,
    aliases: nonEmpty(aliasesOf(collected)),
    region: collected.region ?? ownRegion,
    currency: collected.currency,
    unit: 'per_million_tokens' as const,
    tiers: collected.tiers.map((tier) => mapTier(tier, collected.cache_rule)),
    time_bands: collected.time_bands?.map((band) => mapBand(band, collected.cache_rule)),
    effective_from: collected.effective_from,
    effective_to: collected.effective_to,
    historic: isHistoric(collected) ? (true as const) : undefined,
    context_window: collected.context_window,
    max_output: collected.max_output,
    capabilities: nonEmpty(collected.capabilities ?? []),
    source: citation(collected.source),
    checked_on: collected.source_date,
  })
}

function isHistoric({ status = '' }: CollectedEntry): boolean {
  return status.startsWith('historic') || status.startsWith('retired')
}

/**
 * A display name is what the vendor's page prints, and its API has another form of it: "ByteDance-Seed-1.6" is
 * called seed-1-6, with snapshots such as seed-1-6-250915 (BytePlus ModelArk, "Streaming").
 */
function aliasesOf(collected: CollectedEntry): readonly string[] {
  const { aliases = [], model } = collected
  if (collected.id_kind !== 'display_name') return aliases
  const called = model
    .toLowerCase()
    .replace(/^bytedance-/, '')
    .replaceAll('.', '-')
  return called === model || aliases.includes(called) ? aliases : [...aliases, called]
}

function mapBand(band: CollectedBand, cacheRule: string | undefined): PriceTimeBand {
  const { timezone, days, start, end, effective_from, effective_to, tiers } = band
  return compact({
    timezone,
    days,
    start,
    end,
    effective_from,
    effective_to,
    tiers: tiers.map((tier) => mapTier(tier, cacheRule)),
  })
}

function mapTier(collected: CollectedTier, cacheRule: string | undefined): PriceTier {
  const tier: Record<string, unknown> = {}
  for (const name of [...BOUNDS, ...PRICE_NAMES]) if (name in collected) tier[name] = collected[name]
  return withCacheRule(tier as PriceTier, cacheRule)
}

/**
 * DashScope's rule of both caches: an implicit hit is 20 % of the input price, an explicit one 10 %, writing an
 * explicit one 125 %. Some sources print the explicit hit where others print the implicit one.
 */
function withCacheRule(tier: PriceTier, cacheRule: string | undefined): PriceTier {
  if (cacheRule === undefined || tier.input === undefined) return tier
  const isExplicitPrinted = cacheRule.startsWith('cached_input here is the EXPLICIT read')
  const printed = isExplicitPrinted
    ? { cached_input_explicit: tier.cached_input, cached_input: undefined }
    : { cached_input: tier.cached_input, cached_input_explicit: tier.cached_input_explicit }
  return {
    ...tier,
    cached_input: printed.cached_input ?? percentOf(tier.input, 20n),
    cached_input_explicit: printed.cached_input_explicit ?? percentOf(tier.input, 10n),
    cache_write: tier.cache_write ?? percentOf(tier.input, 125n),
  }
}

function percentOf(price: string, percent: bigint): string {
  return formatDecimal(parseMicro(price) * percent, 8)
}

/** A citation for readers of the list: where the collector kept a copy of a page means nothing to them. */
function citation(source: string | undefined): string | undefined {
  return source
    ?.replaceAll(/\s*\([^()]*\bids? \d[^()]*\)/g, '')
    .replaceAll(/ as copied in stored repos| stored(?= GitHub)/g, '')
}

function countLeftOut(leftOut: Map<string, number>, collected: CollectedEntry): void {
  const names = [
    ...LEFT_OUT_OF_ENTRIES.filter((name) => name in collected),
    ...LEFT_OUT_OF_TIERS.filter((name) => collected.tiers.some((tier) => name in tier)),
  ]
  for (const name of names) leftOut.set(name, (leftOut.get(name) ?? 0) + 1)
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

const nonEmpty = <Item>(items: readonly Item[]): readonly Item[] | undefined =>
  items.length === 0 ? undefined : items

/** The collection writes null for what it does not know; a price entry leaves it out. */
type Compact<Value> = {
  [Name in keyof Value as undefined extends Value[Name] ? never : Name]: Value[Name]
} & {
  [Name in keyof Value as undefined extends Value[Name] ? Name : never]?: NonNullable<Value[Name]>
}

function compact<Value extends object>(value: Value): Compact<Value> {
  return Object.fromEntries(
    Object.entries(value).filter(([, part]) => part !== undefined && part !== null),
  ) as Compact<Value>
}
