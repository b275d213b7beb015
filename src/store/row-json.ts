// Ledger rows as JSON text, for files and streams. Money is a string there, as JSON numbers lose digits.

import type { AdjustmentRow } from '#core/adjustments.ts'
import { assert } from '#core/assert.ts'
import { decisionText, UNREASONED } from '#core/decision.ts'
import type { AttemptRow, Cost, LedgerRow, RequestRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'

/** One row, with the names of its fields. */
export function rowText(entry: LedgerRow): string {
  if (entry.kind === 'adjustment') return adjustmentText(entry.row)
  return entry.kind === 'attempt' ? attemptText(entry.row) : requestText(entry.row)
}

/** What is still open has no place outside of its journal. */
export function assertFinal(entry: LedgerRow): void {
  assert(entry.kind === 'adjustment' || entry.row.outcome !== 'open', 'only final rows are applied')
}

function requestText(row: RequestRow): string {
  const { decision, costNano, durationMs, ...rest } = row
  const text = JSON.stringify({
    ...rest,
    costNano: costNano === null ? null : costNano.toString(),
    durationMs: Math.round(durationMs),
  })
  return `${text.slice(0, -1)},"decision":${decisionText(decision)}}`
}

function attemptText(row: AttemptRow): string {
  return JSON.stringify({
    ...row,
    cost: row.cost === null ? null : costJson(row.cost),
    ttftMs: row.ttftMs === null ? null : Math.round(row.ttftMs),
    durationMs: Math.round(row.durationMs),
  })
}

function costJson(cost: Cost): Readonly<Record<string, unknown>> {
  return {
    amountNano: cost.amountNano.toString(),
    currency: cost.currency,
    nativeNano: cost.nativeNano.toString(),
    nativeCurrency: cost.nativeCurrency,
    lines: cost.lines,
    priceVersion: cost.priceVersion,
  }
}

export function adjustmentText(row: AdjustmentRow): string {
  const { amountNano, nativeNano } = row
  return JSON.stringify({ ...row, amountNano: amountNano.toString(), nativeNano: nativeNano.toString() })
}

type AdjustmentJson = Omit<AdjustmentRow, 'amountNano' | 'nativeNano'> & {
  readonly amountNano: string
  readonly nativeNano: string
}

/** Reads what `rowText` wrote. */
export function parseAdjustment(text: string): AdjustmentRow {
  const row = JSON.parse(text) as AdjustmentJson
  return { ...row, amountNano: BigInt(row.amountNano) as Nano, nativeNano: BigInt(row.nativeNano) as Nano }
}

type AttemptJson = Omit<AttemptRow, 'cost'> & { readonly cost: CostJson | null }
type CostJson = Omit<Cost, 'amountNano' | 'nativeNano'> & {
  readonly amountNano: string
  readonly nativeNano: string
}
type RequestJson = Omit<RequestRow, 'costNano'> & { readonly costNano: string | null }

/** Reads what `rowText` wrote. */
export function parseAttempt(text: string): AttemptRow {
  return attemptOf(JSON.parse(text) as AttemptJson)
}

/** Reads what `rowText` wrote. */
export function parseRequest(text: string): RequestRow {
  return requestOf(JSON.parse(text) as RequestJson)
}

/** Rows of before they were said have neither a bound nor a doubt. */
const UNSAID = { estimateError: null, usageDoubt: null }

function attemptOf(row: AttemptJson): AttemptRow {
  // Rows of before `user` was kept have none.
  const user = row.user ?? null
  if (row.cost === null) return { ...UNSAID, ...row, user, cost: null }
  const { amountNano, nativeNano, ...rest } = row.cost
  return {
    ...UNSAID,
    ...row,
    user,
    cost: { ...rest, amountNano: BigInt(amountNano) as Nano, nativeNano: BigInt(nativeNano) as Nano },
  }
}

function requestOf(row: RequestJson): RequestRow {
  const costNano = row.costNano === null ? null : (BigInt(row.costNano) as Nano)
  const decision = row.decision === null ? null : { ...UNREASONED, ...row.decision }
  return { ...row, user: row.user ?? null, costNano, decision }
}
