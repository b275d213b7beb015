// What the routes of the admin API read alike: limits of lists, and a store that may not answer.

import type { Context } from 'hono'
import { GatewayError } from '#core/errors.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'

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

export function readLimit(context: Context): number {
  const text = context.req.query('limit')
  if (text === undefined) return PAGE_ROWS
  const limit = Number(text)
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_ROWS_MAX)
    throw bad('limit', text, `1 to ${PAGE_ROWS_MAX}`)
  return limit
}

export function bad(param: string, found: string, right: string): GatewayError {
  return new GatewayError(
    'invalid_request',
    `\`${param}\` must be ${right}; found "${found.slice(0, 100)}"`,
    { param },
  )
}
