// The most that a price can make of a request whose size is bounded: what admission holds for it, and what it charges
// where the truth is not known.

import { type Cost, UNPRICED_VERSION } from '#core/ledger.ts'
import { formatNano, formatPico, type Micro, type Nano, type Pico } from '#core/money.ts'
import type { PriceItemName, PriceUnit } from '#core/price.ts'
import { NO_USAGE, type OtherUsage, type TokenUsage } from '#core/usage.ts'
import { billUnits } from './bill.ts'
import { holdsAt } from './instants.ts'
import { type Price, type Tier, tiersAt } from './price.ts'
import { amountOf, ITEM_UNITS } from './units.ts'

/** What one attempt may come to. */
export interface SizeBound {
  readonly inputTokens: number
  /** Of all its answers. */
  readonly outputTokens: number
  readonly mayThink: boolean
  /** Calls that are billed beside tokens. */
  readonly calls: Readonly<Partial<Record<PriceItemName, number>>>
  /** What a price counts that is not for tokens. */
  readonly units: OtherUsage
}

/** A price at its highest for a size. */
export interface Ceiling {
  /** Micro per million tokens, native currency. */
  readonly input: bigint
  readonly output: bigint
  /** What does not hang on tokens. */
  readonly fixed: Pico
  /** Book units per native unit; null: the price is in the book currency. */
  readonly exchange: Micro | null
}

/** Over all rows that the request can fall into by its size; which band of the day holds is known by now. */
export function ceilingOf(price: Price, exchange: Micro | null, atMs: number, size: SizeBound): Ceiling {
  const tiers = tiersAt(price, atMs)
  const calls = callsOf(price, atMs, size)
  if (price.unit !== 'per_million_tokens') {
    const units = { ...NO_USAGE, other: size.units }
    let most = 0n
    for (const tier of tiers) most = max(most, billUnits(price, tier, units, []) ?? 0n)
    return { input: 0n, output: 0n, fixed: (most + calls) as Pico, exchange }
  }
  let input = 0n
  let output = 0n
  for (const tier of tiers) {
    input = dearest(
      input,
      tier.input,
      tier.cachedInput,
      tier.cachedInputExplicit,
      tier.cacheWrite,
      tier.audioInput,
      tier.imageInput,
    )
    output = dearest(output, tier.output, tier.audioOutput, size.mayThink ? tier.thinkingOutput : null)
    const fits = size.inputTokens <= tier.inputTokensMax && size.outputTokens <= tier.outputTokensMax
    if (tier.when === null && fits) break
  }
  return { input, output, fixed: calls as Pico, exchange }
}

function callsOf(price: Price, atMs: number, { calls }: SizeBound): bigint {
  const most = new Map<PriceItemName, bigint>()
  for (const { item, unitPrice, validity } of price.items) {
    const count = calls[item] ?? 0
    if (count === 0 || !holdsAt(validity, atMs)) continue
    most.set(item, max(most.get(item) ?? 0n, amountOf(unitPrice.micro, BigInt(count), ITEM_UNITS[item])))
  }
  let sum = 0n
  for (const amount of most.values()) sum += amount
  return sum
}

function dearest(first: bigint, ...prices: readonly Tier['input'][]): bigint {
  let most = first
  for (const price of prices) if (price !== null && price.micro > most) most = price.micro
  return most
}

function max(left: bigint, right: bigint): bigint {
  return left > right ? left : right
}

/** The dearest of the prices, rounded up at each step, so that no bill of these tokens is higher. Free where none is. */
export function ceilingNano(ceilings: readonly Ceiling[], inputTokens: number, outputTokens: number): Nano {
  let most = 0n
  for (const { input, output, fixed, exchange } of ceilings) {
    const pico = input * BigInt(inputTokens) + output * BigInt(outputTokens) + fixed
    const native = ceilDivide(pico, 1_000n)
    most = max(most, exchange === null ? native : ceilDivide(native * exchange, 1_000_000n))
  }
  return most as Nano
}

/** Output tokens of each of `answers` that `leftNano` pays for at the dearest price. */
export function affordableTokens(
  ceilings: readonly Ceiling[],
  inputTokens: number,
  leftNano: bigint,
  answers: number,
): number {
  let least = Number.MAX_SAFE_INTEGER
  for (const { input, output, fixed, exchange } of ceilings) {
    if (output === 0n) continue
    const native = exchange === null ? leftNano : exchange === 0n ? null : (leftNano * 1_000_000n) / exchange
    if (native === null) continue
    // One nano for each of the two roundings.
    const pico = (native - 2n) * 1_000n - input * BigInt(inputTokens) - fixed
    least = Math.min(least, pico <= 0n ? 0 : Number(pico / output / BigInt(answers)))
  }
  return least
}

function ceilDivide(amount: bigint, by: bigint): bigint {
  return (amount + by - 1n) / by
}

/** Units that an upstream cannot make more of than it was given: the time we let it have, the one call we make. */
const BOUNDED_UNITS: ReadonlySet<PriceUnit> = new Set(['per_million_tokens', 'per_gpu_second', 'per_call'])

export function isBounded(price: Price): boolean {
  return BOUNDED_UNITS.has(price.unit)
}

/** What a budget holds for one attempt, and the prices that it goes by. */
export interface HeldMoney {
  readonly costNano: Nano
  readonly ceilings: readonly Ceiling[]
}

/**
 * The charge of an attempt that no price could rate: what was held, or more where more was used than was held for.
 * null: no budget counts it, it used nothing, or the rule is to charge nothing.
 */
export function costOfHold(held: HeldMoney | null, usage: TokenUsage, currency: string): Cost | null {
  if (held === null || isNothing(usage)) return null
  const { costNano, ceilings } = held
  const amountNano = max(costNano, ceilingNano(ceilings, usage.inputTokens, usage.outputTokens)) as Nano
  if (amountNano === 0n) return null
  const line = { item: 'bound', quantity: 1, price: formatNano(amountNano) } as const
  return {
    amountNano,
    currency,
    nativeNano: amountNano,
    nativeCurrency: currency,
    lines: [{ ...line, amount: formatPico((amountNano * 1_000n) as Pico) }],
    priceVersion: `${UNPRICED_VERSION};bound`,
  }
}

function isNothing({ inputTokens, outputTokens, other }: TokenUsage): boolean {
  return inputTokens === 0 && outputTokens === 0 && other === undefined
}
