// Ledger rows as JSON text in the stream. Money is a string there, as JSON numbers lose digits.

import type { AttemptRow, LedgerRow, RequestRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'

export function rowText(entry: LedgerRow): string {
  return entry.kind === 'attempt' ? attemptText(entry.row) : requestText(entry.row)
}

function attemptText(row: AttemptRow): string {
  const cost =
    row.cost === null
      ? null
      : { ...row.cost, amountNano: String(row.cost.amountNano), nativeNano: String(row.cost.nativeNano) }
  return JSON.stringify({ ...row, ...wholeDurations(row), cost })
}

function requestText(row: RequestRow): string {
  const costNano = row.costNano === null ? null : String(row.costNano)
  return JSON.stringify({ ...row, durationMs: Math.round(row.durationMs), costNano })
}

/** All stores keep durations in whole milliseconds. */
function wholeDurations(row: AttemptRow): { readonly ttftMs: number | null; readonly durationMs: number } {
  return {
    ttftMs: row.ttftMs === null ? null : Math.round(row.ttftMs),
    durationMs: Math.round(row.durationMs),
  }
}

/** Reads what `rowText` wrote. */
export function parseAttempt(text: string): AttemptRow {
  const row = JSON.parse(text) as Omit<AttemptRow, 'cost'> & { readonly cost: CostText | null }
  if (row.cost === null) return { ...row, cost: null }
  const { amountNano, nativeNano, ...rest } = row.cost
  return {
    ...row,
    cost: { ...rest, amountNano: BigInt(amountNano) as Nano, nativeNano: BigInt(nativeNano) as Nano },
  }
}

/** Reads what `rowText` wrote. */
export function parseRequest(text: string): RequestRow {
  const row = JSON.parse(text) as Omit<RequestRow, 'costNano'> & { readonly costNano: string | null }
  return { ...row, costNano: row.costNano === null ? null : (BigInt(row.costNano) as Nano) }
}

type CostText = Omit<NonNullable<AttemptRow['cost']>, 'amountNano' | 'nativeNano'> & {
  readonly amountNano: string
  readonly nativeNano: string
}
