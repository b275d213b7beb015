// The routes. Inference goes straight to the runtime's own request and response; Hono only finds the way.

import { type Context, Hono } from 'hono'
import { GatewayError } from '#core/errors.ts'
import type { ClientApi } from '#pipeline/context.ts'
import { errorBody, errorHeaders } from '#pipeline/error-body.ts'
import { type AdminOptions, adminRoutes } from './admin.ts'
import { CORS_HEADERS, preflight } from './cors.ts'
import { type ModelsOptions, modelRoutes } from './models.ts'
import { type OperationsOptions, operationRoutes } from './operations.ts'

export interface AppOptions<E extends object> extends AdminOptions, ModelsOptions, OperationsOptions {
  /** Serves an inference request; on Node it writes to the native response. */
  readonly inference: (context: Context<{ Bindings: E }>, api: ClientApi) => Response | Promise<Response>
}

const INFERENCE: readonly (readonly [string, ClientApi])[] = [
  ['/chat/completions', 'chat'],
  ['/completions', 'completions'],
]

export interface App<E extends object> {
  readonly hono: Hono<{ Bindings: E }>
  /**
   * What Hono's router finds for a request, where that is inference: a runtime with native requests serves those itself,
   * without the web objects that Hono's handlers are given.
   */
  readonly inferenceAt: (method: string, path: string) => ClientApi | null
}

function isInference({ method, path }: { readonly method: string; readonly path: string }): boolean {
  return method === 'POST' && INFERENCE.some(([own]) => path === own || path === `/v1${own}`)
}

/** Ids of requests that Hono's routes answer, for the log. */
const requestIds = new WeakMap<Request, string>()

export function createApp<E extends object>(options: AppOptions<E>): App<E> {
  const app = new Hono<{ Bindings: E }>()
  app.use(async (context, next) => {
    const id = options.deps.random.requestId()
    requestIds.set(context.req.raw, id)
    await next()
    // Inference answers carry the id of their row.
    if (!isInference(context.req)) context.res.headers.set('x-request-id', id)
  })
  const apis = new Map<unknown, ClientApi>()
  for (const [path, api] of INFERENCE) {
    const handler = (context: Context<{ Bindings: E }>) => options.inference(context, api)
    apis.set(handler, api)
    for (const prefix of ['/v1', '']) {
      app.post(prefix + path, handler)
      app.options(prefix + path, preflight)
      app.all(prefix + path, (context) => methodNotAllowed(context, 'POST'))
    }
  }
  modelRoutes(app, options)
  operationRoutes(app, options)
  adminRoutes(app, options)
  app.notFound((context) =>
    errorResponse(new GatewayError('not_found', `there is no ${context.req.method} ${context.req.path}`)),
  )
  app.onError((error, context) => {
    const requestId = requestIds.get(context.req.raw)
    if (error instanceof GatewayError) {
      if (error.status >= 500)
        options.log.warn('http.failed', { request_id: requestId, error: textOf(error.cause ?? error) })
      return errorResponse(error)
    }
    options.log.error('http.crashed', { request_id: requestId, error: textOf(error) })
    return errorResponse(new GatewayError('internal_error', 'the gateway failed'))
  })
  return {
    hono: app,
    inferenceAt(method, path) {
      const [matched] = app.router.match(method, path)
      for (const [[handler]] of matched) {
        const api = apis.get(handler)
        if (api !== undefined) return api
      }
      return null
    },
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function errorResponse(error: GatewayError): Response {
  return new Response(errorBody(error), {
    status: error.status,
    headers: { ...errorHeaders(error), ...CORS_HEADERS },
  })
}

function methodNotAllowed(context: Context, allowed: string): Response {
  const message = `${context.req.path} takes ${allowed}, not ${context.req.method}`
  const response = errorResponse(new GatewayError('method_not_allowed', message))
  response.headers.set('allow', allowed)
  return response
}
