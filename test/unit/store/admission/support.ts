// Scopes, claims and a clock that stands still until it is moved.

import type { Ask, Budget, BudgetPeriod, Claim, Limits, Scope, ScopeKind } from '#core/admission.ts'
import type { Nano } from '#core/money.ts'
import { AdmissionDesk } from '#store/admission/desk.ts'

export const nano = (amount: bigint | number): Nano => BigInt(amount) as Nano

export class HandClock {
  #ms = 1_790_000_000_000

  nowMs(): number {
    return this.#ms
  }

  monotonicMs(): number {
    return this.#ms
  }

  advance(byMs: number): void {
    this.#ms += byMs
  }
}

export function scopeOf(
  kind: ScopeKind,
  parts: { readonly name?: string; readonly limits?: Partial<Limits>; readonly budget?: Budget | null } = {},
): Scope {
  const name = parts.name ?? 'one'
  const limits = { rpm: null, tpm: null, concurrency: null, ...parts.limits }
  return { id: `${kind}:${name}`, kind, name, limits, budget: parts.budget ?? null }
}

export function budgetOf(
  amountNano: bigint | number,
  period: BudgetPeriod = { kind: 'life' },
  isStrict = true,
): Budget {
  return { amountNano: nano(amountNano), period, isStrict }
}

export function claimOf(costNano: bigint | number, tokens = 1, worstNano = costNano): Claim {
  return { costNano: nano(costNano), worstNano: nano(worstNano), tokens }
}

export const LEASE_MS = 660_000

export function askOf(clock: HandClock, claim: Claim, targetScopes: readonly Scope[] = []): Ask {
  return { targetScopes, claim, atMs: clock.nowMs(), untilMs: clock.nowMs() + LEASE_MS }
}

/** A desk whose budgets have nothing spent yet. */
export function deskWith(clock: HandClock, scopes: readonly Scope[]): AdmissionDesk {
  const desk = new AdmissionDesk(clock)
  for (const scope of desk.unseeded(scopes)) desk.seed(scope, [])
  return desk
}
