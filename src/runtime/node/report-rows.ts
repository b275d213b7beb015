// Rows of a report between two threads: numbers in buffers that change hands, names as one text. As objects they cost
// the event loop ten times as much to take over.

import type { UsageRow, UsageTotals } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import type { Values } from '#core/tariff.ts'

export interface PackedRows {
  readonly groups: string
  /** Eight for each row, and its bucket or NaN. */
  readonly numbers: Float64Array<ArrayBuffer>
  /** Five for each row. */
  readonly amounts: BigInt64Array<ArrayBuffer>
  /** Of a report that has a valuation. */
  readonly values: readonly (Values | null)[] | null
}

const NUMBERS_EACH = 9
const AMOUNTS_EACH = 5

export function packRows(rows: readonly UsageRow[]): PackedRows {
  const numbers = new Float64Array(rows.length * NUMBERS_EACH)
  const amounts = new BigInt64Array(rows.length * AMOUNTS_EACH)
  for (const [index, row] of rows.entries()) {
    const { costNano, discountNano, freeQuotaNano, packageNano, adjustmentNano } = row
    amounts.set([costNano, discountNano, freeQuotaNano, packageNano, adjustmentNano], index * AMOUNTS_EACH)
    numbers.set(numbersOf(row), index * NUMBERS_EACH)
  }
  const hasValues = rows.some((row) => row.values !== undefined)
  return {
    groups: JSON.stringify(rows.map(({ group }) => group)),
    numbers,
    amounts,
    values: hasValues ? rows.map(({ values = null }) => values) : null,
  }
}

function numbersOf(row: UsageRow): readonly number[] {
  return [
    row.requests,
    row.attempts,
    row.inputTokens,
    row.cachedInputTokens,
    row.outputTokens,
    row.reasoningTokens,
    row.estimatedAttempts,
    row.unpricedAttempts,
    row.bucketMs ?? Number.NaN,
  ]
}

export function unpackRows({ groups, numbers, amounts, values }: PackedRows): UsageRow[] {
  const names = JSON.parse(groups) as string[][]
  return names.map((group, index) => {
    const at = index * NUMBERS_EACH
    const nano = (place: number): Nano => (amounts[index * AMOUNTS_EACH + place] ?? 0n) as Nano
    const bucketMs = numbers[at + 8] ?? Number.NaN
    const totals: UsageTotals = {
      requests: numbers[at] ?? 0,
      attempts: numbers[at + 1] ?? 0,
      inputTokens: numbers[at + 2] ?? 0,
      cachedInputTokens: numbers[at + 3] ?? 0,
      outputTokens: numbers[at + 4] ?? 0,
      reasoningTokens: numbers[at + 5] ?? 0,
      costNano: nano(0),
      estimatedAttempts: numbers[at + 6] ?? 0,
      unpricedAttempts: numbers[at + 7] ?? 0,
      discountNano: nano(1),
      freeQuotaNano: nano(2),
      packageNano: nano(3),
      adjustmentNano: nano(4),
      ...valuesAt(values, index),
    }
    return { ...totals, group, bucketMs: Number.isNaN(bucketMs) ? null : bucketMs }
  })
}

function valuesAt(values: PackedRows['values'], index: number): { readonly values?: Values } {
  const own = values?.[index] ?? null
  return own === null ? {} : { values: own }
}
