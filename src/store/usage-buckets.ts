// Hours, days and months of a time zone, and where they begin within an hour of UTC, by which stores count.

import type { UsageQuery } from '#core/ledger.ts'
import {
  DEFAULT_TIME_ZONE,
  dayStartIn,
  hasWholeHours,
  hourStartIn,
  monthStartIn,
  startOfDayMs,
  zoneOf,
} from '#core/zones.ts'
import { dayStartMs, HOUR_MS, hourStartMs } from './usage-hours.ts'

/** Every zone's hours, days and months begin where a quarter of an hour does. */
export const QUARTER_MS = HOUR_MS / 4
/** Of buckets that are kept at hand: more than a year of quarters. */
const KNOWN_MAX = 50_000

/** Whether a query asks for the days that stores may have sums of. */
export function hasStoredDays({ timeZone }: UsageQuery): boolean {
  return timeZone === undefined || timeZone === DEFAULT_TIME_ZONE
}

/** The start of the bucket around an instant, epoch ms; null: the query has no buckets. */
export function bucketsOf(query: UsageQuery): (atMs: number) => number | null {
  const { bucket, timeZone = DEFAULT_TIME_ZONE } = query
  if (bucket === null) return () => null
  if (bucket === 'hour' && hasStoredDays(query)) return hourStartMs
  if (bucket === 'day' && hasStoredDays(query)) return dayStartMs
  const startIn = { hour: hourStartIn, day: dayStartIn, month: monthStartIn }[bucket]
  const known = new Map<number, number>()
  return (atMs) => {
    const quarter = Math.floor(atMs / QUARTER_MS)
    let startMs = known.get(quarter)
    if (startMs === undefined) {
      if (known.size >= KNOWN_MAX) known.clear()
      startMs = startIn(timeZone, quarter * QUARTER_MS)
      known.set(quarter, startMs)
    }
    return startMs
  }
}

/** Hours of UTC that lie in two buckets, ascending; `all`: any of them may. */
export function hoursInTwo(query: UsageQuery, fromMs: number, toMs: number): readonly number[] | 'all' {
  const { bucket, timeZone = DEFAULT_TIME_ZONE } = query
  if (bucket === null || hasStoredDays(query) || hasWholeHours(timeZone, fromMs, toMs)) return []
  if (bucket === 'hour') return 'all'
  const zone = zoneOf(timeZone)
  const bucketOf = bucketsOf(query)
  const hours: number[] = []
  for (let { day } = zone(fromMs); ; day++) {
    const startMs = startOfDayMs(zone, day)
    if (startMs >= toMs) return hours
    const hourMs = hourStartMs(startMs)
    const isWithin = hourMs !== startMs && hourMs + HOUR_MS > fromMs
    if (isWithin && bucketOf(hourMs) !== bucketOf(startMs)) hours.push(hourMs)
  }
}
