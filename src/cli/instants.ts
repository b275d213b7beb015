// Instants as options say them.

import { startOfDayMs, zoneOf } from '#core/zones.ts'
import { UsageError } from './command.ts'

const DAY_MS = 24 * 60 * 60_000

/** A date means its start in the zone. @throws UsageError */
export function instantMs(name: string, text: string, timeZone: string): number {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) / DAY_MS : null
  const atMs = day === null || Number.isNaN(day) ? Date.parse(text) : startOfDayMs(zoneOf(timeZone), day)
  if (Number.isNaN(atMs)) throw new UsageError(`--${name}: "${text}" is neither a date nor an instant`)
  return atMs
}
