// Rating: a price, a usage and an instant → an itemised cost. Integers only; where prices come from is in catalogue.ts.

import { type DatedRate, type FxRates, rateAt } from '#core/fx.ts'
import type { Cost, CostLine } from '#core/ledger.ts'
import {
  convertNano,
  formatDecimal,
  formatPico,
  type Micro,
  type Nano,
  PICO_ZERO,
  type Pico,
  roundToNano,
} from '#core/money.ts'
import type { OtherUsage, TokenUsage } from '#core/usage.ts'
import { type Balance, type BalanceUse, coverLines } from './balances.ts'
import { billItems, billTokens, billUnits, countsUnits, unpricedItems } from './bill.ts'
import { specialTier } from './conditions.ts'
import { holdsAt } from './instants.ts'
import { findTier, lastTier, type Price, type Tier, tiersAt, type UnitPrice } from './price.ts'

export interface RatingTerms {
  /** Whether the thinking mode was on; it decides, not whether reasoning came of it. */
  readonly thinking: boolean
  /** The attempt was sent then. */
  readonly atMs: number
  /** Of the books. */
  readonly currency: string
  readonly fx: FxRates
}

/**
 * null: the books cannot say what it cost. There is no rate from the price's currency to theirs, or the price hangs
 * on something that the usage does not say.
 */
export function rate(price: Price, usage: TokenUsage, terms: RatingTerms): Cost | null {
  return rateCovered(price, usage, terms, NO_BALANCES).cost
}

const NO_BALANCES: readonly Balance[] = []
const NO_USES: readonly BalanceUse[] = []

export interface CoveredCost {
  readonly cost: Cost | null
  /** What to take from which balance. */
  readonly uses: readonly BalanceUse[]
}

/** The same after free quotas and prepaid packages, which are used before anything is billed. */
export function rateCovered(
  price: Price,
  usage: TokenUsage,
  terms: RatingTerms,
  balances: readonly Balance[],
): CoveredCost {
  const isBookCurrency = price.currency === terms.currency
  const exchange = isBookCurrency ? null : rateAt(terms.fx, price.currency, terms.atMs)
  if (exchange === null && !isBookCurrency) return { cost: null, uses: NO_USES }
  const { other } = usage
  const tiers = tiersAt(price, terms.atMs)
  const fitting = findTier(tiers, usage.inputTokens, usage.outputTokens, other)
  const tier = fitting ?? lastTier(tiers, other)
  if (tier === null) return { cost: null, uses: NO_USES }
  const lines: CostLine[] = []
  const listed = bill(price, tier, usage, terms, lines)
  if (listed === null) return { cost: null, uses: NO_USES }
  const share = shareAt(price, terms.atMs)
  const contract = share === null ? listed : discounted(listed, share, lines)
  const covered = balances.length === 0 ? null : coverLines(lines, share, contract, balances, terms.atMs)
  const native = roundToNano((covered === null ? contract : contract - covered.amount) as Pico)
  const cost = {
    amountNano: exchange === null ? native : convertNano(native, exchange.rate),
    currency: terms.currency,
    nativeNano: native,
    nativeCurrency: price.currency,
    lines,
    priceVersion: versionOf(price, tier, fitting === null, other, terms.atMs, exchange),
  }
  return { cost, uses: covered?.uses ?? NO_USES }
}

function bill(
  price: Price,
  tier: Tier,
  usage: TokenUsage,
  { thinking, atMs }: RatingTerms,
  lines: CostLine[],
): Pico | null {
  const own =
    price.unit === 'per_million_tokens'
      ? billTokens(tier, usage, thinking, lines)
      : billUnits(price, tier, usage, lines)
  const { other } = usage
  if (own === null || other === undefined) return own
  const sum = (own + billItems(price, other, atMs, lines)) as Pico
  // Images at a price of tokens are not free, their price is unknown.
  return lines.length === 0 && price.unit === 'per_million_tokens' && countsUnits(other) ? null : sum
}

/** Share of the list price that the contract leaves, micro; null: all of it. */
function shareAt(price: Price, atMs: number): Micro | null {
  for (const { validity, share } of price.discounts) if (holdsAt(validity, atMs)) return share
  return null
}

const WHOLE = 1_000_000n

function discounted(listed: Pico, share: Micro, lines: CostLine[]): Pico {
  const off = (listed * (WHOLE - share) + WHOLE / 2n) / WHOLE
  if (off === 0n) return listed
  const text = formatPico(-off as Pico)
  lines.push({ item: 'discount', quantity: 1, price: text, amount: text })
  return (listed - off) as Pico
}

/** The row, and whatever else must stand in the books to say how it was read. */
function versionOf(
  price: Price,
  tier: Tier,
  isPastLimits: boolean,
  other: OtherUsage | undefined,
  atMs: number,
  exchange: DatedRate | null,
): string {
  let version = price.version
  // Past the last limit no row speaks of the request; that its price is the last row's stands in the books.
  if (isPastLimits) version += ';past_last_limit'
  if (other !== undefined) {
    const special = specialTier(other)
    if (special !== null && (tier.when?.serviceTier ?? null) === null) version += `;tier_unpriced=${special}`
    for (const item of unpricedItems(price, other, atMs)) version += `;unpriced=${item}`
  }
  if (exchange !== null) {
    const since = exchange.since === null ? '' : `@${exchange.since}`
    version += `;fx=${formatDecimal(exchange.rate, 6)}${since}`
  }
  return version
}

/** Micro per million tokens × tokens = pico. */
function times(unitPrice: UnitPrice | null, quantity: number): Pico {
  return unitPrice === null ? PICO_ZERO : ((unitPrice.micro * BigInt(quantity)) as Pico)
}

/**
 * What a request of this size would cost, book currency: for plans, so without lines. `exchange` is null where the
 * price is in the book currency or no rate is known; the answer is null where lengths alone do not say the price.
 */
export function estimateNano(
  price: Price,
  inputTokens: number,
  outputTokens: number,
  nowMs: number,
  thinking: boolean,
  exchange: Micro | null,
): Nano | null {
  if (price.unit !== 'per_million_tokens') return null
  const tiers = tiersAt(price, nowMs)
  const tier = findTier(tiers, inputTokens, outputTokens) ?? lastTier(tiers)
  if (tier === null) return null
  const output = thinking ? tier.thinkingOutput : tier.output
  const listed = times(tier.input, inputTokens) + times(output, outputTokens)
  const share = price.discounts.length === 0 ? null : shareAt(price, nowMs)
  const native = roundToNano(
    (share === null ? listed : listed - (listed * (WHOLE - share) + WHOLE / 2n) / WHOLE) as Pico,
  )
  return exchange === null ? native : convertNano(native, exchange)
}
