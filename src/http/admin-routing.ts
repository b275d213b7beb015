// /admin/v1/explain and /admin/v1/targets: where a request would go and why, and how the targets stand.

import type { Context, Hono } from 'hono'
import { GatewayError } from '#core/errors.ts'
import type { KeySettings, TargetSettings } from '#core/settings.ts'
import type { ClientApi, Deps } from '#pipeline/context.ts'
import { ANYONE, explainCall } from '#pipeline/explain.ts'
import { readCall } from '#pipeline/ingress.ts'
import { plannedTarget } from '#pipeline/planned-targets.ts'
import { type AccessOptions, requireAdmin } from './access.ts'
import { decisionJson } from './admin-json.ts'
import { oneOf, readLimit } from './admin-query.ts'

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

const APIS = ['chat', 'completions'] as const satisfies readonly ClientApi[]

export function routingRoutes(app: AnyApp, options: AccessOptions): void {
  const { deps } = options
  app.post('/admin/v1/explain', async (context) => {
    requireAdmin(context, options)
    const key = readKey(context, options)
    const api = oneOf(context, 'api', APIS) ?? 'chat'
    const bytes = new Uint8Array(await context.req.arrayBuffer())
    checkSize(bytes.length, deps.live().settings.server.bodyBytesMax)
    const call = readCall(api, bytes, context.req.header('x-sluice-policy') ?? null)
    const { decision, refusal } = explainCall(deps, key, call, context.req.header('x-session-id') ?? null)
    return context.json({
      model: call.model,
      key: key === ANYONE ? null : key.name,
      stream: call.streaming,
      input_tokens: call.inputTokensEstimate,
      needs: call.needs.map(({ capability }) => capability),
      ...decisionJson(decision),
      chosen: refusal === null ? (decision.candidates[0]?.target ?? null) : null,
      refusal:
        refusal === null ? null : { status: refusal.status, code: refusal.code, message: refusal.message },
    })
  })
  app.get('/admin/v1/targets', (context) => {
    requireAdmin(context, options)
    const live = deps.live()
    const after = context.req.query('cursor') ?? ''
    const targets = new Map<string, TargetSettings>()
    for (const model of live.settings.models.values())
      for (const target of model.targets) if (target.id > after) targets.set(target.id, target)
    const ids = [...targets.keys()].sort()
    const page = ids.slice(0, readLimit(context))
    const nowMs = deps.clock.nowMs()
    return context.json({
      data: page.map((id) => {
        const facts = live.factsOf(targets.get(id) as TargetSettings)
        const planned = plannedTarget(live, facts, facts.thinksByDefault)
        return targetJson(deps.planner.targetStatus(planned, nowMs), facts.target, facts.settings.enabled)
      }),
      next_cursor: page.length < ids.length ? (page.at(-1) ?? null) : null,
    })
  })
}

/** Whose restrictions hold; without a name nobody's. */
function readKey(context: Context, { deps }: AccessOptions): KeySettings {
  const name = context.req.query('key')
  if (name === undefined) return ANYONE
  const { settings } = deps.live()
  const key = settings.keys.find((candidate) => candidate.name === name) ?? deps.keys.named(name, settings)
  if (key !== null) return key
  throw new GatewayError('not_found', `there is no key "${name.slice(0, 100)}"`, { param: 'key' })
}

function checkSize(bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return
  throw new GatewayError('request_too_large', `the request body is larger than ${bytesMax} bytes`)
}

function accountJson({ id, inFlight }: TargetStatus['accounts'][number]): Record<string, unknown> {
  return { account: id, in_flight: inFlight }
}

type TargetStatus = ReturnType<Deps['planner']['targetStatus']>

function targetJson(
  status: TargetStatus,
  { provider, model }: TargetSettings,
  isEnabled: boolean,
): Record<string, unknown> {
  const cooldowns = status.cooldowns.map(({ reason, account, sinceMs, untilMs }) => ({
    reason,
    ...(account === null ? {} : { account }),
    since: new Date(sinceMs).toISOString(),
    until: new Date(untilMs).toISOString(),
  }))
  const [first] = cooldowns
  const state = status.state === 'closed' && first !== undefined ? 'cooling_down' : status.state
  return {
    target: status.target,
    provider,
    model,
    state: isEnabled ? state : 'disabled',
    reason: isEnabled ? (first?.reason ?? null) : 'no_api_key',
    since: first?.since ?? null,
    until: first?.until ?? null,
    cooldowns,
    in_flight: status.inFlight,
    ...(status.accounts.length < 2 ? {} : { accounts: status.accounts.map(accountJson) }),
    estimates: {
      source: status.samples === 0 ? 'typical' : 'observed',
      samples: status.samples,
      ttft_ms: Math.round(status.ttftMs),
      slowness: Math.round(status.slowness * 100) / 100,
      tokens_per_second: Math.round(status.tokensPerSecond * 10) / 10,
      failure_share: Math.round(status.failureChance * 1e4) / 1e4,
      refusal_share: Math.round(status.refusalChance * 1e4) / 1e4,
    },
  }
}
