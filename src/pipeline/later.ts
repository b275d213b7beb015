// The record of a decision goes on with the attempts behind the first one, as they are made.

import type { AttemptRole, Decision } from '#core/decision.ts'
import type { Exchange } from './context.ts'

/** `by`: what sent it there; null: what had been decided before, whose chances are of another moment. */
export function noteLater(exchange: Exchange, target: string, role: AttemptRole, by: Decision | null): void {
  const first = exchange.decision
  if (first === null) return
  const known = (by ?? first).candidates.find((candidate) => candidate.target === target)
  const attempt = {
    target,
    role,
    estimatedCost: known?.estimatedCost ?? null,
    pSlo: by === null ? null : (known?.pSlo ?? null),
  }
  exchange.decision = { ...first, later: [...first.later, attempt] }
}
