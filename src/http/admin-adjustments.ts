// /admin/v1/adjustments: corrections of booked money, listed and made by hand. Those of whole price lists and bills are
// made by rerate and reconcile.

import type { Context, Hono } from 'hono'
import {
  ADJUSTMENT_REASONS,
  type AdjustmentFilter,
  type AdjustmentReason,
  type AdjustmentRow,
  type Corrections,
  ofAttempt,
} from '#core/adjustments.ts'
import { GatewayError } from '#core/errors.ts'
import type { AttemptRow, LedgerStore } from '#core/ledger.ts'
import { formatNano, type Nano, parseDecimal } from '#core/money.ts'
import { bookingOf, startOfMonthMs } from '#core/months.ts'
import { startOfDayMs, zoneOf } from '#core/zones.ts'
import { invalid } from '#settings/stored-keys.ts'
import { type AccessOptions, requireAdmin } from './access.ts'
import { readBody } from './admin-body.ts'
import { asked, badParameter, oneOf, readLimit } from './admin-query.ts'

export interface AdjustmentRoutesOptions extends AccessOptions {
  readonly store: LedgerStore
  readonly corrections: Corrections
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>
type Json = Readonly<Record<string, unknown>>

const FIELDS = ['id', 'request', 'attempt', 'target', 'day', 'amount', 'native', 'reason', 'author', 'note']
const DAY_MS = 24 * 60 * 60_000
/** What a row holds exactly. */
const AMOUNT_NANO_MAX = 2n ** 53n - 1n
const ID_CHARS_MAX = 200
const NOTE_CHARS_MAX = 1_000

export function adjustmentRoutes(app: AnyApp, options: AdjustmentRoutesOptions): void {
  const { deps, store, corrections } = options
  app.get('/admin/v1/adjustments', async (context) => {
    requireAdmin(context, options)
    const query = {
      limit: readLimit(context),
      cursor: context.req.query('cursor') ?? null,
      filter: readFilter(context),
    }
    const page = await asked(async () => {
      try {
        return await store.adjustments(query)
      } catch (cause) {
        if (!(cause instanceof RangeError)) throw cause
        throw badParameter('cursor', query.cursor ?? '', 'a `next_cursor` of this list')
      }
    })
    return context.json({ data: page.rows.map(adjustmentJson), next_cursor: page.nextCursor })
  })
  app.post('/admin/v1/adjustments', async (context) => {
    requireAdmin(context, options)
    const body = await readBody(context)
    const { settings } = deps.live()
    const nowMs = deps.clock.nowMs()
    const input = readInput(body, settings.currency)
    const id = input.id ?? deps.random.requestId().replace(/^req_/, 'adj_')
    const what = await asked(() => corrected(store, body, settings.timeZone))
    const closed = await asked(() => corrections.closedMonths())
    const booking = bookingOf(what.atMs, nowMs, settings.timeZone, (month) => closed.has(month))
    const row: AdjustmentRow = {
      ...input,
      id,
      timeMs: nowMs,
      ...booking,
      ...what.fields,
      currency: settings.currency,
      priceVersionNew: null,
    }
    const isNew = (await asked(() => corrections.adjust([row]))) > 0
    return context.json({ ...adjustmentJson(row), created: isNew }, isNew ? 201 : 200)
  })
}

export function adjustmentJson(row: AdjustmentRow): Record<string, unknown> {
  return {
    id: row.id,
    time: new Date(row.timeMs).toISOString(),
    month: row.month,
    booked_at: new Date(row.bookedAtMs).toISOString(),
    request: row.requestId,
    attempt: row.attempt,
    day: row.day,
    key: row.key,
    team: row.tags['team'] ?? null,
    user: row.user,
    tags: row.tags,
    model: row.model,
    target: row.target,
    amount: formatNano(row.amountNano),
    currency: row.currency,
    native: { amount: formatNano(row.nativeNano), currency: row.nativeCurrency },
    reason: row.reason,
    author: row.author,
    note: row.note,
    price_version: { old: row.priceVersionOld, new: row.priceVersionNew },
  }
}

function readFilter(context: Context): AdjustmentFilter {
  const month = context.req.query('month') ?? null
  if (month !== null && startOfMonthMs('UTC', month) === null)
    throw badParameter('month', month, 'a month such as 2026-10')
  return {
    requestId: context.req.query('request') ?? null,
    month,
    reason: oneOf(context, 'reason', ADJUSTMENT_REASONS),
    target: context.req.query('target') ?? null,
  }
}

interface Input {
  readonly id: string | null
  readonly amountNano: Nano
  readonly nativeNano: Nano
  readonly nativeCurrency: string
  readonly reason: AdjustmentReason
  readonly author: string
  readonly note: string
}

function readInput(body: Json, currency: string): Input {
  for (const field of Object.keys(body))
    if (!FIELDS.includes(field)) throw invalid(field.slice(0, 100), 'an unknown field', FIELDS.join(', '))
  const amountNano = readAmount('amount', body['amount'])
  if (amountNano === 0n) throw invalid('amount', '0', 'an amount that changes something')
  const reason = ADJUSTMENT_REASONS.find((known) => known === (body['reason'] ?? 'manual'))
  if (reason === undefined) throw invalid('reason', body['reason'], ADJUSTMENT_REASONS.join(', '))
  return {
    id: body['id'] === undefined || body['id'] === null ? null : readText('id', body['id'], ID_CHARS_MAX),
    amountNano,
    ...readNative(body['native'], amountNano, currency),
    reason,
    author: readText('author', body['author'], ID_CHARS_MAX),
    note: readText('note', body['note'], NOTE_CHARS_MAX),
  }
}

function readNative(
  native: unknown,
  amountNano: Nano,
  currency: string,
): Pick<Input, 'nativeNano' | 'nativeCurrency'> {
  if (native === undefined || native === null) return { nativeNano: amountNano, nativeCurrency: currency }
  if (typeof native !== 'object' || Array.isArray(native))
    throw invalid('native', native, '{"amount": "-0.5", "currency": "USD"}')
  const { amount, currency: nativeCurrency } = native as Json
  if (typeof nativeCurrency !== 'string' || !/^[A-Z]{3}$/.test(nativeCurrency))
    throw invalid('native.currency', nativeCurrency, 'three letters such as USD')
  return { nativeNano: readAmount('native.amount', amount), nativeCurrency }
}

function readAmount(field: string, value: unknown): Nano {
  const right = 'a decimal string of up to nine places such as "-0.5", within nine million'
  if (typeof value !== 'string') throw invalid(field, value, right)
  let nano: bigint
  try {
    nano = parseDecimal(value, 9)
  } catch {
    throw invalid(field, value.slice(0, 100), right)
  }
  if (nano > AMOUNT_NANO_MAX || nano < -AMOUNT_NANO_MAX) throw invalid(field, value, right)
  return nano as Nano
}

function readText(field: string, value: unknown, charsMax: number): string {
  if (typeof value === 'string' && value.trim() !== '' && value.length <= charsMax && !hasControls(value))
    return value
  throw invalid(field, value, `a text of 1 to ${charsMax} characters`)
}

function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text)
}

/** What an adjustment is about, and when that was. */
interface Corrected {
  readonly atMs: number
  readonly fields: Pick<
    AdjustmentRow,
    'requestId' | 'attempt' | 'day' | 'key' | 'tags' | 'user' | 'model' | 'target' | 'priceVersionOld'
  >
}

/** @throws GatewayError when it names neither an attempt that there is nor a day of a target */
async function corrected(store: LedgerStore, body: Json, timeZone: string): Promise<Corrected> {
  const { request, attempt, target, day } = body
  if (request !== undefined && request !== null) {
    for (const field of ['target', 'day'])
      if (body[field] !== undefined && body[field] !== null)
        throw invalid(field, body[field], 'nothing, beside `request`: the attempt says it')
    return attemptCorrected(await attemptOf(store, request, attempt))
  }
  if (typeof target !== 'string' || !/^[^/\s]+\/\S+$/.test(target))
    throw invalid('target', target, 'PROVIDER/MODEL with a `day`, or a `request`')
  if (attempt !== undefined && attempt !== null)
    throw invalid('attempt', attempt, 'nothing without `request`')
  if (typeof day !== 'string' || !isDay(day)) throw invalid('day', day, 'a day such as 2026-10-31')
  return {
    atMs: startOfDayMs(zoneOf(timeZone), Date.parse(day) / DAY_MS),
    fields: {
      requestId: null,
      attempt: null,
      day,
      key: '',
      tags: {},
      user: null,
      model: '',
      target,
      priceVersionOld: null,
    },
  }
}

/** There is no 30 February, whatever `Date` makes of it. */
function isDay(text: string): boolean {
  const atMs = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : Number.NaN
  return !Number.isNaN(atMs) && new Date(atMs).toISOString().startsWith(text)
}

async function attemptOf(store: LedgerStore, request: unknown, attempt: unknown): Promise<AttemptRow> {
  const found = typeof request === 'string' ? await store.request(request) : null
  if (found === null)
    throw new GatewayError('not_found', `there is no request "${String(request).slice(0, 100)}"`, {
      param: 'request',
    })
  const ended = found.attempts.filter(({ outcome }) => outcome !== 'open')
  const [only] = ended
  const row =
    attempt === undefined || attempt === null
      ? ended.length === 1
        ? only
        : undefined
      : ended.find((known) => known.attempt === attempt)
  if (row === undefined)
    throw invalid('attempt', attempt, `one of its ended attempts (${ended.map((one) => one.attempt)})`)
  return row
}

function attemptCorrected(row: AttemptRow): Corrected {
  return {
    atMs: row.startedAtMs,
    fields: { ...ofAttempt(row), priceVersionOld: row.cost?.priceVersion ?? null },
  }
}
