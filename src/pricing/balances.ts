// Free quotas and prepaid packages: what is left of them pays before anything is billed.

import type { CostItem, CostLine } from '#core/ledger.ts'
import { formatPico, type Micro, type Pico, parseDecimal } from '#core/money.ts'
import type { PriceBalance, PriceEntry, QuotaUnit } from '#core/price.ts'
import { holdsAt, parseValidity, type Validity } from './instants.ts'

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

/** Where balances are kept. */
export interface Balances {
  /** Those that may pay for a model of a provider, by the names of the configuration. */
  readonly of: (providerName: string, model: string) => readonly Balance[]
  readonly take: (uses: readonly BalanceUse[]) => void
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
    lines.push({ item: balance.kind, quantity, price: text, amount: text })
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

/** Whether something is left that pays for more of an item. */
export function holdsFor(balances: readonly Balance[], item: CostItem, atMs: number): boolean {
  return balances.some(
    ({ unit, remaining, validity }) => remaining > 0 && COVERED[unit].has(item) && holdsAt(validity, atMs),
  )
}

/** `PROVIDER/MODEL` or `PROVIDER/*` and what is left there. */
export interface BalanceSource {
  readonly pattern: string
  readonly balances: readonly PriceBalance[]
}

/** What the entries of a configuration say is left. */
export function balancesOf(
  overrides: readonly { readonly pattern: string; readonly entry: PriceEntry }[],
): readonly BalanceSource[] {
  return overrides.map(({ pattern, entry }) => ({ pattern, balances: entry.balances ?? [] }))
}

/** Balances of the configuration, counted down in memory: a new process starts from what the file says. */
export class MemoryBalances implements Balances {
  #byPattern = new Map<string, readonly PriceBalance[]>()
  readonly #used = new Map<string, number>()

  constructor(sources: readonly BalanceSource[] = []) {
    this.configure(sources)
  }

  /** A new configuration; what was used of a balance stays used while its amount stays the same. */
  configure(sources: readonly BalanceSource[]): void {
    const before = new Map([...this.#byPattern.values()].flat().map((balance) => [balance.id, balance]))
    this.#byPattern = new Map(sources.map(({ pattern, balances }) => [pattern, balances]))
    for (const { id, amount } of sources.flatMap(({ balances }) => balances)) {
      if (before.get(id)?.amount !== amount) this.#used.delete(id)
    }
  }

  of(providerName: string, model: string): readonly Balance[] {
    if (this.#byPattern.size === 0) return []
    const own = this.#byPattern.get(`${providerName}/${model}`) ?? []
    const shared = this.#byPattern.get(`${providerName}/*`) ?? []
    return [...own, ...shared].map(({ id, kind, unit, amount, effective_from: from, effective_to: to }) => ({
      id,
      kind,
      unit,
      remaining: Math.max(0, amount - (this.#used.get(id) ?? 0)),
      validity: parseValidity(from, to),
    }))
  }

  take(uses: readonly BalanceUse[]): void {
    for (const { id, quantity } of uses) this.#used.set(id, (this.#used.get(id) ?? 0) + quantity)
  }
}

export interface Amounts {
  /** What the vendor's list says. */
  readonly list: Pico
  /** What the contract makes of it. */
  readonly contract: Pico
  /** What balances paid of that; the rest is the vendor's bill. */
  readonly freeQuota: Pico
  readonly package: Pico
}

/** List, contract and free-quota amounts of a bill, each from its own lines. */
export function amountsOf(lines: readonly CostLine[]): Amounts {
  const sumOf = (has: (item: CostItem) => boolean) =>
    lines.reduce((sum, line) => (has(line.item) ? sum + parseDecimal(line.amount, 12) : sum), 0n)
  const off = sumOf((item) => item === 'discount')
  const list = sumOf((item) => item !== 'discount' && item !== 'free_quota' && item !== 'package')
  return {
    list: list as Pico,
    contract: (list + off) as Pico,
    freeQuota: -sumOf((item) => item === 'free_quota') as Pico,
    package: -sumOf((item) => item === 'package') as Pico,
  }
}
