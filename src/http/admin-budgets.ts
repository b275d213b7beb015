// How budgets and rates stand, over all instances that share them, for operators.

import type { Admission, RateState, Scope } from '#core/admission.ts'
import { formatNano, type Nano } from '#core/money.ts'

/** One row of `GET /admin/v1/budgets`. */
export function scopeJson(admission: Admission, scope: Scope, currency: string): object {
  const { requests, tokens } = admission.rates([scope])
  return {
    id: scope.id,
    kind: scope.kind,
    name: scope.name,
    rpm: rateJson(requests),
    tpm: rateJson(tokens),
    concurrency: scope.limits.concurrency,
    budget: budgetJson(admission, scope, currency),
    // What all instances have used was last heard before the store was lost.
    ...(admission.isLocal([scope]) ? { limits_mode: 'local' } : {}),
  }
}

function rateJson(state: RateState | null): object | null {
  return state === null ? null : { limit: state.limit, remaining: state.remaining }
}

function budgetJson(admission: Admission, scope: Scope, currency: string): object | null {
  const state = admission.budgetState(scope)
  if (state === null || scope.budget === null) return null
  return {
    amount: formatNano(scope.budget.amountNano),
    // Not known until the ledger has been read.
    spent: state.spentNano === null ? null : formatNano(state.spentNano as Nano),
    held: formatNano(state.heldNano as Nano),
    // What requests that run now may spend beyond what is held for them.
    overshoot_bound: formatNano(state.overshootNano as Nano),
    currency,
    mode: scope.budget.isStrict ? 'strict' : 'soft',
    resets_at: state.resetAtMs === null ? null : new Date(state.resetAtMs).toISOString(),
  }
}
