// Which hashes of counters a usage query needs: days where whole days are asked for, hours for the rest.

import type { UsageQuery } from '#core/ledger.ts'
import { DAY_MS, dayStartMs, hasStoredDays, outwardHours, rangeHolds } from '../usage-report.ts'
import { KEYS } from './keys.ts'

export interface CounterHash {
  readonly key: string
  readonly timeMs: number
}

/** `hoursMs`: the hours that have counters, ascending. */
export function hashesOf(query: UsageQuery, hoursMs: readonly number[]): readonly CounterHash[] {
  const range = outwardHours(query)
  const inRange = hoursMs.filter((hourMs) => rangeHolds(range, hourMs))
  const isByOtherDays = query.bucket !== null && !hasStoredDays(query)
  if (query.bucket === 'hour' || isByOtherDays) return inRange.map(hourHash)
  const hashes: CounterHash[] = []
  const daysMs = new Set<number>()
  for (const hourMs of inRange) {
    const dayMs = dayStartMs(hourMs)
    const isWholeDay =
      (range.fromMs === null || range.fromMs <= dayMs) &&
      (range.toMs === null || range.toMs >= dayMs + DAY_MS)
    if (isWholeDay) daysMs.add(dayMs)
    else hashes.push(hourHash(hourMs))
  }
  for (const dayMs of daysMs) hashes.push({ key: KEYS.day(dayMs), timeMs: dayMs })
  return hashes
}

function hourHash(hourMs: number): CounterHash {
  return { key: KEYS.hour(hourMs), timeMs: hourMs }
}
