// One collected entry → one price entry, or the reason why it cannot be.

import { formatDecimal, parseMicro } from '#core/money.ts'
import {
  PRICE_UNITS,
  type PriceCondition,
  type PriceEntry,
  type PriceItem,
  type PriceTier,
  type PriceTimeBand,
  type PriceUnit,
  TOKEN_PRICE_NAMES,
} from '#core/price.ts'
import type { CollectedBand, CollectedEntry, CollectedTier } from './collected-entry.ts'
import { characterRule, inputSeconds, ownItems, readQuota, roundingOf } from './import-rules.ts'

/** The collection names vendors as its sources do. */
const PROVIDERS: Readonly<Record<string, string>> = {
  volcengine: 'doubao',
  'volcengine-speech': 'doubao',
  byteplus: 'doubao',
  dashscope: 'qwen',
  qianfan: 'ernie',
  zai: 'zhipu',
}
const INTERNATIONAL = /-intl$/

const BOUNDS = ['input_tokens_up_to', 'output_tokens_up_to'] as const

/** Sources have two names for each. */
const TOKEN_NAMES: Readonly<Record<string, (typeof TOKEN_PRICE_NAMES)[number]>> = {
  ...Object.fromEntries(TOKEN_PRICE_NAMES.map((name) => [name, name])),
  input_audio: 'audio_input',
  output_audio: 'audio_output',
}

export function providerOf({ provider }: CollectedEntry): string {
  const vendor = provider.replace(INTERNATIONAL, '')
  return PROVIDERS[vendor] ?? vendor
}

/** Why an entry cannot be mapped; null: it can. */
export function reasonAgainst(entry: CollectedEntry): string | null {
  if (!isUnit(entry.unit)) return `unit ${entry.unit}`
  const tiers = tiersOf(entry)
  // A single row with a limit holds up to it; the sources say nothing of what comes after.
  if (tiers.length > 1 && tiers.some((tier) => 'quantity_up_to' in tier))
    return 'its tiers count over many requests, which no single one can know'
  if (tiers.some((tier) => pricesOf(entry, tier).some(([, price]) => !isDecimal(price))))
    return 'a price is no decimal string'
  if (entry.unit !== 'per_million_tokens') {
    return tiers.every((tier) => pricesOf(entry, tier).length === 1)
      ? null
      : `a tier has no single price ${entry.unit}`
  }
  // Embeddings and rankings have no output; a chat model whose output is free says "0".
  const isPartial = (tier: CollectedTier) => !('input' in tier && 'output' in tier)
  if (entry.kind === 'chat' && entry.quoted_only !== true && tiers.some(isPartial))
    return 'a tier lacks the price of input or output'
  return null
}

function isUnit(unit: string): unit is PriceUnit {
  return PRICE_UNITS.some((known) => known === unit)
}

function tiersOf(entry: CollectedEntry): readonly CollectedTier[] {
  return [...entry.tiers, ...(entry.time_bands ?? []).flatMap((band) => band.tiers)]
}

const MODAL = ['audio_input', 'image_input', 'audio_output'] as const

/** The prices of a tier by the names they have here; some sources print those of sound beside the tiers. */
function pricesOf(entry: CollectedEntry, tier: CollectedTier): (readonly [keyof PriceTier, unknown])[] {
  if (entry.unit !== 'per_million_tokens') {
    return ['output', 'input'].filter((name) => name in tier).map((name) => ['price', tier[name]])
  }
  const own = Object.entries(tier).flatMap(([name, price]) => {
    const known = TOKEN_NAMES[name]
    return known === undefined ? [] : ([[known, price]] as const)
  })
  const beside = MODAL.flatMap((name) => (entry[name] === undefined ? [] : ([[name, entry[name]]] as const)))
  const inOrder: readonly string[] = TOKEN_PRICE_NAMES
  return [...own, ...beside.map(([name, price]) => [name, exact(price)] as const)].toSorted(
    ([a], [b]) => inOrder.indexOf(a) - inOrder.indexOf(b),
  )
}

/** A whole number loses nothing on its way through JSON. */
function exact(price: unknown): unknown {
  return Number.isSafeInteger(price) ? String(price) : price
}

function isDecimal(value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,18}(\.\d{1,6})?$/.test(value)
}

export function mapEntry(collected: CollectedEntry, attached: readonly PriceItem[]): PriceEntry {
  const ownRegion = INTERNATIONAL.test(collected.provider) ? 'intl' : undefined
  const { unit } = collected
  return compact({
    model: collected.model,
    aliases: nonEmpty(aliasesOf(collected)),
    region: collected.region ?? ownRegion,
    currency: collected.currency,
    unit: isUnit(unit) ? unit : 'per_million_tokens',
    tiers: mapTiers(collected, collected.tiers),
    time_bands: collected.time_bands?.map((band) => mapBand(collected, band)),
    items: nonEmpty([...ownItems(collected), ...attached]),
    character_rule: characterRule(collected.char_rule),
    rounding: roundingOf(collected.note),
    input_seconds_up_to: inputSeconds(collected),
    free_quota: collected.free_quota === undefined ? undefined : readQuota(collected.free_quota),
    effective_from: collected.effective_from,
    effective_to: collected.effective_to,
    historic: isHistoric(collected) ? (true as const) : undefined,
    quoted_only: collected.quoted_only,
    context_window: collected.context_window,
    max_output: collected.max_output,
    capabilities: nonEmpty(collected.capabilities ?? []),
    source: citation(collected.source),
    checked_on: collected.source_date,
  })
}

export function isHistoric({ status = '' }: CollectedEntry): boolean {
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

function mapBand(collected: CollectedEntry, band: CollectedBand): PriceTimeBand {
  const { timezone, days, start, end, effective_from, effective_to, tiers } = band
  return compact({
    timezone,
    days,
    start,
    end,
    effective_from,
    effective_to,
    tiers: mapTiers(collected, tiers),
  })
}

/** Rows of batches go first: a row for all requests would hide them. */
export function mapTiers(collected: CollectedEntry, tiers: readonly CollectedTier[]): readonly PriceTier[] {
  const plain = tiers.map((tier) => mapTier(collected, tier))
  const batches = tiers.flatMap((tier, index) => batchTier(tier, plain[index]) ?? [])
  return [...batches, ...plain]
}

function mapTier(collected: CollectedEntry, source: CollectedTier): PriceTier {
  const tier: Record<string, unknown> = {}
  const when = mapCondition(source['condition'])
  if (when !== undefined) tier['when'] = when
  for (const name of BOUNDS) if (name in source) tier[name] = source[name]
  for (const [name, price] of pricesOf(collected, source)) tier[name] = price
  return withCacheRule(tier as PriceTier, collected.cache_rule)
}

function mapCondition(condition: unknown): PriceCondition | undefined {
  if (typeof condition !== 'object' || condition === null) return undefined
  const { resolution, audio, generate_audio, input_video } = condition as Readonly<Record<string, unknown>>
  return compact({
    resolution: resolution as string | readonly string[] | undefined,
    audio: (audio ?? generate_audio) as boolean | undefined,
    input_video: input_video as boolean | undefined,
  })
}

/**
 * DashScope halves input and output, and a hit of the cache is an input like any other then ("cannot both apply");
 * Volcengine prints what a batch costs and leaves the hits at their price.
 */
function batchTier(source: CollectedTier, plain: PriceTier | undefined): PriceTier | null {
  const { batch_discount: share, batch_input: input, batch_output: output } = source
  if (plain === undefined) return null
  const bounds = compact({
    when: { service_tier: 'batch' },
    input_tokens_up_to: plain.input_tokens_up_to,
    output_tokens_up_to: plain.output_tokens_up_to,
  })
  if (isDecimal(input) && isDecimal(output)) {
    const hit = source['batch_cached_input']
    return compact({ ...bounds, input, output, cached_input: isDecimal(hit) ? hit : plain.cached_input })
  }
  if (!isDecimal(share)) return null
  const shareOf = (price: string | undefined) =>
    price === undefined ? undefined : formatDecimal(parseMicro(price) * parseMicro(share), 12)
  return compact({
    ...bounds,
    input: shareOf(plain.input),
    output: shareOf(plain.output),
    thinking_output: shareOf(plain.thinking_output),
    image_input: shareOf(plain.image_input),
  })
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
export function citation(source: string | undefined): string | undefined {
  return source
    ?.replaceAll(/\s*\([^()]*\bids? \d[^()]*\)/g, '')
    .replaceAll(/ as copied in stored repos| stored(?= GitHub)/g, '')
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
