// What goes from a journal to the store that instances share: rows of one epoch in order, and what became of them.

import type { LedgerBatch, LedgerRow, UsageTotals } from '#core/ledger.ts'
import type { ClosedMonth } from '#core/month-close.ts'
import type { BalanceMilli } from './balance-uses.ts'
import { parseEntry } from './sqlite/entry-text.ts'

/** What is counted of an ended attempt, or of an adjustment. */
export interface AttemptCount {
  readonly startedAtMs: number
  /** `seriesText` of it. */
  readonly series: string
  readonly user: string | null
  readonly totals: UsageTotals
  readonly balances: readonly BalanceMilli[]
}

/** A request with its attempts, as the journal keeps it. */
export interface EndedRequest {
  readonly id: string
  readonly timeMs: number
  /** `entryText` of it all. */
  readonly text: string
  readonly attempts: readonly AttemptCount[]
}

interface Place {
  readonly instance: string
  readonly epoch: number
  /** The row of this epoch before the first of these; 0: there is none. */
  readonly previous: number
  readonly firstSequence: number
  readonly last: number
}

/**
 * Whole requests, each of which takes one sequence for each attempt and one for itself; their attempts lie in
 * `SHIPPED_HOURS_MAX` hours. Or rows: adjustments, and what is left of a request of which some rows were taken.
 */
export type Shipment =
  | (Place & { readonly kind: 'requests'; readonly requests: readonly EndedRequest[] })
  | (Place & { readonly kind: 'rows'; readonly batch: LedgerBatch })

export const SHIPPED_HOURS_MAX = 2

/**
 * `closed`: months were closed that the sender does not know of; nothing was applied. `gap`: rows between `mark` and the shipment are missing there, or it has some of them; nothing was
 * applied.
 */
export type ShipOutcome =
  | { readonly kind: 'applied'; readonly life: string }
  | { readonly kind: 'gap'; readonly life: string; readonly mark: number }
  | { readonly kind: 'closed'; readonly life: string }
  | { readonly kind: 'unfounded' }

/** How far the store has the rows of an instance. */
export interface Standing {
  /** Names the store's content; another one after it was lost. null: nobody has begun it. */
  readonly life: string | null
  /** By epoch: the last row that was applied. */
  readonly marks: ReadonlyMap<number, number>
  readonly closed: ClosedMonths
}

/** Months that a store has closed, and a name for all of them: another one when there is one more. */
export interface ClosedMonths {
  readonly name: string
  /** Without what they came to. */
  readonly months: readonly ClosedMonth[]
}

/** Where instances ship to. All throw StoreUnavailableError when it does not answer in time. */
export interface ShipPort {
  /** `closes`: the name of the closed months that its rows go by; absent: none is closed. */
  ship(shipment: Shipment, closes?: string): Promise<ShipOutcome>
  /** Closes a month that the store has lost. */
  restoreMonth(month: ClosedMonth): Promise<void>
  standing(instance: string): Promise<Standing>
}

export function sessionName(instance: string, epoch: number): string {
  return `${instance}:${epoch}`
}

/** Its rows, one by one; they are read from their texts when somebody asks for them. */
export function batchOfShipment(shipment: Shipment): LedgerBatch {
  const { instance, epoch, firstSequence, last } = shipment
  if (shipment.kind === 'rows') return { ...shipment.batch, last }
  let rows: readonly LedgerRow[] | null = null
  return {
    instance,
    epoch,
    firstSequence,
    last,
    get rows() {
      rows ??= shipment.requests.flatMap(rowsOf)
      return rows
    },
  }
}

/** Its attempts, then itself. */
export function rowsOf({ id, timeMs, text }: EndedRequest): readonly LedgerRow[] {
  const { request, attempts } = parseEntry(id, timeMs, text)
  return [...attempts.map((row): LedgerRow => ({ kind: 'attempt', row })), { kind: 'request', row: request }]
}
