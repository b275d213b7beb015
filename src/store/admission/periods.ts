// Where the periods of budgets begin and end. Days, weeks and months are those of Asia/Shanghai, as in reports.

import type { BudgetPeriod } from '#core/admission.ts'
import { DAY_MS, dayStartMs } from '../usage-report.ts'

/** Half-open, epoch ms. */
export interface PeriodSpan {
  readonly startMs: number
  readonly endMs: number
}

/** Asia/Shanghai has had no daylight saving since 1991. */
const SHANGHAI_OFFSET_MS = 8 * 3_600_000
/** 1970-01-05, a Monday, in Shanghai. */
const FIRST_MONDAY_MS = 4 * DAY_MS - SHANGHAI_OFFSET_MS

const ALL_TIME: PeriodSpan = {
  startMs: Number.NEGATIVE_INFINITY,
  endMs: Number.POSITIVE_INFINITY,
}

/** The period around an instant; a rolling one ends at it. */
export function periodAt(period: BudgetPeriod, atMs: number): PeriodSpan {
  switch (period.kind) {
    case 'life':
      return ALL_TIME
    case 'rolling':
      return { startMs: atMs - period.lengthMs, endMs: atMs }
    case 'fixed':
      return stepAt(-SHANGHAI_OFFSET_MS, period.lengthMs, atMs)
    case 'calendar':
      return calendarAt(period.unit, atMs)
  }
}

function calendarAt(unit: 'day' | 'week' | 'month', atMs: number): PeriodSpan {
  if (unit === 'week') return stepAt(FIRST_MONDAY_MS, 7 * DAY_MS, atMs)
  if (unit === 'day') return { startMs: dayStartMs(atMs), endMs: dayStartMs(atMs) + DAY_MS }
  const local = new Date(atMs + SHANGHAI_OFFSET_MS)
  const year = local.getUTCFullYear()
  const month = local.getUTCMonth()
  return {
    startMs: Date.UTC(year, month, 1) - SHANGHAI_OFFSET_MS,
    endMs: Date.UTC(year, month + 1, 1) - SHANGHAI_OFFSET_MS,
  }
}

function stepAt(firstMs: number, lengthMs: number, atMs: number): PeriodSpan {
  const startMs = firstMs + Math.floor((atMs - firstMs) / lengthMs) * lengthMs
  return { startMs, endMs: startMs + lengthMs }
}

/** Equal for equal periods. */
export function periodText(period: BudgetPeriod): string {
  if (period.kind === 'calendar') return `calendar ${period.unit}`
  return period.kind === 'life' ? 'life' : `${period.kind} ${period.lengthMs}`
}
