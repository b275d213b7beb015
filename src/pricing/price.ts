// A row of a price list, read once into integers, so that rating does no text work.

import { formatDecimal, type Micro, parseMicro } from '#core/money.ts'
import type {
  CharacterRule,
  FreeQuota,
  PriceDiscount,
  PriceEntry,
  PriceItem,
  PriceItemName,
  PriceTier,
  PriceUnit,
} from '#core/price.ts'
import type { OtherUsage } from '#core/usage.ts'
import { type BandHours, isWithin, parseHours } from './bands.ts'
import { areMet, type Conditions, readConditions } from './conditions.ts'
import { parseValidity, type Validity } from './instants.ts'

/** Per unit of the row. */
export interface UnitPrice {
  readonly micro: Micro
  /** The same as a decimal string, for the lines of a bill. */
  readonly text: string
}

export interface Tier {
  /** null: for all requests. */
  readonly when: Conditions | null
  /** Whole-request bounds, inclusive; Infinity: none. */
  readonly inputTokensMax: number
  readonly outputTokensMax: number
  /** null: the vendor does not bill it. What is absent for a part of the input or output costs what the whole does. */
  readonly input: UnitPrice | null
  readonly cachedInput: UnitPrice | null
  readonly cachedInputExplicit: UnitPrice | null
  readonly cacheWrite: UnitPrice | null
  readonly output: UnitPrice | null
  readonly thinkingOutput: UnitPrice | null
  /** null: as text. */
  readonly audioInput: UnitPrice | null
  readonly imageInput: UnitPrice | null
  readonly audioOutput: UnitPrice | null
  /** Of one unit that is no token. */
  readonly single: UnitPrice | null
}

interface Band {
  readonly hours: BandHours
  readonly tiers: readonly Tier[]
}

export interface ItemPrice {
  readonly item: PriceItemName
  readonly unitPrice: UnitPrice
  readonly validity: Validity
}

export interface Discount {
  readonly validity: Validity
  /** Share of the list price that is paid, micro. */
  readonly share: Micro
}

export interface Price {
  /** Names the row: `PROVIDER/MODEL@REGION;…` of a list, or `config:PATTERN`. */
  readonly version: string
  readonly currency: string
  readonly unit: PriceUnit
  /** null: any. */
  readonly region: string | null
  readonly validity: Validity
  readonly tiers: readonly Tier[]
  /** In order; the first that holds replaces the tiers. */
  readonly bands: readonly Band[]
  readonly items: readonly ItemPrice[]
  /** In order; the first that holds is the contract's. */
  readonly discounts: readonly Discount[]
  readonly characterRule: CharacterRule | null
  readonly rounding: PriceEntry['rounding'] | null
  readonly unitsMin: number
  readonly inputVideoMsMax: number
  readonly gpus: number
  /** The entry's model, and what its vendor gives a new account of it; null: nothing, or nothing that is known. */
  readonly model: string
  readonly freeQuota: FreeQuota | null
}

/** @throws RangeError when a price, a date, a time or a zone cannot be read. */
export function readPrice(entry: PriceEntry, version: string): Price {
  return {
    version,
    currency: entry.currency,
    unit: entry.unit,
    region: entry.region ?? null,
    validity: validityOf(entry),
    tiers: entry.tiers.map(readTier),
    bands: (entry.time_bands ?? []).map((band) => ({
      hours: parseHours(band),
      tiers: band.tiers.map(readTier),
    })),
    items: (entry.items ?? []).map(readItem),
    discounts: (entry.discounts ?? []).map(readDiscount),
    characterRule: entry.character_rule ?? null,
    rounding: entry.rounding ?? null,
    unitsMin: entry.minimum ?? 0,
    inputVideoMsMax: (entry.input_seconds_up_to ?? Number.POSITIVE_INFINITY) * 1000,
    gpus: entry.gpus ?? 1,
    model: entry.model,
    freeQuota: entry.free_quota ?? null,
  }
}

/**
 * A historic row prices the past only. Where its source gives no end, it ended by the day it was looked up; without
 * that day either, it prices nothing.
 */
export function validityOf(entry: PriceEntry): Validity {
  const validity = parseValidity(entry.effective_from, entry.effective_to)
  if (entry.historic !== true || entry.effective_to !== undefined) return validity
  const ended = parseValidity(undefined, entry.checked_on).toMs
  return { ...validity, toMs: ended === Number.POSITIVE_INFINITY ? Number.NEGATIVE_INFINITY : ended }
}

function readTier(tier: PriceTier): Tier {
  const input = readUnitPrice(tier.input)
  const cachedInput = readUnitPrice(tier.cached_input) ?? input
  const output = readUnitPrice(tier.output)
  return {
    when: readConditions(tier.when),
    inputTokensMax: tier.input_tokens_up_to ?? Number.POSITIVE_INFINITY,
    outputTokensMax: tier.output_tokens_up_to ?? Number.POSITIVE_INFINITY,
    input,
    cachedInput,
    cachedInputExplicit: readUnitPrice(tier.cached_input_explicit) ?? cachedInput,
    cacheWrite: readUnitPrice(tier.cache_write) ?? input,
    output,
    thinkingOutput: readUnitPrice(tier.thinking_output) ?? output,
    audioInput: readUnitPrice(tier.audio_input),
    imageInput: readUnitPrice(tier.image_input),
    audioOutput: readUnitPrice(tier.audio_output),
    single: readUnitPrice(tier.price),
  }
}

function readUnitPrice(text: string | undefined): UnitPrice | null {
  return text === undefined ? null : unitPriceOf(text)
}

function unitPriceOf(text: string): UnitPrice {
  const micro = parseMicro(text)
  return { micro, text: formatDecimal(micro, 6) }
}

function readItem({ item, price, effective_from: from, effective_to: to }: PriceItem): ItemPrice {
  return { item, unitPrice: unitPriceOf(price), validity: parseValidity(from, to) }
}

export function readDiscount({ discount, effective_from: from, effective_to: to }: PriceDiscount): Discount {
  return { share: parseMicro(discount), validity: parseValidity(from, to) }
}

/** The tiers in force at an instant: those of the first band that holds, else the row's own. */
export function tiersAt(price: Price, atMs: number): readonly Tier[] {
  for (const band of price.bands) if (isWithin(band.hours, atMs)) return band.tiers
  return price.tiers
}

/** The first tier whose limits hold; null past the last limit. */
export function findTier(
  tiers: readonly Tier[],
  inputTokens: number,
  outputTokens: number,
  other?: OtherUsage,
): Tier | null {
  for (const tier of tiers) {
    if (tier.when !== null && !areMet(tier.when, other)) continue
    if (inputTokens <= tier.inputTokensMax && outputTokens <= tier.outputTokensMax) return tier
  }
  return null
}

/** The row that prices what is past all limits; null when none is for such a request. */
export function lastTier(tiers: readonly Tier[], other?: OtherUsage): Tier | null {
  return tiers.findLast((tier) => tier.when === null || areMet(tier.when, other)) ?? null
}
