// The admin API: usage and requests of the ledger, for operators; keys stand in admin-keys.ts.

import type { Context, Hono } from 'hono'
import { GatewayError } from '#core/errors.ts'
import type { LedgerStore, RequestPage, UsageGroup, UsageQuery } from '#core/ledger.ts'
import type { Log } from '#core/telemetry.ts'
import { scopesOf } from '#pipeline/scopes.ts'
import { requireAdmin } from './access.ts'
import { scopeJson } from './admin-budgets.ts'
import { attemptJson, csvOf, decisionJson, requestJson, usageColumns, usageJson } from './admin-json.ts'
import { type KeyRoutesOptions, keyRoutes } from './admin-keys.ts'
import { asked, bad, readLimit } from './admin-query.ts'

export interface AdminOptions extends KeyRoutesOptions {
  readonly store: LedgerStore
  readonly log: Log
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

export function adminRoutes(app: AnyApp, options: AdminOptions): void {
  keyRoutes(app, options)
  app.get('/admin/v1/usage', async (context) => {
    requireAdmin(context, options)
    const query = readUsageQuery(context)
    const { currency } = options.deps.live().settings
    const report = await asked(() => options.store.usage(query))
    const body = usageJson(report, query, currency)
    if (oneOf(context, 'format', ['json', 'csv'] as const) !== 'csv') return context.json(body)
    const table = csvOf(usageColumns(body, query), body.data)
    return context.body(table, 200, { 'content-type': 'text/csv; charset=utf-8' })
  })
  app.get('/admin/v1/budgets', (context) => {
    requireAdmin(context, options)
    const { admission, keys, live } = options.deps
    const { settings } = live()
    const after = context.req.query('cursor') ?? ''
    const ids = new Map(scopesOf(settings, keys).map((scope) => [scope.id, scope]))
    const sorted = [...ids.keys()].filter((id) => id > after).sort()
    const page = sorted.slice(0, readLimit(context)).flatMap((id) => ids.get(id) ?? [])
    return context.json({
      data: page.map((scope) => scopeJson(admission, scope, settings.currency)),
      next_cursor: page.length < sorted.length ? (page.at(-1)?.id ?? null) : null,
    })
  })
  app.get('/admin/v1/requests', async (context) => {
    requireAdmin(context, options)
    const limit = readLimit(context)
    const cursor = context.req.query('cursor') ?? null
    const page = await asked(() => pageOf(options.store, limit, cursor))
    return context.json({ data: page.rows.map((row) => requestJson(row)), next_cursor: page.nextCursor })
  })
  app.get('/admin/v1/requests/:id', async (context) => {
    requireAdmin(context, options)
    const id = context.req.param('id')
    const detail = await asked(() => options.store.request(id))
    if (detail === null)
      throw new GatewayError('not_found', `there is no request "${id.slice(0, 100)}"`, { param: 'id' })
    const { request, attempts } = detail
    return context.json({
      ...requestJson(request),
      attempts: attempts.map(attemptJson),
      decision: request.decision === null ? null : decisionJson(request.decision),
    })
  })
}

async function pageOf(store: LedgerStore, limit: number, cursor: string | null): Promise<RequestPage> {
  try {
    return await store.requests({ limit, cursor })
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new GatewayError('invalid_request', '`cursor` must be a `next_cursor` of this list', {
      param: 'cursor',
      cause,
    })
  }
}

function readUsageQuery(context: Context): UsageQuery {
  const groups = (context.req.query('group_by') ?? 'model').split(',').filter((group) => group !== '')
  return {
    groupBy: groups.map(readGroup),
    bucket: oneOf(context, 'bucket', ['hour', 'day'] as const),
    fromMs: readInstant(context, 'from'),
    toMs: readInstant(context, 'to'),
  }
}

function readGroup(group: string): UsageGroup {
  if (group === 'model' || group === 'key' || group === 'target' || /^tag:./.test(group))
    return group as UsageGroup
  throw bad('group_by', group, 'model, key, target or tag:NAME, separated by commas')
}

function readInstant(context: Context, name: string): number | null {
  const text = context.req.query(name)
  if (text === undefined) return null
  // A bare date means its beginning in the time zone of reports.
  const atMs = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00+08:00` : text)
  if (Number.isNaN(atMs)) throw bad(name, text, 'an ISO 8601 date or instant')
  return atMs
}

function oneOf<const T extends readonly string[]>(
  context: Context,
  name: string,
  allowed: T,
): T[number] | null {
  const text = context.req.query(name)
  if (text === undefined) return null
  if (!allowed.includes(text)) throw bad(name, text, allowed.join(' or '))
  return text
}
