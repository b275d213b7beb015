// /admin/v1/keys: keys made, shown, changed, rotated and ended, for operators.

import type { Context, Hono } from 'hono'
import { GatewayError } from '#core/errors.ts'
import type { KeyFields, StoredKey } from '#core/keys.ts'
import type { ConfiguredKey } from '#core/settings.ts'
import type { KeyDesk, MadeKey } from '#pipeline/key-desk.ts'
import { invalid, invalidFields, readKeyInput } from '#settings/stored-keys.ts'
import { type AccessOptions, requireAdmin } from './access.ts'
import { readBody } from './admin-body.ts'
import { asked, readLimit } from './admin-query.ts'
import { keyJson } from './key-json.ts'

export interface KeyRoutesOptions extends AccessOptions {
  readonly keyDesk: KeyDesk
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

const OVERLAP_MS_DEFAULT = 24 * 3_600_000
const OVERLAP_MS_MAX = 90 * 24 * 3_600_000
const OVERLAP_RIGHT = '0, or a duration of up to 90 days such as 90s, 30m, 24h or 7d'
const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export function keyRoutes(app: AnyApp, options: KeyRoutesOptions): void {
  const { keyDesk: desk, deps } = options
  const show = (key: StoredKey | ConfiguredKey): Record<string, unknown> =>
    keyJson(key, expiryOf(options, key), deps.clock.nowMs())
  const answer = (context: Context, key: StoredKey, more: object = {}, status: 200 | 201 = 200): Response =>
    context.json({ ...show(key), ...more }, status, { etag: `"${key.version}"`, 'cache-control': 'no-store' })
  const made = (context: Context, { key, secret }: MadeKey, status: 200 | 201): Response =>
    answer(context, key, { key: secret }, status)

  app.get('/admin/v1/keys', async (context) => {
    requireAdmin(context, options)
    const limit = readLimit(context)
    const after = decodeCursor(context.req.query('cursor'))
    const { keys, next } = await asked(() => desk.list(limit, after))
    return context.json({ data: keys.map(show), next_cursor: next === null ? null : encodeCursor(next) })
  })
  app.post('/admin/v1/keys', async (context) => {
    requireAdmin(context, options)
    const body = withoutNulls(await readBody(context))
    const { name, fields } = readKeyInput(body, deps.live().settings, deps.clock.nowMs())
    return made(context, await asked(() => desk.create(name, fields)), 201)
  })
  app.get('/admin/v1/keys/:id', async (context) => {
    requireAdmin(context, options)
    const id = context.req.param('id')
    const key = desk.configured(id)
    if (key !== null) return context.json(show(key))
    return answer(context, await asked(() => desk.get(id)))
  })
  app.patch('/admin/v1/keys/:id', async (context) => {
    requireAdmin(context, options)
    const patch = await readBody(context)
    const change = (key: StoredKey): KeyFields => changed(options, key, patch)
    return answer(context, await asked(() => desk.update(context.req.param('id'), ifMatch(context), change)))
  })
  app.delete('/admin/v1/keys/:id', async (context) => {
    requireAdmin(context, options)
    await asked(() => desk.remove(context.req.param('id'), ifMatch(context)))
    return context.body(null, 204)
  })
  app.post('/admin/v1/keys/:id/rotate', async (context) => {
    requireAdmin(context, options)
    const overlapMs = readOverlap(await readBody(context))
    return made(
      context,
      await asked(() => desk.rotate(context.req.param('id'), ifMatch(context), overlapMs)),
      200,
    )
  })
  app.post('/admin/v1/keys/:id/revoke', async (context) => {
    requireAdmin(context, options)
    return answer(context, await asked(() => desk.revoke(context.req.param('id'), ifMatch(context))))
  })
}

/** Fields that are given change, null ends what a field says, the others stay. */
function changed({ deps }: KeyRoutesOptions, key: StoredKey, patch: Record<string, unknown>): KeyFields {
  const { name, ...rest } = patch
  if (name !== undefined && name !== key.name) {
    const allowed = `${key.name}, or nothing: budgets and the ledger go by it`
    const problem = { field: 'name', message: 'cannot be changed', allowed, nearest: null }
    throw invalidFields([{ ...problem, found: JSON.stringify(name).slice(0, 100) }])
  }
  const wanted = withoutNulls({ ...key.fields, ...rest, name: key.name })
  return readKeyInput(wanted, deps.live().settings, deps.clock.nowMs(), key.fields).fields
}

function withoutNulls(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== undefined),
  )
}

function expiryOf({ deps }: KeyRoutesOptions, key: StoredKey | ConfiguredKey): number | null {
  const { settings } = deps.live()
  if (!('id' in key)) return key.expiresAtMs
  return deps.keys.named(key.name, settings)?.expiresAtMs ?? null
}

function readOverlap(body: Record<string, unknown>): number {
  const { overlap, ...more } = body
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) throw invalid(unknown.slice(0, 100), 'an unknown field', 'overlap')
  if (overlap === undefined || overlap === null) return OVERLAP_MS_DEFAULT
  if (overlap === 0 || overlap === '0') return 0
  const [, count, unit = ''] = /^(\d{1,7})([smhd])$/.exec(String(overlap)) ?? []
  const overlapMs = Number(count) * (UNIT_MS[unit] ?? Number.NaN)
  if (typeof overlap !== 'string' || !(overlapMs <= OVERLAP_MS_MAX))
    throw invalid('overlap', JSON.stringify(overlap).slice(0, 100), OVERLAP_RIGHT)
  return overlapMs
}

/** The version that the caller has seen; null: whichever it is. */
function ifMatch(context: Context): number | null {
  const text = context.req.header('if-match')?.trim()
  if (text === undefined || text === '*') return null
  const version = /^(?:W\/)?"?(\d{1,15})"?$/.exec(text)?.[1]
  if (version === undefined) throw invalid('if-match', text.slice(0, 100), 'the etag of a key, or *')
  return Number(version)
}

function encodeCursor(id: string): string {
  return btoa(encodeURIComponent(id)).replaceAll('=', '')
}

function decodeCursor(cursor: string | undefined): string | null {
  if (cursor === undefined) return null
  try {
    const id = decodeURIComponent(atob(cursor))
    if (/^(config:|key_)/.test(id)) return id
  } catch {
    // Answered below.
  }
  throw new GatewayError('invalid_request', '`cursor` must be a `next_cursor` of this list', {
    param: 'cursor',
  })
}
