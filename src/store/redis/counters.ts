// Counters ↔ fields of the hashes of hours and days. Which hashes a query needs stands in usage.ts.

import type { LedgerRow, UsageTotals } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import {
  addTotals,
  listOfTotals,
  NO_TOTALS,
  parseSeries,
  type Series,
  totalsOf,
  totalsOfAdjustment,
  withoutMoney,
} from '../usage-report.ts'

/** Field prefixes in the order in which apply-10.lua takes the counts. Must equal MEASURES there. */
export const MEASURES = 'qaihorceudfpj'

/** The counts of a row, as the script takes them. */
export function countTexts(entry: Exclude<LedgerRow, { readonly kind: 'request' }>): readonly string[] {
  const counted = entry.kind === 'attempt' ? totalsOf(entry.row) : totalsOfAdjustment(entry.row)
  const isLate = entry.kind === 'attempt' && entry.lateAtMs !== undefined
  const totals = isLate ? withoutMoney(counted) : counted
  return listOfTotals(totals).map(String)
}

/** Reads one hash of counters. */
export function parseCounters(
  fields: Readonly<Record<string, string>>,
): { readonly series: Series; readonly totals: UsageTotals }[] {
  const bySeries = new Map<string, UsageTotals>()
  for (const [field, value] of Object.entries(fields)) {
    const name = field.slice(1)
    const totals = addTotals(bySeries.get(name) ?? NO_TOTALS, oneMeasure(field.charAt(0), value))
    bySeries.set(name, totals)
  }
  return [...bySeries].map(([name, totals]) => ({ series: parseSeries(name), totals }))
}

function oneMeasure(measure: string, value: string): UsageTotals {
  switch (measure) {
    case 'q':
      return { ...NO_TOTALS, requests: Number(value) }
    case 'a':
      return { ...NO_TOTALS, attempts: Number(value) }
    case 'i':
      return { ...NO_TOTALS, inputTokens: Number(value) }
    case 'h':
      return { ...NO_TOTALS, cachedInputTokens: Number(value) }
    case 'o':
      return { ...NO_TOTALS, outputTokens: Number(value) }
    case 'r':
      return { ...NO_TOTALS, reasoningTokens: Number(value) }
    case 'c':
      return { ...NO_TOTALS, costNano: BigInt(value) as Nano }
    case 'e':
      return { ...NO_TOTALS, estimatedAttempts: Number(value) }
    case 'u':
      return { ...NO_TOTALS, unpricedAttempts: Number(value) }
    case 'd':
      return { ...NO_TOTALS, discountNano: BigInt(value) as Nano }
    case 'f':
      return { ...NO_TOTALS, freeQuotaNano: BigInt(value) as Nano }
    case 'p':
      return { ...NO_TOTALS, packageNano: BigInt(value) as Nano }
    case 'j':
      return { ...NO_TOTALS, adjustmentNano: BigInt(value) as Nano }
    default:
      // A newer version may count more.
      return NO_TOTALS
  }
}
