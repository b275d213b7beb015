// The lines of a bill: quantities at their prices. Integers only.

import type { CostItem, CostLine } from '#core/ledger.ts'
import { formatPico, PICO_ZERO, type Pico } from '#core/money.ts'
import type { OtherUsage, TokenUsage } from '#core/usage.ts'
import { countCharacters, countUtf8Bytes } from './characters.ts'
import { holdsAt } from './instants.ts'
import type { ItemPrice, Price, Tier, UnitPrice } from './price.ts'
import { amountOf, ITEM_UNITS, quantityOf, UNITS, type Unit } from './units.ts'

const NONE: OtherUsage = Object.freeze({})

/** Writes the lines of tokens and returns their sum. */
export function billTokens(tier: Tier, usage: TokenUsage, thinking: boolean, lines: CostLine[]): Pico {
  if (usage.other !== undefined) return billModalTokens(tier, usage, usage.other, thinking, lines)
  // An upstream that counts more cached tokens than input must not make the bill negative.
  const fresh = Math.max(0, usage.inputTokens - usage.cachedInputTokens - usage.cacheWriteTokens)
  return (addTokens(lines, 'input', fresh, tier.input) +
    addTokens(lines, 'cached_input', usage.cachedInputTokens, cachedPrice(tier, usage)) +
    addTokens(lines, 'cache_write', usage.cacheWriteTokens, tier.cacheWrite) +
    addTokens(lines, 'output', usage.outputTokens, thinking ? tier.thinkingOutput : tier.output)) as Pico
}

/**
 * The same where tokens of sound and images have prices of their own. They are parts of the input and output: what a
 * cache has of them is billed as cached, and nothing twice.
 */
function billModalTokens(
  tier: Tier,
  usage: TokenUsage,
  other: OtherUsage,
  thinking: boolean,
  lines: CostLine[],
): Pico {
  const fresh = Math.max(0, usage.inputTokens - usage.cachedInputTokens - usage.cacheWriteTokens)
  const audioInput = modalPart(tier.audioInput, other.audioInputTokens, fresh)
  const imageInput = modalPart(tier.imageInput, other.imageInputTokens, fresh - audioInput)
  const audioOutput = modalPart(tier.audioOutput, other.audioOutputTokens, usage.outputTokens)
  const { other: _other, ...plain } = usage
  const text = {
    ...plain,
    inputTokens: usage.inputTokens - audioInput - imageInput,
    outputTokens: usage.outputTokens - audioOutput,
  }
  return (billTokens(tier, text, thinking, lines) +
    addTokens(lines, 'audio_input', audioInput, tier.audioInput) +
    addTokens(lines, 'image_input', imageInput, tier.imageInput) +
    addTokens(lines, 'audio_output', audioOutput, tier.audioOutput)) as Pico
}

function modalPart(unitPrice: UnitPrice | null, tokens: number | undefined, whole: number): number {
  return unitPrice === null || tokens === undefined ? 0 : Math.min(tokens, whole)
}

function cachedPrice(tier: Tier, usage: TokenUsage): UnitPrice | null {
  return usage.explicitCache === true ? tier.cachedInputExplicit : tier.cachedInput
}

/** Micro per million tokens × tokens = pico. */
function addTokens(lines: CostLine[], item: CostItem, quantity: number, unitPrice: UnitPrice | null): Pico {
  if (quantity === 0 || unitPrice === null) return PICO_ZERO
  const amount = (unitPrice.micro * BigInt(quantity)) as Pico
  lines.push({ item, quantity, price: unitPrice.text, amount: formatPico(amount) })
  return amount
}

/** Writes the line of a price that is for no tokens; null: the usage does not say how much there was. */
export function billUnits(price: Price, tier: Tier, usage: TokenUsage, lines: CostLine[]): Pico | null {
  if (price.unit === 'per_million_tokens') return PICO_ZERO
  const unit = UNITS[price.unit]
  const counted = countedOf(price, unit, usage.other ?? NONE)
  if (counted === null || tier.single === null) return null
  return addCounted(lines, unit, wholeUnits(price, unit, counted), tier.single)
}

function countedOf(price: Price, unit: Unit, usage: OtherUsage): number | null {
  const { text } = usage
  switch (unit.item) {
    case 'image':
      return usage.images ?? null
    case 'character':
      if (text === undefined || price.characterRule === null) return usage.characters ?? null
      return countCharacters(text, price.characterRule)
    case 'utf8_byte':
      return text === undefined ? (usage.characters ?? null) : countUtf8Bytes(text)
    case 'gpu_second':
      return usage.gpuMs === undefined ? null : usage.gpuMs * price.gpus
    case 'video':
      return usage.videos ?? null
    case 'voice':
      return usage.voices ?? null
    case 'call':
      return usage.calls ?? null
    default:
      return usage.durationMs ?? videoMs(price, usage)
  }
}

function videoMs(price: Price, usage: OtherUsage): number | null {
  if (usage.outputVideoMs === undefined) return null
  // Where a list does not bill the video given in, only the one made counts.
  const limit = Number.isFinite(price.inputVideoMsMax) ? price.inputVideoMsMax : 0
  return Math.min(usage.inputVideoMs ?? 0, limit) + usage.outputVideoMs
}

/** Minimum and rounding of the row, in counted amounts. */
function wholeUnits(price: Price, unit: Unit, counted: number): bigint {
  const perUnit = Number(unit.countedPerUnit)
  const least = Math.max(counted, price.unitsMin * perUnit)
  if (price.rounding === 'up') return BigInt(Math.ceil(least / perUnit) * perUnit)
  if (price.rounding === 'half_up') return BigInt(Math.floor(least / perUnit + 0.5) * perUnit)
  return BigInt(Math.round(least))
}

function addCounted(lines: CostLine[], unit: Unit, counted: bigint, { micro, text }: UnitPrice): Pico {
  if (counted === 0n) return PICO_ZERO
  const amount = amountOf(micro, counted, unit)
  lines.push({
    item: unit.item,
    quantity: quantityOf(counted, unit),
    price: text,
    amount: formatPico(amount),
  })
  return amount
}

/** Writes the lines of what is billed beside the tiers. */
export function billItems(price: Price, usage: OtherUsage, atMs: number, lines: CostLine[]): Pico {
  let sum = 0n
  for (const item of price.items) {
    if (!holdsAt(item.validity, atMs)) continue
    const counted = countedItems(item, usage)
    sum += addCounted(lines, ITEM_UNITS[item.item], counted, item.unitPrice)
  }
  return sum as Pico
}

function countedItems({ item }: ItemPrice, usage: OtherUsage): bigint {
  switch (item) {
    case 'search_call':
      return BigInt(usage.searchCalls ?? 0)
    case 'tool_call':
      return BigInt(usage.toolCalls ?? 0)
    case 'cache_call':
      return BigInt(usage.cacheCalls ?? 0)
    case 'cache_creation':
      return BigInt(usage.cacheCreatedTokens ?? 0)
    case 'voice_clone':
      return BigInt(usage.voiceClones ?? 0)
    case 'voice_design':
      return BigInt(usage.voiceDesigns ?? 0)
    case 'cache_storage_hour':
    case 'cache_storage_minute':
      return (
        BigInt(usage.cacheStoredTokens ?? usage.cacheCreatedTokens ?? 0) * BigInt(usage.cacheStoredMs ?? 0)
      )
  }
}

const COUNTS = [
  ['searchCalls', ['search_call']],
  ['toolCalls', ['tool_call']],
  ['cacheCalls', ['cache_call']],
  ['cacheCreatedTokens', ['cache_creation']],
  ['cacheStoredMs', ['cache_storage_hour', 'cache_storage_minute']],
  ['voiceClones', ['voice_clone']],
  ['voiceDesigns', ['voice_design']],
] as const

/** What was used and has no price here, by the names of the items: it must not pass as free. */
export function unpricedItems(price: Price, usage: OtherUsage, atMs: number): readonly string[] {
  const priced = new Set(price.items.filter((item) => holdsAt(item.validity, atMs)).map(({ item }) => item))
  return COUNTS.filter(
    ([name, items]) => (usage[name] ?? 0) > 0 && !items.some((item) => priced.has(item)),
  ).map(([, items]) => items[0])
}

const UNIT_COUNTS = [
  'images',
  'characters',
  'durationMs',
  'outputVideoMs',
  'videos',
  'voices',
  'calls',
] as const

/** Whether something was used that prices of tokens do not speak of. */
export function countsUnits(usage: OtherUsage): boolean {
  return UNIT_COUNTS.some((name) => (usage[name] ?? 0) > 0)
}
