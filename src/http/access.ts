// Who may see what operators see. With an admin token: its bearer. Without one: only this machine itself.

import type { Context } from 'hono'
import { GatewayError } from '#core/errors.ts'
import type { Deps } from '#pipeline/context.ts'

export interface AccessOptions {
  readonly deps: Deps
  /** The listener is bound to a loopback address. */
  readonly listensOnLoopback: boolean
}

/** @throws GatewayError `forbidden`, `invalid_api_key` */
export function requireAdmin(context: Context, options: AccessOptions): void {
  const { token } = options.deps.live().settings.admin
  if (token === null) {
    if (isLocal(context, options)) return
    throw new GatewayError(
      'forbidden',
      'set admin.token: without one the admin API answers only on this machine, without proxies',
    )
  }
  const sent = /^bearer\s+(\S+)\s*$/i.exec(context.req.header('authorization') ?? '')?.[1]
  // Digests are compared, so that the time taken says nothing of the token.
  if (sent === undefined || options.deps.digest(sent) !== options.deps.digest(token)) {
    throw new GatewayError(
      'invalid_api_key',
      'the admin token is missing or wrong: send `Authorization: Bearer …`',
    )
  }
}

/** `/metrics` is open on this machine, and elsewhere where the configuration says so. */
export function requireMetricsReader(context: Context, options: AccessOptions): void {
  if (options.deps.live().settings.metrics.public || isLocal(context, options)) return
  requireAdmin(context, options)
}

const FORWARDING =
  /^(forwarded|x-forwarded-.+|x-real-ip|via|cf-connecting-ip|true-client-ip|x-client-ip|x-cluster-client-ip)$/

/** A loopback listener, asked by a loopback name, not through a proxy: no page of a browser elsewhere can do that. */
function isLocal(context: Context, options: AccessOptions): boolean {
  if (!options.listensOnLoopback) return false
  if (Object.keys(context.req.header()).some((name) => FORWARDING.test(name))) return false
  const host = (context.req.header('host') ?? '').replace(/:\d+$/, '').toLowerCase()
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}
