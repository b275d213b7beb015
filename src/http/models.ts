// GET /v1/models and /v1/models/{id}: what the key may ask for.

import type { Context, Hono } from 'hono'
import { GatewayError } from '#core/errors.ts'
import { authenticate } from '#pipeline/authenticate.ts'
import type { Peer } from '#pipeline/client-address.ts'
import type { Deps } from '#pipeline/context.ts'
import { listModels } from '#pipeline/models.ts'
import { CORS_HEADERS, preflight } from './cors.ts'

export interface ModelsOptions {
  readonly deps: Deps
  /** Epoch seconds; the list has no better date. */
  readonly startedSeconds: number
  /** Where a request comes from, as the runtime's socket tells. */
  readonly peerOf: (context: Context) => Peer
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

export function modelRoutes(app: AnyApp, options: ModelsOptions): void {
  const describe = (model: { readonly id: string; readonly ownedBy: string }): object => ({
    id: model.id,
    object: 'model',
    created: options.startedSeconds,
    owned_by: model.ownedBy,
  })
  const allowed = (context: Context) => {
    const live = options.deps.live()
    const key = authenticate(
      options.deps,
      live,
      {
        authorization: context.req.header('authorization') ?? null,
        peer: () => options.peerOf(context),
      },
      options.deps.clock.nowMs(),
    )
    return listModels(live, key)
  }
  for (const prefix of ['/v1', '']) {
    app.options(`${prefix}/models`, preflight)
    app.options(`${prefix}/models/*`, preflight)
    app.get(`${prefix}/models`, (context) =>
      context.json({ object: 'list', data: allowed(context).map(describe) }, 200, CORS_HEADERS),
    )
    // Ids hold slashes, and the SDKs percent-encode them.
    app.get(`${prefix}/models/*`, (context) => {
      const id = decodeId(context.req.path.slice(`${prefix}/models/`.length))
      const model = allowed(context).find((candidate) => candidate.id === id)
      if (model === undefined) {
        throw new GatewayError('model_not_found', `there is no model "${id.slice(0, 100)}"`, {
          param: 'model',
        })
      }
      return context.json(describe(model), 200, CORS_HEADERS)
    })
  }
}

function decodeId(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
