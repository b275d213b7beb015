// What the ledger of record says was spent, and by which rows: what purses are filled with, exactly.

import type { ScopeKind } from './admission.ts'
import type { Nano } from './money.ts'

/** What a purse needs to know of its scope. */
export interface SpentAsked {
  readonly kind: ScopeKind
  readonly name: string
  /** Attempts that began at or after this (epoch ms); null: all. Where rows are gone, from the start of its hour. */
  readonly fromMs: number | null
  /** One sum for each hour of UTC instead of one in all; for periods that roll. */
  readonly byHour: boolean
}

export interface SpentSum {
  /** Start of the hour, epoch ms; null: one sum in all. */
  readonly hourMs: number | null
  /** Cost of attempts, late ones where they began, book currency; other adjustments are no spending. */
  readonly amountNano: Nano
}

/** One reading of the ledger: sums and marks are of the same moment. */
export interface SpentSnapshot {
  /** By `INSTANCE:EPOCH`: the last row that the sums count. */
  readonly marks: ReadonlyMap<string, number>
  /** In the order of what was asked; nothing spent is an empty list. */
  readonly sums: readonly (readonly SpentSum[])[]
}

export interface SpentSource {
  /** @throws StoreUnavailableError when nobody can say for now */
  spent(asked: readonly SpentAsked[]): Promise<SpentSnapshot>
}
