// All that one scope has used: its rates, what runs, its purse. Checking and taking are apart, so that many scopes
// can be checked before anything is taken of any.

import type { Budget, BudgetState, Claim, LimitKind, RateState, Refusal, Scope } from '#core/admission.ts'
import { assert } from '#core/assert.ts'
import { BudgetMeter } from './budget-meter.ts'
import { periodText } from './periods.ts'
import { RateWindow } from './rate-window.ts'

/** Wall clock for money, which is dated; the steady clock for rates. */
export interface Moment {
  readonly nowMs: number
  readonly tickMs: number
}

/** Room that is held, not used up, may come free at any moment. */
export const HELD_RETRY_MS = 1_000

export class ScopeMeter {
  readonly #requests = new RateWindow()
  readonly #tokens = new RateWindow()
  /** By period: for a while after a change, requests run that know the one before. */
  readonly #purses = new Map<string, BudgetMeter>()
  #last: { readonly budget: Budget; readonly purse: BudgetMeter } | null = null
  #heldNano = 0n
  #overshootNano = 0n
  #running = 0
  #charges = 0
  #lastChargeMs = Number.NEGATIVE_INFINITY

  /** Charges so far, and when the last one came. */
  get charges(): { readonly count: number; readonly lastMs: number } {
    return { count: this.#charges, lastMs: this.#lastChargeMs }
  }

  get running(): number {
    return this.#running
  }

  get heldNano(): bigint {
    return this.#heldNano
  }

  /** What its running requests may cost beyond what is held for them. */
  get overshootNano(): bigint {
    return this.#overshootNano
  }

  /** The purse of a budget's period; the amount may change, and what was spent stays. */
  purse(budget: Budget, nowMs: number): BudgetMeter {
    if (this.#last?.budget === budget) return this.#last.purse
    const name = periodText(budget.period)
    const purse = this.#purses.get(name) ?? new BudgetMeter(budget.period, nowMs)
    this.#purses.set(name, purse)
    this.#last = { budget, purse }
    return purse
  }

  /** What may still be claimed. */
  leftNano(budget: Budget, nowMs: number): bigint {
    return budget.amountNano - this.purse(budget, nowMs).spent(nowMs) - this.#heldNano
  }

  budgetState(scope: Scope, budget: Budget, nowMs: number): BudgetState {
    const purse = this.purse(budget, nowMs)
    return {
      scope,
      spentNano: purse.isSeeded ? purse.spent(nowMs) : null,
      heldNano: this.#heldNano,
      overshootNano: this.#overshootNano,
      resetAtMs: purse.resetAtMs(nowMs),
    }
  }

  /** Forgets purses of other periods than this. */
  keepPurse(budget: Budget | null): void {
    const kept = budget === null ? null : periodText(budget.period)
    for (const name of this.#purses.keys()) if (name !== kept) this.#purses.delete(name)
    this.#last = null
  }

  /** The first limit that says no. `asRequest`: a request counts here too, not only its tokens and its money. */
  check(scope: Scope, claim: Claim, asRequest: boolean, now: Moment): Refusal | null {
    return (
      (asRequest ? this.#checkRequest(scope, now) : null) ??
      this.#checkTokens(scope, claim, now) ??
      this.#checkBudget(scope, claim, now)
    )
  }

  #checkRequest(scope: Scope, now: Moment): Refusal | null {
    const { concurrency, rpm } = scope.limits
    if (concurrency !== null && this.#running >= concurrency) {
      return refusalOf(scope, 'concurrency', concurrency, this.#running, 1, HELD_RETRY_MS)
    }
    if (rpm === null) return null
    const used = this.#requests.used(now.tickMs)
    if (used + 1 <= rpm) return null
    return refusalOf(scope, 'rpm', rpm, used, 1, this.#requests.waitMs(1, rpm, now.tickMs))
  }

  #checkTokens(scope: Scope, claim: Claim, now: Moment): Refusal | null {
    const { tpm } = scope.limits
    if (tpm === null) return null
    const used = this.#tokens.used(now.tickMs)
    if (used + claim.tokens <= tpm) return null
    const waitMs = this.#tokens.waitMs(claim.tokens, tpm, now.tickMs)
    return refusalOf(scope, 'tpm', tpm, used, claim.tokens, waitMs)
  }

  #checkBudget(scope: Scope, claim: Claim, now: Moment): Refusal | null {
    if (scope.budget === null) return null
    const { amountNano } = scope.budget
    const purse = this.purse(scope.budget, now.nowMs)
    const asked = claim.costNano
    const held = this.#heldNano
    const said = { scope, limit: 'budget', allowed: amountNano, held, asked } as const
    if (!purse.isSeeded) return { ...said, used: null, retryAfterMs: HELD_RETRY_MS, resetAtMs: null }
    const used = purse.spent(now.nowMs)
    // Free requests are let in as long as anything is left.
    if (used + held + asked <= amountNano && used < amountNano) return null
    const fitsLater = used + asked <= amountNano && used < amountNano
    return {
      ...said,
      used,
      retryAfterMs: fitsLater ? HELD_RETRY_MS : purse.waitMs(asked, amountNano, now.nowMs),
      resetAtMs: purse.resetAtMs(now.nowMs),
    }
  }

  /** A request begins to run. */
  enter(scope: Scope, now: Moment): void {
    this.#running++
    if (scope.limits.rpm !== null) this.#requests.add(1, now.tickMs)
  }

  /** Of a time before this process; in the order of time, and before anything of its own. */
  addRates(requests: number, tokens: number, tickMs: number): void {
    if (requests > 0) this.#requests.add(requests, tickMs)
    if (tokens > 0) this.#tokens.add(tokens, tickMs)
  }

  leave(): void {
    this.#running--
  }

  /** Returns what is needed to give it back. */
  take(scope: Scope, claim: Claim, now: Moment): Taken {
    const hasBudget = scope.budget !== null
    if (hasBudget) {
      this.#heldNano += claim.costNano
      this.#overshootNano += claim.worstNano - claim.costNano
    }
    const bucket = scope.limits.tpm === null ? null : this.#tokens.add(claim.tokens, now.tickMs)
    return { meter: this, hasBudget, bucket }
  }

  release(claim: Claim): void {
    this.#heldNano -= claim.costNano
    this.#overshootNano -= claim.worstNano - claim.costNano
    assert(this.#heldNano >= 0n, 'no more comes free than was held')
  }

  /** Tokens are booked at their admission; more than was claimed counts too. */
  correctTokens({ bucket }: Taken, difference: number): void {
    if (bucket !== null) this.#tokens.correct(bucket, difference)
  }

  charge(amountNano: bigint, atMs: number, now: Moment): void {
    this.#charges++
    this.#lastChargeMs = now.tickMs
    for (const purse of this.#purses.values()) purse.charge(amountNano, atMs, now.nowMs)
  }

  /** Of this instance, in the last 60 seconds. */
  ownRates(tickMs: number): { readonly requests: number; readonly tokens: number } {
    return { requests: this.#requests.used(tickMs), tokens: this.#tokens.used(tickMs) }
  }

  requestRate(limit: number, now: Moment): RateState {
    return rateOf(this.#requests, limit, now.tickMs)
  }

  tokenRate(limit: number, now: Moment): RateState {
    return rateOf(this.#tokens, limit, now.tickMs)
  }
}

/** What one scope gave to an attempt. */
export interface Taken {
  readonly meter: ScopeMeter
  readonly hasBudget: boolean
  /** null: the scope had no limit of tokens then. */
  readonly bucket: number | null
}

function rateOf(window: RateWindow, limit: number, tickMs: number): RateState {
  const used = window.used(tickMs)
  return { limit, remaining: Math.max(0, limit - used), resetMs: window.emptyMs(tickMs) }
}

function refusalOf(
  scope: Scope,
  limit: LimitKind,
  allowed: number,
  used: number,
  asked: number,
  retryAfterMs: number | null,
): Refusal {
  return {
    scope,
    limit,
    allowed: BigInt(allowed),
    used: BigInt(used),
    held: 0n,
    asked: BigInt(asked),
    retryAfterMs,
    resetAtMs: null,
  }
}
