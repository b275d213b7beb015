// `POST /admin/v1/rerate`: what past attempts cost under the prices of now, and the adjustments that make it so.

import type { Hono } from 'hono'
import { formatNano, type Nano } from '#core/money.ts'
import type { PastFilter, Rerate, RerateAsk, RerateOutcome } from '#core/rerate.ts'
import { invalid } from '#settings/stored-keys.ts'
import { type AccessOptions, requireAdmin } from './access.ts'
import { readBody } from './admin-body.ts'
import { instantOf } from './admin-query.ts'
import type { WorkDesk } from './work-desk.ts'

export interface RerateRoutesOptions extends AccessOptions {
  readonly rerate: Rerate
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>
type Json = Readonly<Record<string, unknown>>

const NAMES = ['provider', 'model', 'target', 'key'] as const
const FIELDS = [...NAMES, 'from', 'to', 'prices', 'apply', 'author', 'reason']
const AUTHOR_CHARS_MAX = 200
const NOTE_CHARS_MAX = 1_000

export function rerateRoutes(app: AnyApp, desk: WorkDesk, options: RerateRoutesOptions): void {
  app.post('/admin/v1/rerate', async (context) => {
    requireAdmin(context, options)
    const ask = readAsk(await readBody(context), options.deps.live().settings.timeZone)
    return desk.ask(context, async (onProgress) => rerateJson(await options.rerate(ask, onProgress)))
  })
}

function readAsk(body: Json, timeZone: string): RerateAsk {
  for (const field of Object.keys(body))
    if (!FIELDS.includes(field)) throw invalid(field.slice(0, 100), 'an unknown field', FIELDS.join(', '))
  const apply = body['apply'] ?? false
  if (typeof apply !== 'boolean') throw invalid('apply', apply, 'true or false')
  const prices = body['prices'] ?? null
  if (typeof prices !== 'object' || Array.isArray(prices))
    throw invalid('prices', prices, 'entries by PROVIDER/MODEL, as under prices of the configuration')
  return {
    filter: readFilter(body, timeZone),
    apply,
    author: apply ? said(body, 'author', AUTHOR_CHARS_MAX) : '',
    note: apply ? said(body, 'reason', NOTE_CHARS_MAX) : '',
    prices: prices as RerateAsk['prices'],
  }
}

function readFilter(body: Json, timeZone: string): PastFilter {
  const name = (field: (typeof NAMES)[number]): string | null => {
    const value = body[field] ?? null
    if (value === null || (typeof value === 'string' && value !== '')) return value
    throw invalid(field, value, 'a name')
  }
  const instant = (field: string): number | null => {
    const value = body[field] ?? null
    if (value === null) return null
    if (typeof value !== 'string') throw invalid(field, value, 'an ISO 8601 date or instant')
    return instantOf(field, value, timeZone)
  }
  const filter = {
    fromMs: instant('from'),
    toMs: instant('to'),
    provider: name('provider'),
    model: name('model'),
    target: name('target'),
    key: name('key'),
  }
  if (filter.fromMs !== null && filter.toMs !== null && filter.fromMs >= filter.toMs)
    throw invalid('to', body['to'], 'an instant after `from`')
  return filter
}

function said(body: Json, field: string, charsMax: number): string {
  const value = body[field]
  if (typeof value === 'string' && value.trim() !== '' && value.length <= charsMax) return value
  throw invalid(
    field,
    value,
    `a text of 1 to ${charsMax} characters, since what is applied is said by whom and why`,
  )
}

export function rerateJson(outcome: RerateOutcome): Record<string, unknown> {
  const change = (oldNano: Nano, newNano: Nano) => ({
    old: formatNano(oldNano),
    new: formatNano(newNano),
    difference: formatNano((newNano - oldNano) as Nano),
  })
  return {
    applied: outcome.applied,
    partial: outcome.isPartial,
    attempts: outcome.attempts,
    changed: outcome.changed,
    first_priced: outcome.firstPriced,
    estimated: outcome.estimated,
    without_price: outcome.withoutPrice,
    unrated: outcome.unrated,
    ...change(outcome.oldNano, outcome.newNano),
    currency: outcome.currency,
    by_price: outcome.byPrice.map((one) => ({
      old_price: one.old,
      new_price: one.new,
      attempts: one.attempts,
      ...change(one.oldNano, one.newNano),
    })),
    by_day: outcome.byDay.map((one) => ({
      day: one.day,
      attempts: one.attempts,
      difference: formatNano(one.differenceNano),
    })),
  }
}
