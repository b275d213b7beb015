// Hours of the week in which other prices hold, on the vendor's wall clock.

import type { PriceTimeBand } from '#core/price.ts'
import { type Zone, zoneOf } from '#core/zones.ts'
import { holdsAt, parseDay, parseValidity, type Validity } from './instants.ts'

export interface BandHours {
  readonly validity: Validity
  readonly zone: Zone
  readonly days: PriceTimeBand['days']
  /** Included. */
  readonly startMinute: number
  /** Excluded; before the start: on the next day. */
  readonly endMinute: number
  /** Days since 1970-01-01 of the vendor's calendar; null: none. */
  readonly exceptDays: ReadonlySet<number> | null
}

const TIME_OF_DAY = /^([01]\d|2[0-3]):([0-5]\d)$/

/** @throws RangeError when a time, a date or the zone cannot be read. */
export function parseHours(band: Omit<PriceTimeBand, 'tiers'>): BandHours {
  return {
    validity: parseValidity(band.effective_from, band.effective_to),
    zone: zoneOf(band.timezone),
    days: band.days,
    startMinute: parseMinute(band.start),
    endMinute: parseMinute(band.end),
    exceptDays: band.except_dates === undefined ? null : new Set(band.except_dates.map(parseDay)),
  }
}

function parseMinute(text: string): number {
  const match = TIME_OF_DAY.exec(text)
  if (match === null) throw new RangeError(`"${text}" is no time of day`)
  return Number(match[1]) * 60 + Number(match[2])
}

/**
 * Whether an instant lies inside. A window that wraps past midnight belongs to the day it starts on: "mon-fri
 * 22:00 to 06:00" ends on Saturday morning and leaves out the small hours of Monday, as vendors' tables and people
 * mean a night.
 */
export function isWithin(hours: BandHours, atMs: number): boolean {
  if (!holdsAt(hours.validity, atMs)) return false
  const { startMinute, endMinute } = hours
  const { weekday, minuteOfDay, day } = hours.zone(atMs)
  if (startMinute < endMinute) {
    return startMinute <= minuteOfDay && minuteOfDay < endMinute && isDay(hours, weekday, day)
  }
  if (minuteOfDay >= startMinute) return isDay(hours, weekday, day)
  return minuteOfDay < endMinute && isDay(hours, (weekday + 6) % 7, day - 1)
}

function isDay({ days, exceptDays }: BandHours, weekday: number, day: number): boolean {
  if (exceptDays?.has(day) === true) return false
  if (days === 'all') return true
  const isWeekend = weekday === 0 || weekday === 6
  return days === 'sat-sun' ? isWeekend : !isWeekend
}
