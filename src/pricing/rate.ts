// Rating: a price, a usage and an instant → an itemised cost. Integers only; where prices come from is in catalogue.ts.

import { assert } from '#core/assert.ts'
import type { Cost, CostLine } from '#core/ledger.ts'
import {
  convertNano,
  formatPico,
  type Micro,
  type Nano,
  PICO_ZERO,
  type Pico,
  roundToNano,
} from '#core/money.ts'
import type { TokenUsage } from '#core/usage.ts'
import { findTier, type Price, type Tier, tiersAt, type UnitPrice } from './price.ts'

export interface RatingTerms {
  /** Whether the thinking mode was on; it decides, not whether reasoning came of it. */
  readonly thinking: boolean
  /** The attempt was sent then. */
  readonly atMs: number
  /** Of the books. */
  readonly currency: string
  /** Book units per unit of a currency, micro. */
  readonly fx: ReadonlyMap<string, Micro>
}

/** null: there is no rate from the price's currency to the book currency, so the books cannot say what it cost. */
export function rate(price: Price, usage: TokenUsage, terms: RatingTerms): Cost | null {
  const isBookCurrency = price.currency === terms.currency
  const exchange = isBookCurrency ? null : (terms.fx.get(price.currency) ?? null)
  if (exchange === null && !isBookCurrency) return null
  const tiers = tiersAt(price, terms.atMs)
  const fitting = findTier(tiers, usage.inputTokens, usage.outputTokens)
  const lines: CostLine[] = []
  const native = roundToNano(bill(fitting ?? lastTier(tiers), usage, terms.thinking, lines))
  return {
    amountNano: exchange === null ? native : convertNano(native, exchange),
    currency: terms.currency,
    nativeNano: native,
    nativeCurrency: price.currency,
    lines,
    // Past the last limit no row speaks of the request; that its price is the last row's stands in the books.
    priceVersion: fitting === null ? `${price.version};past_last_limit` : price.version,
  }
}

/** Writes the lines of a bill and returns their sum. */
function bill(tier: Tier, usage: TokenUsage, thinking: boolean, lines: CostLine[]): Pico {
  const cached = usage.explicitCache === true ? tier.cachedInputExplicit : tier.cachedInput
  // An upstream that counts more cached tokens than input must not make the bill negative.
  const fresh = Math.max(0, usage.inputTokens - usage.cachedInputTokens - usage.cacheWriteTokens)
  return (addLine(lines, 'input', fresh, tier.input) +
    addLine(lines, 'cached_input', usage.cachedInputTokens, cached) +
    addLine(lines, 'cache_write', usage.cacheWriteTokens, tier.cacheWrite) +
    addLine(lines, 'output', usage.outputTokens, thinking ? tier.thinkingOutput : tier.output)) as Pico
}

function addLine(
  lines: CostLine[],
  item: CostLine['item'],
  quantity: number,
  unitPrice: UnitPrice | null,
): Pico {
  if (quantity === 0 || unitPrice === null) return PICO_ZERO
  const amount = times(unitPrice, quantity)
  lines.push({ item, quantity, price: unitPrice.text, amount: formatPico(amount) })
  return amount
}

/** Micro per million tokens × tokens = pico. */
function times(unitPrice: UnitPrice | null, quantity: number): Pico {
  return unitPrice === null ? PICO_ZERO : ((unitPrice.micro * BigInt(quantity)) as Pico)
}

function lastTier(tiers: readonly Tier[]): Tier {
  const last = tiers.at(-1)
  assert(last !== undefined, 'a price has a tier')
  return last
}

/**
 * What a request of this size would cost, book currency: for plans, so without lines. `exchange` is null where the
 * price is in the book currency or no rate is known.
 */
export function estimateNano(
  price: Price,
  inputTokens: number,
  outputTokens: number,
  nowMs: number,
  thinking: boolean,
  exchange: Micro | null,
): Nano | null {
  const tiers = tiersAt(price, nowMs)
  const tier = findTier(tiers, inputTokens, outputTokens) ?? lastTier(tiers)
  const output = thinking ? tier.thinkingOutput : tier.output
  const native = roundToNano((times(tier.input, inputTokens) + times(output, outputTokens)) as Pico)
  return exchange === null ? native : convertNano(native, exchange)
}
