// Prices that cannot be meant: a price per token or per thousand tokens that stands where one per million should.

import { parseMicro } from '#core/money.ts'
import type { PriceEntry, PriceTier, PriceUnit } from '#core/price.ts'

/** Rough worth in yuan; a currency that is not here has no bounds. */
const YUAN: Readonly<Record<string, number>> = {
  CNY: 1,
  USD: 7,
  EUR: 8,
  GBP: 9,
  SGD: 5.4,
  HKD: 0.9,
  JPY: 0.048,
}

interface Bounds {
  readonly least: number
  readonly most: number
}

/**
 * Yuan per unit. The lists of 2026 go from 0.07 (embeddings) to 426.5 (GPT-4-32k, 2024) per million tokens; a slip
 * is a factor of a thousand or a million. Zero is free and always fine.
 */
const BOUNDS: Readonly<Record<PriceUnit, Bounds>> = {
  per_million_tokens: { least: 0.005, most: 1_500 },
  per_image: { least: 0.001, most: 100 },
  per_10k_chars: { least: 0.01, most: 200 },
  per_million_utf8_bytes: { least: 0.5, most: 5_000 },
  per_second: { least: 0.000_005, most: 100 },
  per_hour: { least: 0.05, most: 2_000 },
  per_gpu_second: { least: 0.000_01, most: 1 },
  per_video: { least: 0.01, most: 1_000 },
  per_voice: { least: 0.001, most: 2_000 },
  per_call: { least: 0.000_1, most: 50 },
}

/** Hits of a cache go down to a hundredth of the input price. */
const CACHED_SHARE = 0.02
const CACHED: ReadonlySet<keyof PriceTier> = new Set(['cached_input', 'cached_input_explicit'])

/** What is wrong with a price of this size; null: nothing. */
export function problemOfSize(
  entry: PriceEntry,
  tier: PriceTier,
  names: readonly (keyof PriceTier)[],
): string | null {
  const yuan = YUAN[entry.currency]
  if (entry.unusual === true || yuan === undefined) return null
  const { least, most } = BOUNDS[entry.unit]
  for (const name of names) {
    const text = tier[name]
    if (typeof text !== 'string') continue
    const inYuan = (Number(parseMicro(text)) / 1e6) * yuan
    const floor = CACHED.has(name) ? least * CACHED_SHARE : least
    if (inYuan !== 0 && (inYuan < floor || inYuan > most)) {
      return `${name} ${text} ${entry.currency} ${entry.unit} is no likely price: is the unit meant? (unusual: true takes it)`
    }
  }
  return null
}

/** Two prices of one model this far apart are in two units. */
const SLIP = 300

/** Whether one model costs so much more or less by another row that one of the two is in another unit. */
export function isSlip(entry: PriceEntry, other: PriceEntry): boolean {
  if (entry.unit !== other.unit || entry.unusual === true || other.unusual === true) return false
  const own = firstPrice(entry)
  const theirs = firstPrice(other)
  if (own === null || theirs === null) return false
  const ratio = own / theirs
  return ratio >= SLIP || ratio <= 1 / SLIP
}

/** In yuan; null: free, or nothing to compare. */
function firstPrice({ tiers, currency }: PriceEntry): number | null {
  const text = tiers[0]?.input ?? tiers[0]?.price
  const yuan = YUAN[currency]
  if (text === undefined || yuan === undefined) return null
  const micro = Number(parseMicro(text))
  return micro === 0 ? null : micro * yuan
}
