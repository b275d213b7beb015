// Where the periods of budgets begin and end. Days, weeks and months are those of the books' time zone, as in reports.

import type { BudgetPeriod } from '#core/admission.ts'
import { DEFAULT_TIME_ZONE, startOfDayMs, type Zone, zoneOf } from '#core/zones.ts'
import { DAY_MS } from '../usage-report.ts'

/** Half-open, epoch ms. */
export interface PeriodSpan {
  readonly startMs: number
  readonly endMs: number
}

/** 1970-01-05, in days since 1970-01-01. */
const FIRST_MONDAY = 4

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
      return fixedAt(zoneOf(period.timeZone ?? DEFAULT_TIME_ZONE), period.lengthMs, atMs)
    case 'calendar':
      return calendarAt(zoneOf(period.timeZone ?? DEFAULT_TIME_ZONE), period.unit, atMs)
  }
}

/** Whole days are days of the calendar, of which one in spring has 23 hours and one in autumn 25. */
function fixedAt(zone: Zone, lengthMs: number, atMs: number): PeriodSpan {
  if (lengthMs % DAY_MS === 0) return daysAt(zone, 0, lengthMs / DAY_MS, atMs)
  const firstMs = startOfDayMs(zone, 0)
  const startMs = firstMs + Math.floor((atMs - firstMs) / lengthMs) * lengthMs
  return { startMs, endMs: startMs + lengthMs }
}

function calendarAt(zone: Zone, unit: 'day' | 'week' | 'month', atMs: number): PeriodSpan {
  if (unit === 'day') return daysAt(zone, 0, 1, atMs)
  if (unit === 'week') return daysAt(zone, FIRST_MONDAY, 7, atMs)
  const today = new Date(zone(atMs).day * DAY_MS)
  const firstOf = (month: number): number => Date.UTC(today.getUTCFullYear(), month, 1) / DAY_MS
  const month = today.getUTCMonth()
  return { startMs: startOfDayMs(zone, firstOf(month)), endMs: startOfDayMs(zone, firstOf(month + 1)) }
}

/** The span of `count` days around an instant, counted from a day. */
function daysAt(zone: Zone, first: number, count: number, atMs: number): PeriodSpan {
  const start = first + Math.floor((zone(atMs).day - first) / count) * count
  return { startMs: startOfDayMs(zone, start), endMs: startOfDayMs(zone, start + count) }
}

/** Equal for equal periods. */
export function periodText(period: BudgetPeriod): string {
  switch (period.kind) {
    case 'life':
      return 'life'
    case 'rolling':
      return `rolling ${period.lengthMs}`
    case 'fixed':
      return `fixed ${period.lengthMs}${zoneText(period.timeZone)}`
    case 'calendar':
      return `calendar ${period.unit}${zoneText(period.timeZone)}`
  }
}

function zoneText(timeZone: string = DEFAULT_TIME_ZONE): string {
  return timeZone === DEFAULT_TIME_ZONE ? '' : ` ${timeZone}`
}
