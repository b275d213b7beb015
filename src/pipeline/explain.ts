// Where a request would go now, and why: planned as any other, and neither sent nor learnt from.

import type { Decision } from '#core/decision.ts'
import type { GatewayError } from '#core/errors.ts'
import type { KeySettings } from '#core/settings.ts'
import type { Call, Deps } from './context.ts'
import { planCall, previewStep } from './plan.ts'

/** Who asks for no key in particular may use everything. */
export const ANYONE: KeySettings = {
  name: '',
  tags: {},
  team: null,
  organisation: null,
  scopes: [],
  models: null,
  providers: null,
  dataPolicies: [],
  ipRanges: [],
  expiresAtMs: null,
}

export interface Explained {
  readonly decision: Decision
  /** What the client would be told; null: it would be sent. */
  readonly refusal: GatewayError | null
}

/** @throws GatewayError as the request itself would, where it is not planned at all: no such model, not allowed. */
export function explainCall(deps: Deps, key: KeySettings, call: Call, session: string | null): Explained {
  const exchange = { id: 'explain', live: deps.live(), session }
  const plan = planCall(exchange, key, call, deps.clock.nowMs())
  const step = previewStep(deps, plan, call)
  return { decision: step.decision, refusal: step.kind === 'refuse' ? step.error : null }
}
