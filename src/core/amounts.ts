// What a bill's lines come to: by list, by contract, and what balances paid of that.

import type { CostItem, CostLine } from './ledger.ts'
import { type Pico, parseDecimal } from './money.ts'

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
