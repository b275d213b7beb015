// Counts and prices are checked when a row is queued: a row that SQLite refuses would hold up all others. And the
// small readers of columns.

import type { AdjustmentRow } from '#core/adjustments.ts'
import { amountsBetween } from '#core/amounts.ts'
import { assert } from '#core/assert.ts'
import type { AttemptRow, Cost, RequestRow, UsageTotals } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import type { SqlRow } from './driver.ts'

export function assertAttempt(row: AttemptRow): void {
  const usage = row.usage
  assert(
    isCount(row.attempt) &&
      row.attempt > 0 &&
      isCount(usage.inputTokens) &&
      isCount(usage.cachedInputTokens) &&
      isCount(usage.cacheWriteTokens) &&
      isCount(usage.outputTokens) &&
      isCount(usage.reasoningTokens) &&
      (row.estimateError === null ||
        (isCount(row.estimateError.inputTokens) &&
          isCount(row.estimateError.outputTokens) &&
          isCount(row.estimateError.gpuMs ?? 0))) &&
      isCount(row.startedAtMs) &&
      isCount(row.httpStatus) &&
      Number.isFinite(row.durationMs) &&
      (row.ttftMs === null || Number.isFinite(row.ttftMs)) &&
      (row.cost === null || hasAmounts(row.cost)),
    'numbers of an attempt row are counts',
  )
}

export function assertRequest(row: RequestRow): void {
  assert(
    isCount(row.timeMs) &&
      isCount(row.status) &&
      isCount(row.attempts) &&
      Number.isFinite(row.durationMs) &&
      (row.costNano === null || isAmount(row.costNano)),
    'numbers of a request row are counts',
  )
}

export function assertAdjustment(row: AdjustmentRow): void {
  assert(
    isCount(row.timeMs) &&
      isCount(row.bookedAtMs) &&
      (row.attempt === null || isCount(row.attempt)) &&
      isAmount(row.amountNano) &&
      isAmount(row.nativeNano),
    'numbers of an adjustment are instants and amounts',
  )
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function hasAmounts(cost: Cost): boolean {
  const { discountNano, freeQuotaNano, packageNano } = amountsBetween(cost)
  return [cost.amountNano, cost.nativeNano, discountNano, freeQuotaNano, packageNano].every(isAmount)
}

/** What a number holds exactly (nine million yuan), a thousandth of what 64 bits do, so that sums have room. */
const AMOUNT_NANO_MAX = 2n ** 53n - 1n

function isAmount(value: bigint): boolean {
  return value <= AMOUNT_NANO_MAX && value >= -AMOUNT_NANO_MAX
}

export function text(row: SqlRow, column: string): string {
  const value = row[column]
  assert(typeof value === 'string', `column ${column} is a text`)
  return value
}

export function number(row: SqlRow, column: string): number {
  const value = row[column]
  assert(typeof value === 'number', `column ${column} is a number`)
  return value
}

/** The counts of a counter; its amounts are read as text. */
export function totalsOfCounter(row: SqlRow): UsageTotals {
  return {
    requests: number(row, 'requests'),
    attempts: number(row, 'attempts'),
    inputTokens: number(row, 'input_tokens'),
    cachedInputTokens: number(row, 'cached_input_tokens'),
    outputTokens: number(row, 'output_tokens'),
    reasoningTokens: number(row, 'reasoning_tokens'),
    costNano: BigInt(text(row, 'cost_nano')) as Nano,
    estimatedAttempts: number(row, 'estimated_attempts'),
    unpricedAttempts: number(row, 'unpriced_attempts'),
    discountNano: BigInt(text(row, 'discount_nano')) as Nano,
    freeQuotaNano: BigInt(text(row, 'free_quota_nano')) as Nano,
    packageNano: BigInt(text(row, 'package_nano')) as Nano,
    adjustmentNano: BigInt(text(row, 'adjustment_nano')) as Nano,
  }
}
