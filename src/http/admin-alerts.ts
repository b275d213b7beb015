// /admin/v1/alerts: what was told of budgets.

import type { Hono } from 'hono'
import { alertJson } from '#core/alert-json.ts'
import type { AlertBook, FleetAlerts } from '#core/alerts.ts'
import { type AccessOptions, requireAdmin } from './access.ts'
import { asked, badParameter, readLimit } from './admin-query.ts'

export interface AlertOptions extends AccessOptions {
  readonly alerts: Pick<AlertBook | FleetAlerts, 'list'>
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

export function alertRoutes(app: AnyApp, options: AlertOptions): void {
  app.get('/admin/v1/alerts', async (context) => {
    requireAdmin(context, options)
    const { currency } = options.deps.live().settings
    const limit = readLimit(context)
    const cursor = context.req.query('cursor') ?? null
    const { rows, nextCursor } = await asked(async () => {
      try {
        return await options.alerts.list(limit, cursor)
      } catch (cause) {
        if (!(cause instanceof RangeError)) throw cause
        throw badParameter('cursor', cursor ?? '', 'a `next_cursor` of this list')
      }
    })
    return context.json({
      data: rows.map((alert) => ({
        ...alertJson(alert, currency),
        delivered_at: alert.deliveredAtMs === null ? null : new Date(alert.deliveredAtMs).toISOString(),
      })),
      next_cursor: nextCursor,
    })
  })
}
