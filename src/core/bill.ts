// A provider's bill beside our rows: how its table is read, what is asked, and what comes of the comparison.

import type { ReportProgress } from './ledger.ts'
import type { Pico } from './money.ts'

/** What a column of a bill may be. */
export const BILL_COLUMNS = [
  'time',
  'model',
  'item',
  'request',
  'quantity',
  'quantity_unit',
  'unit_price',
  'price_unit',
  'list',
  'amount',
  'free_quantity',
  'currency',
] as const
export type BillColumn = (typeof BILL_COLUMNS)[number]

/** A cell that holds several things: the n-th part of it, from 1. */
export interface CellPart {
  readonly separator: string
  readonly part: number
}

/** How a vendor's export is read. Only `time`, `model` and `amount` must be there. */
export interface BillFormat {
  /** The pages that say so. */
  readonly source: string
  /** Names that a column's heading may have, the likeliest first. */
  readonly columns: Readonly<Partial<Record<BillColumn, readonly string[]>>>
  readonly modelPart?: CellPart
  readonly itemPart?: CellPart
  /** Whose days the bill goes by; an IANA name. */
  readonly timeZone: string
  /** Where no column says it. */
  readonly currency: string
  /** One character; absent: as the heading shows. */
  readonly delimiter?: string
  /** The bill's names of models → ours. */
  readonly models?: Readonly<Record<string, string>>
  readonly tolerance?: Tolerance
}

/** Native currency; a difference within the larger of both is none. */
export interface Tolerance {
  readonly absolute: Pico
  /** Millionths of what the bill says. */
  readonly relativeMicro: bigint
}

export type CauseKind =
  /** Their unit price is another one than ours. */
  | 'price'
  /** They count other quantities. */
  | 'tokens'
  | 'missing_theirs'
  | 'missing_ours'
  | 'free_quota'
  | 'discount'
  /** Their amounts end at some place. */
  | 'rounding'
  /** Negative lines of theirs. */
  | 'refund'
  /** We know no price. */
  | 'unpriced'
  /** The amounts differ, and the bill does not say by what. */
  | 'amount'

export interface Cause {
  readonly kind: CauseKind
  /** Signed: their part of the difference. */
  readonly amount: Pico
  readonly item: string | null
  /** Price, quantity or share on both sides, in words of the bill; null: there is none. */
  readonly theirs: string | null
  readonly ours: string | null
  /** Up to some; `requestCount` is how many there are. */
  readonly requests: readonly string[]
  readonly requestCount: number
}

export interface BillDifference {
  /** The vendor's id of a request; null: a model's period. */
  readonly request: string | null
  readonly model: string
  /** `YYYY-MM-DD`, or `YYYY-MM` where the bill knows no days. */
  readonly period: string
  readonly theirs: Pico
  readonly ours: Pico
  readonly difference: Pico
  readonly isWithin: boolean
  readonly causes: readonly Cause[]
}

/** The same cause over several differences. */
export interface Finding extends Omit<Cause, 'requests' | 'requestCount'> {
  readonly model: string
  readonly since: string
  readonly until: string
  readonly count: number
}

export interface Reconciliation {
  readonly provider: string
  readonly currency: string
  readonly joinedBy: 'request' | 'model and day' | 'model and month'
  readonly timeZone: string
  readonly fromMs: number
  readonly toMs: number
  readonly tolerance: Tolerance
  /** The last place of the bill's amounts: what each line may be off by. */
  readonly roundingPlace: Pico
  readonly lines: number
  /** Sums at the end of the table, and lines outside of the span that was asked for. */
  readonly skippedLines: number
  readonly attempts: number
  readonly theirs: Pico
  readonly ours: Pico
  readonly difference: Pico
  /** Largest first, within bounds; all of them are counted. */
  readonly differences: readonly BillDifference[]
  readonly exceeding: number
  readonly within: number
  readonly findings: readonly Finding[]
}

export interface ReconcileAsk {
  /** A name under `providers:`. */
  readonly provider: string
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Half-open; null: the days of the bill. */
  readonly fromMs: number | null
  readonly toMs: number | null
  /** Over what the configuration says; null: that. */
  readonly tolerance: Tolerance | null
}

/** @throws BillError */
export type Reconcile = (ask: ReconcileAsk, onProgress: ReportProgress) => Promise<Reconciliation>

/** A bill that cannot be read, by its line and column (from 1; null: no single one). */
export class BillError extends Error {
  readonly line: number | null
  readonly column: number | null

  constructor(message: string, line: number | null = null, column: number | null = null) {
    const place = line === null ? '' : column === null ? `line ${line}: ` : `line ${line}, column ${column}: `
    super(place + message)
    this.name = 'BillError'
    this.line = line
    this.column = column
  }
}
