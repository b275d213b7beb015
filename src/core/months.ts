// Calendar months of the books.

import { startOfDayMs, zoneOf } from './zones.ts'

const DAY_MS = 24 * 60 * 60_000
const MONTH = /^(\d{4})-(0[1-9]|1[0-2])$/

/** `YYYY-MM-DD` around an instant. */
export function dayOf(timeZone: string, atMs: number): string {
  return new Date(zoneOf(timeZone)(atMs).day * DAY_MS).toISOString().slice(0, 10)
}

/** `YYYY-MM` around an instant. */
export function monthOf(timeZone: string, atMs: number): string {
  return dayOf(timeZone, atMs).slice(0, 7)
}

/** The first instant of a month; null: the text is none. */
export function startOfMonthMs(timeZone: string, month: string): number | null {
  const [, year, number] = MONTH.exec(month) ?? []
  if (year === undefined) return null
  return startOfDayMs(zoneOf(timeZone), Date.UTC(Number(year), Number(number) - 1, 1) / DAY_MS)
}

export interface Booking {
  readonly bookedAtMs: number
  readonly month: string
}

/**
 * Where a correction counts: at the instant of what it corrects while that month is open, else now. A closed month
 * never changes.
 */
export function bookingOf(
  correctedAtMs: number,
  nowMs: number,
  timeZone: string,
  isClosed: (month: string) => boolean,
): Booking {
  const month = monthOf(timeZone, correctedAtMs)
  if (!isClosed(month)) return { bookedAtMs: correctedAtMs, month }
  return { bookedAtMs: nowMs, month: monthOf(timeZone, nowMs) }
}
