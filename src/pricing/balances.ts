// Free quotas and prepaid packages: what is left of them pays before anything is billed.

import type { CostItem, CostLine } from '#core/ledger.ts'
import { formatPico, type Micro, type Pico, parseDecimal } from '#core/money.ts'
import type { PriceBalance, QuotaUnit } from '#core/price.ts'
import { holdsAt, type Validity } from './instants.ts'
import type { Price } from './price.ts'

export interface Balance {
  readonly id: string
  readonly kind: PriceBalance['kind']
  readonly unit: QuotaUnit
  readonly remaining: number
  readonly validity: Validity
}

export interface BalanceUse {
  readonly id: string
  readonly unit: QuotaUnit
  readonly quantity: number
}

/** Where balances are kept: balance-book.ts. */
export interface Balances {
  /** Those that may pay for a model of a provider, by the names of the configuration, at a price of a list. */
  readonly of: (providerName: string, model: string, price: Price | null, atMs: number) => readonly Balance[]
  readonly take: (uses: readonly BalanceUse[], atMs: number) => void
}

const INPUT_TOKENS: readonly CostItem[] = [
  'input',
  'cached_input',
  'cache_write',
  'audio_input',
  'image_input',
]
const COVERED: Readonly<Record<QuotaUnit, ReadonlySet<CostItem>>> = {
  tokens: new Set([...INPUT_TOKENS, 'output', 'audio_output']),
  input_tokens: new Set(INPUT_TOKENS),
  characters: new Set(['character', 'utf8_byte']),
  seconds: new Set(['second']),
  images: new Set(['image']),
  voices: new Set(['voice']),
}

interface Covered {
  readonly amount: Pico
  readonly uses: readonly BalanceUse[]
}

const WHOLE = 1_000_000n

/**
 * Adds the lines that balances pay, soonest to end first, each at what the line before it costs by contract. A
 * balance that is larger than the line covers all of it; a part of a line is paid by its share of the quantity.
 */
export function coverLines(
  lines: CostLine[],
  share: Micro | null,
  contract: Pico,
  balances: readonly Balance[],
  atMs: number,
): Covered {
  const open = lines
    .filter((line) => line.item !== 'discount')
    .map((line) => ({ line, left: line.quantity, due: byContract(parseDecimal(line.amount, 12), share) }))
  const uses: BalanceUse[] = []
  let paid = 0n
  for (const balance of usable(balances, atMs)) {
    let remaining = balance.remaining
    let amount = 0n
    for (const part of open) {
      if (remaining <= 0 || part.left <= 0 || !COVERED[balance.unit].has(part.line.item)) continue
      const quantity = Math.min(remaining, part.left)
      const due = quantity === part.left ? part.due : portion(part.due, quantity, part.left)
      part.due -= due
      part.left -= quantity
      remaining -= quantity
      amount += due
    }
    const quantity = balance.remaining - remaining
    if (quantity === 0) continue
    // Rounding each line to twelve places may pass the whole by a few of the last place.
    const capped = amount < contract - paid ? amount : contract - paid
    const text = formatPico(-capped as Pico)
    paid += capped
    uses.push({ id: balance.id, unit: balance.unit, quantity })
    lines.push({ item: balance.kind, quantity, price: text, amount: text, balance: balance.id })
  }
  return { amount: paid as Pico, uses }
}

function byContract(amount: bigint, share: Micro | null): bigint {
  return share === null ? amount : (amount * share + WHOLE / 2n) / WHOLE
}

/** Quantities are whole but for seconds, which go to the millisecond. */
function portion(due: bigint, quantity: number, whole: number): bigint {
  return (due * BigInt(Math.round(quantity * 1000))) / BigInt(Math.round(whole * 1000))
}

function usable(balances: readonly Balance[], atMs: number): readonly Balance[] {
  return balances
    .filter(({ remaining, validity }) => remaining > 0 && holdsAt(validity, atMs))
    .toSorted((a, b) => (a.validity.toMs === b.validity.toMs ? 0 : a.validity.toMs - b.validity.toMs))
}

/** Tokens of a request by what they cost. */
export interface TokenParts {
  input: number
  cached: number
  output: number
}

/** Takes off what balances pay, in the order of bills. */
export function payTokens(parts: TokenParts, balances: readonly Balance[], atMs: number): void {
  for (const { unit, remaining } of usable(balances, atMs)) {
    let left = remaining
    const pay = (tokens: number): number => {
      const paid = Math.min(left, tokens)
      left -= paid
      return tokens - paid
    }
    if (!COVERED[unit].has('input')) continue
    parts.input = pay(parts.input)
    parts.cached = pay(parts.cached)
    if (COVERED[unit].has('output')) parts.output = pay(parts.output)
  }
}
