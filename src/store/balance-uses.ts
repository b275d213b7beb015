// What an attempt used of balances, as stores count it: whole thousandths, whose sums are exact.

import type { AttemptRow, BalanceUsed } from '#core/ledger.ts'

export const MILLI = 1_000

export interface BalanceMilli {
  readonly id: string
  readonly milli: number
}

const NONE: readonly BalanceMilli[] = []

export function balanceUsesOf({ cost }: AttemptRow): readonly BalanceMilli[] {
  if (cost === null) return NONE
  let uses: BalanceMilli[] | null = null
  for (const { balance, quantity } of cost.lines) {
    if (balance === undefined) continue
    uses ??= []
    uses.push({ id: balance, milli: Math.round(quantity * MILLI) })
  }
  return uses ?? NONE
}

/** Sums by hour and balance. */
export class BalanceSums {
  readonly #sums = new Map<number, Map<string, number>>()

  add(hourMs: number, { id, milli }: BalanceMilli): void {
    const hour = this.#sums.get(hourMs) ?? new Map<string, number>()
    this.#sums.set(hourMs, hour.set(id, (hour.get(id) ?? 0) + milli))
  }

  *entries(): Iterable<{ readonly hourMs: number; readonly id: string; readonly milli: number }> {
    for (const [hourMs, hour] of this.#sums) for (const [id, milli] of hour) yield { hourMs, id, milli }
  }

  list(): readonly BalanceUsed[] {
    return [...this.entries()].map(({ hourMs, id, milli }) => ({ id, hourMs, quantity: milli / MILLI }))
  }

  clear(): void {
    this.#sums.clear()
  }
}
