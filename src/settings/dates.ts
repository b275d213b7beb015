// Dates, spans of time and time zones as a configuration writes them.

import { isTimeZone } from '#core/zones.ts'
import { describe, type Path } from './problems.ts'
import type { Scope } from './scope.ts'

interface Dated {
  readonly effective_from?: string | undefined
  readonly effective_to?: string | undefined
}

/** Half-open, epoch ms; infinite where the file says nothing. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** Reports what is wrong with the dates of a part; null: something is. */
export function checkDates(scope: Scope, path: Path, dated: Dated): Span | null {
  const { effective_from: from, effective_to: to } = dated
  const fromMs =
    from === undefined ? Number.NEGATIVE_INFINITY : readDate(scope, [...path, 'effective_from'], from)
  const toMs = to === undefined ? Number.POSITIVE_INFINITY : readDate(scope, [...path, 'effective_to'], to)
  if (fromMs === null || toMs === null) return null
  if (fromMs < toMs) return { fromMs, toMs }
  scope.report.add([...path, 'effective_to'], {
    message: 'is not after effective_from',
    found: describe(to),
    allowed: `a date after ${from}`,
  })
  return null
}

/** A bare date is 00:00 in Shanghai, as in the price lists. */
export function readDate(scope: Scope, path: Path, text: string): number | null {
  const atMs = isDay(text) ? Date.parse(text.includes('T') ? text : `${text}T00:00:00+08:00`) : Number.NaN
  if (!Number.isNaN(atMs)) return atMs
  scope.report.add(path, { message: 'is no date', found: describe(text), allowed: 'a day of the calendar' })
  return null
}

/** Date.parse takes the 31st of February for the 3rd of March. */
function isDay(text: string): boolean {
  const [year = 0, month = 0, day = 0] = text.slice(0, 10).split('-').map(Number)
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day
}

export function checkTimeZone(scope: Scope, path: Path, name: string): void {
  if (isTimeZone(name)) return
  scope.report.add(path, {
    message: 'is no time zone',
    found: describe(name),
    allowed: 'an IANA name such as Asia/Shanghai',
  })
}
