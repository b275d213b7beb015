// What the routes of the admin API read alike: query parameters, and a store that may not answer.

import type { Context } from 'hono'
import { GatewayError } from '#core/errors.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import { startOfMonthMs } from '#core/months.ts'
import { startOfDayMs, zoneOf } from '#core/zones.ts'

const DAY_MS = 24 * 60 * 60_000
/** Rows of a page where nobody says how many. */
const PAGE_ROWS = 100

/** A store that does not answer is our 503, never an empty report. */
export async function asked<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    // A TypeError is a mistake of ours, not a store's silence.
    if (cause instanceof GatewayError || cause instanceof TypeError) throw cause
    throw new GatewayError('store_unavailable', 'the store does not answer', { cause, retryAfterMs: 1000 })
  }
}

/** @throws GatewayError */
export function readInstant(context: Context, name: string, timeZone: string): number | null {
  const text = context.req.query(name)
  return text === undefined ? null : instantOf(name, text, timeZone)
}

/** @throws GatewayError */
export function instantOf(name: string, text: string, timeZone: string): number {
  // A bare date or month means its beginning in the time zone of reports.
  const monthMs = startOfMonthMs(timeZone, text)
  if (monthMs !== null) return monthMs
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) / DAY_MS : null
  const atMs = day === null || Number.isNaN(day) ? Date.parse(text) : startOfDayMs(zoneOf(timeZone), day)
  if (Number.isNaN(atMs)) throw badParameter(name, text, 'an ISO 8601 month, date or instant')
  return atMs
}

/** @throws GatewayError */
export function readLimit(context: Context, absent = PAGE_ROWS): number {
  const text = context.req.query('limit')
  if (text === undefined) return absent
  const limit = Number(text)
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_ROWS_MAX)
    throw badParameter('limit', text, `1 to ${PAGE_ROWS_MAX}`)
  return limit
}

/** @throws GatewayError */
export function oneOf<const T extends readonly string[]>(
  context: Context,
  name: string,
  allowed: T,
): T[number] | null {
  const text = context.req.query(name)
  if (text === undefined) return null
  if (!allowed.includes(text)) throw badParameter(name, text, allowed.join(' or '))
  return text
}

export function badParameter(param: string, found: string, right: string): GatewayError {
  return new GatewayError(
    'invalid_request',
    `\`${param}\` must be ${right}; found "${found.slice(0, 100)}"`,
    { param },
  )
}
