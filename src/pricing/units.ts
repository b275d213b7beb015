// Units of prices: how much of a thing one price is for, and how its amounts are counted.

import type { CostItem } from '#core/ledger.ts'
import type { Micro, Pico } from '#core/money.ts'
import type { PriceItemName, PriceUnit } from '#core/price.ts'

/** Amounts are whole numbers of `counted`; a price is for `countedPerUnit` of them. */
export interface Unit {
  readonly item: CostItem
  readonly countedPerUnit: bigint
  /** Times are counted in milliseconds and shown in units. */
  readonly isTime: boolean
}

const SECOND_MS = 1_000n
const HOUR_MS = 3_600_000n
const MINUTE_MS = 60_000n
const MILLION = 1_000_000n

const count = (item: CostItem, countedPerUnit = 1n): Unit => ({ item, countedPerUnit, isTime: false })
const time = (item: CostItem, countedPerUnit: bigint): Unit => ({ item, countedPerUnit, isTime: true })

export const UNITS: Readonly<Record<Exclude<PriceUnit, 'per_million_tokens'>, Unit>> = {
  per_image: count('image'),
  per_10k_chars: count('character', 10_000n),
  per_million_utf8_bytes: count('utf8_byte', MILLION),
  per_second: time('second', SECOND_MS),
  per_hour: time('hour', HOUR_MS),
  per_gpu_second: time('gpu_second', SECOND_MS),
  per_video: count('video'),
  per_voice: count('voice'),
  per_call: count('call'),
}

/** Stored tokens are counted in token-milliseconds. */
export const ITEM_UNITS: Readonly<Record<PriceItemName, Unit>> = {
  search_call: count('search_call'),
  tool_call: count('tool_call'),
  cache_call: count('cache_call'),
  cache_creation: count('cache_creation', MILLION),
  cache_storage_hour: time('cache_storage_hour', MILLION * HOUR_MS),
  cache_storage_minute: time('cache_storage_minute', MILLION * MINUTE_MS),
  voice_clone: count('voice_clone'),
  voice_design: count('voice_design'),
}

/** Micro per unit × counted = pico, rounded half up where a unit is no factor of a million. */
export function amountOf(micro: Micro, counted: bigint, { countedPerUnit }: Unit): Pico {
  return ((micro * counted * MILLION * 2n + countedPerUnit) / (countedPerUnit * 2n)) as Pico
}

/** The amount as a bill shows it: times in units of their price (stored tokens in token-hours), all else as counted. */
export function quantityOf(counted: bigint, unit: Unit): number {
  if (!unit.isTime) return Number(counted)
  const shown =
    unit.countedPerUnit >= MILLION * MINUTE_MS ? unit.countedPerUnit / MILLION : unit.countedPerUnit
  return Number(counted) / Number(shown)
}
