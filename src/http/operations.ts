// Probes and metrics.

import type { Hono } from 'hono'
import { type AccessOptions, requireMetricsReader } from './access.ts'

export interface OperationsOptions extends AccessOptions {
  /** False while starting and while draining. */
  readonly isReady: () => boolean
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

export function operationRoutes(app: AnyApp, options: OperationsOptions): void {
  app.get('/livez', (context) => context.json({ status: 'ok' }))
  app.get('/readyz', (context) =>
    options.isReady() ? context.json({ status: 'ready' }) : context.json({ status: 'draining' }, 503),
  )
  app.get('/metrics', async (context) => {
    requireMetricsReader(context, options)
    const { metrics } = options.deps
    return context.body(await metrics.render(), 200, { 'content-type': metrics.contentType })
  })
}
