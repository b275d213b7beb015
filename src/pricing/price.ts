// A row of a price list, read once into integers, so that rating does no text work.

import { formatDecimal, type Micro, parseMicro } from '#core/money.ts'
import type { PriceEntry, PriceTier } from '#core/price.ts'
import { type BandHours, isWithin, parseHours } from './bands.ts'
import { parseValidity, type Validity } from './instants.ts'

/** The members of a tier that are prices. */
export const PRICE_NAMES = [
  'input',
  'output',
  'cached_input',
  'cached_input_explicit',
  'cache_write',
  'thinking_output',
] as const satisfies readonly (keyof PriceTier)[]

/** Per million tokens. */
export interface UnitPrice {
  readonly micro: Micro
  /** The same as a decimal string, for the lines of a bill. */
  readonly text: string
}

export interface Tier {
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
}

interface Band {
  readonly hours: BandHours
  readonly tiers: readonly Tier[]
}

export interface Price {
  /** Names the row: `PROVIDER/MODEL@REGION;…` of a list, or `config:PATTERN`. */
  readonly version: string
  readonly currency: string
  /** null: any. */
  readonly region: string | null
  readonly validity: Validity
  readonly tiers: readonly Tier[]
  /** In order; the first that holds replaces the tiers. */
  readonly bands: readonly Band[]
}

/** @throws RangeError when a price, a date, a time or a zone cannot be read. */
export function readPrice(entry: PriceEntry, version: string): Price {
  return {
    version,
    currency: entry.currency,
    region: entry.region ?? null,
    validity: validityOf(entry),
    tiers: entry.tiers.map(readTier),
    bands: (entry.time_bands ?? []).map((band) => ({
      hours: parseHours(band),
      tiers: band.tiers.map(readTier),
    })),
  }
}

/**
 * A historic row prices the past only. Where its source gives no end, it ended by the day it was looked up; without
 * that day either, it prices nothing.
 */
function validityOf(entry: PriceEntry): Validity {
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
    inputTokensMax: tier.input_tokens_up_to ?? Number.POSITIVE_INFINITY,
    outputTokensMax: tier.output_tokens_up_to ?? Number.POSITIVE_INFINITY,
    input,
    cachedInput,
    cachedInputExplicit: readUnitPrice(tier.cached_input_explicit) ?? cachedInput,
    cacheWrite: readUnitPrice(tier.cache_write) ?? input,
    output,
    thinkingOutput: readUnitPrice(tier.thinking_output) ?? output,
  }
}

function readUnitPrice(text: string | undefined): UnitPrice | null {
  if (text === undefined) return null
  const micro = parseMicro(text)
  return { micro, text: formatDecimal(micro, 6) }
}

/** The tiers in force at an instant: those of the first band that holds, else the row's own. */
export function tiersAt(price: Price, atMs: number): readonly Tier[] {
  for (const band of price.bands) if (isWithin(band.hours, atMs)) return band.tiers
  return price.tiers
}

/** The first tier whose limits hold; null past the last limit. */
export function findTier(tiers: readonly Tier[], inputTokens: number, outputTokens: number): Tier | null {
  for (const tier of tiers) {
    if (inputTokens <= tier.inputTokensMax && outputTokens <= tier.outputTokensMax) return tier
  }
  return null
}
