// What a bill's lines come to: by list, by contract, and what balances paid of that.

import type { AmountSums, Cost, CostItem, CostLine } from './ledger.ts'
import {
  convertNano,
  NANO_ZERO,
  type Nano,
  type Pico,
  parseDecimal,
  parseMicro,
  roundToNano,
} from './money.ts'

/** Native currency. */
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

export const NO_AMOUNTS: AmountSums = Object.freeze({
  discountNano: NANO_ZERO,
  freeQuotaNano: NANO_ZERO,
  packageNano: NANO_ZERO,
})

/** What stands between list price and cost of a bill, each rounded by itself; `NO_AMOUNTS` itself: nothing does. */
export function amountsBetween({ lines, currency, nativeCurrency, priceVersion }: Cost): AmountSums {
  const last = lines.at(-1)
  // Such lines come last.
  if (last === undefined || !BETWEEN.has(last.item)) return NO_AMOUNTS
  const { list, contract, freeQuota, package: paid } = amountsOf(lines)
  // The rate of a bill stands in its version.
  const rate = currency === nativeCurrency ? null : (FX.exec(priceVersion)?.[1] ?? null)
  const inBooks = (pico: bigint): Nano => {
    const native = roundToNano(pico as Pico)
    return rate === null ? native : convertNano(native, parseMicro(rate))
  }
  return {
    discountNano: inBooks(list - contract),
    freeQuotaNano: inBooks(freeQuota),
    packageNano: inBooks(paid),
  }
}

const BETWEEN: ReadonlySet<CostItem> = new Set(['discount', 'free_quota', 'package'])
const FX = /;fx=([\d.]+)(?:@[^;]*)?$/
