// /admin/v1/policies: the policies in force, and what their requests are worth now.

import type { Hono } from 'hono'
import type { PolicySettings } from '#core/settings.ts'
import type { Deps } from '#pipeline/context.ts'
import { type AccessOptions, requireAdmin } from './access.ts'
import { readLimit } from './admin-query.ts'

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

/** Clients may ask for any model of a provider under the default policy. */
const MODELS_MAX = 100

export function policyRoutes(app: AnyApp, options: AccessOptions): void {
  const { deps } = options
  app.get('/admin/v1/policies', (context) => {
    requireAdmin(context, options)
    const { policies } = deps.live().settings
    const after = context.req.query('cursor') ?? ''
    const names = [...policies.keys()].filter((name) => name > after).sort()
    const page = names.slice(0, readLimit(context))
    return context.json({
      data: page.map((name) => policyJson(policies.get(name) as PolicySettings, deps)),
      next_cursor: page.length < names.length ? (page.at(-1) ?? null) : null,
    })
  })
}

function policyJson(policy: PolicySettings, { planner, live }: Deps): Record<string, unknown> {
  const { slo, maxPrice, hedge } = policy
  return {
    name: policy.name,
    version: policy.version,
    sort: policy.sort,
    slo: {
      ttft_ms: slo.ttftMs,
      ttft_ms_per_1k_input: slo.ttftMsPer1kInput,
      tpot_ms: slo.tpotMs,
      attainment: slo.attainment,
      value: slo.value,
    },
    max_price: maxPrice,
    on_no_candidate: policy.onNoCandidate,
    affinity: policy.affinity,
    explore: { max_share: policy.explore.maxShare },
    hedge: { enabled: hedge.enabled, max_extra_cost: hedge.maxExtraCost, max_share: hedge.maxShare },
    currency: live().settings.currency,
    models: planner
      .worths(policy)
      .slice(0, MODELS_MAX)
      .map(({ model, state }) => ({
        model,
        value: rounded(state.value),
        declared: state.isDeclared,
        attained: rounded(state.attained),
        reachable: rounded(state.reachable),
        unreachable: state.isUnreachable,
      })),
  }
}

function rounded(share: number): number {
  return Math.round(share * 1e9) / 1e9
}
