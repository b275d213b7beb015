// Probes and metrics.

import type { Hono } from 'hono'
import { type AccessOptions, requireMetricsReader } from './access.ts'

export interface OperationsOptions extends AccessOptions {
  /** False while starting and while draining. */
  readonly isReady: () => boolean
  /** What keeps rows from the disk, in one word; `isFull`: no request is admitted for it. null: nothing does. */
  readonly storeTrouble?: () => { readonly fault: string; readonly isFull: boolean } | null
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

export function operationRoutes(app: AnyApp, options: OperationsOptions): void {
  app.get('/livez', (context) => context.json({ status: 'ok' }))
  app.get('/readyz', (context) => {
    if (!options.isReady()) return context.json({ status: 'draining' }, 503)
    const trouble = options.storeTrouble?.() ?? null
    if (trouble === null) return context.json({ status: 'ready' })
    const { fault, isFull } = trouble
    return isFull
      ? context.json({ status: 'store_unavailable', store: fault }, 503)
      : context.json({ status: 'ready', store: fault })
  })
  app.get('/metrics', async (context) => {
    requireMetricsReader(context, options)
    const { metrics } = options.deps
    return context.body(await metrics.render(), 200, { 'content-type': metrics.contentType })
  })
}
