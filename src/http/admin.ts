// The admin API: budgets and requests of the ledger, for operators. Usage stands in usage.ts, keys in admin-keys.ts.

import type { Context, Hono } from 'hono'
import { EVERY_ADJUSTMENT } from '#core/adjustments.ts'
import { GatewayError } from '#core/errors.ts'
import {
  type LedgerStore,
  REQUEST_OUTCOMES,
  type RequestFilter,
  type RequestPage,
  type RequestQuery,
} from '#core/ledger.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import type { Log } from '#core/telemetry.ts'
import { scopesOf } from '#pipeline/scopes.ts'
import { requireAdmin } from './access.ts'
import { type AdjustmentRoutesOptions, adjustmentJson, adjustmentRoutes } from './admin-adjustments.ts'
import { type AlertOptions, alertRoutes } from './admin-alerts.ts'
import { scopeJson } from './admin-budgets.ts'
import { attemptJson, decisionJson, requestJson } from './admin-json.ts'
import { type KeyRoutesOptions, keyRoutes } from './admin-keys.ts'
import { monthRoutes } from './admin-months.ts'
import { policyRoutes } from './admin-policies.ts'
import { asked, oneOf, readInstant, readLimit } from './admin-query.ts'
import { type ReconcileRoutesOptions, reconcileRoutes } from './admin-reconcile.ts'
import { type RerateRoutesOptions, rerateRoutes } from './admin-rerate.ts'
import { routingRoutes } from './admin-routing.ts'
import { usageRoutes } from './usage.ts'
import { WorkDesk } from './work-desk.ts'

export interface AdminOptions
  extends KeyRoutesOptions,
    AdjustmentRoutesOptions,
    AlertOptions,
    RerateRoutesOptions,
    ReconcileRoutesOptions {
  readonly store: LedgerStore
  readonly log: Log
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

export function adminRoutes(app: AnyApp, options: AdminOptions): void {
  keyRoutes(app, options)
  usageRoutes(app, options)
  monthRoutes(app, options)
  alertRoutes(app, options)
  routingRoutes(app, options)
  policyRoutes(app, options)
  adjustmentRoutes(app, options)
  const desk = new WorkDesk(options.deps)
  rerateRoutes(app, desk, options)
  reconcileRoutes(app, desk, options)
  app.get('/admin/v1/jobs/:id', (context) => {
    requireAdmin(context, options)
    return desk.find(context, context.req.param('id'))
  })
  app.get('/admin/v1/budgets', async (context) => {
    requireAdmin(context, options)
    const { admission, keys, live } = options.deps
    const { settings } = live()
    const after = context.req.query('cursor') ?? ''
    const ids = new Map(scopesOf(settings, keys).map((scope) => [scope.id, scope]))
    const sorted = [...ids.keys()].filter((id) => id > after).sort()
    const page = sorted.slice(0, readLimit(context)).flatMap((id) => ids.get(id) ?? [])
    await admission.refresh(page)
    return context.json({
      data: page.map((scope) => scopeJson(admission, scope, settings.currency)),
      next_cursor: page.length < sorted.length ? (page.at(-1)?.id ?? null) : null,
    })
  })
  app.get('/admin/v1/requests', async (context) => {
    requireAdmin(context, options)
    const limit = readLimit(context)
    const cursor = context.req.query('cursor') ?? null
    const filter = readFilter(context, options.deps.live().settings.timeZone)
    const query = { limit, cursor, ...(filter === null ? {} : { filter }) }
    const page = await asked(() => pageOf(options.store, query))
    return context.json({
      data: page.rows.map((row) => requestJson(row)),
      next_cursor: page.nextCursor,
      ...(page.isPartial === true ? { partial: 'this instance only: the store does not answer' } : {}),
    })
  })
  app.get('/admin/v1/requests/:id', async (context) => {
    requireAdmin(context, options)
    const id = context.req.param('id')
    const detail = await asked(() => options.store.request(id))
    if (detail === null)
      throw new GatewayError('not_found', `there is no request "${id.slice(0, 100)}"`, { param: 'id' })
    const { request, attempts } = detail
    const filter = { ...EVERY_ADJUSTMENT, requestId: request.id }
    const adjusted = await asked(() =>
      options.store.adjustments({ limit: PAGE_ROWS_MAX, cursor: null, filter }),
    )
    return context.json({
      ...requestJson(request),
      attempts: attempts.map(attemptJson),
      adjustments: adjusted.rows.map(adjustmentJson),
      decision: request.decision === null ? null : decisionJson(request.decision),
    })
  })
}

async function pageOf(store: LedgerStore, query: RequestQuery): Promise<RequestPage> {
  try {
    return await store.requests(query)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new GatewayError('invalid_request', '`cursor` must be a `next_cursor` of this list', {
      param: 'cursor',
      cause,
    })
  }
}

/** null: all requests. */
function readFilter(context: Context, timeZone: string): RequestFilter | null {
  const filter = {
    key: context.req.query('key') ?? null,
    model: context.req.query('model') ?? null,
    target: context.req.query('target') ?? null,
    outcome: oneOf(context, 'outcome', REQUEST_OUTCOMES),
    fromMs: readInstant(context, 'from', timeZone),
    toMs: readInstant(context, 'to', timeZone),
  }
  return Object.values(filter).every((value) => value === null) ? null : filter
}
