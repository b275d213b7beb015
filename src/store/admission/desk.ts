// Admission on one machine: all purses and rates of the instance in memory, checked and taken in one synchronous
// step. What was spent before comes from the ledger (`seed`); the ledger takes nothing from here.

import type {
  Admission,
  AdmissionState,
  Ask,
  BudgetState,
  Claim,
  Grant,
  RateState,
  RateStates,
  Refusal,
  Scope,
} from '#core/admission.ts'
import type { Clock } from '#core/ports.ts'
import type { DatedAmount } from './budget-meter.ts'
import { RequestGrant } from './request-grant.ts'
import { type Moment, ScopeMeter, type Taken } from './scope-meter.ts'

const SWEEP_MS = 1_000
/** Rows of the ledger may be this much behind; a purse is compared with it only when nothing moved for as long. */
const QUIET_MS = 5_000

/** When a ledger was asked, for `reseed`. */
export interface Reading {
  readonly charges: number
}

export class AdmissionDesk implements Admission {
  readonly #clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
  readonly #makeMeter: (scope: Scope) => ScopeMeter
  readonly #meters = new Map<string, ScopeMeter>()
  readonly #grants = new Set<RequestGrant>()
  #heldNano = 0n
  #overshootNano = 0n
  #overrunTokens = 0
  #overrunNano = 0n
  #nextSweepMs = 0

  constructor(
    clock: Pick<Clock, 'nowMs' | 'monotonicMs'>,
    makeMeter: (scope: Scope) => ScopeMeter = () => new ScopeMeter(),
  ) {
    this.#clock = clock
    this.#makeMeter = makeMeter
  }

  open(owner: string, callerScopes: readonly Scope[]): Grant {
    return new RequestGrant(this, owner, callerScopes)
  }

  check(targetScopes: readonly Scope[], claim: Claim): Refusal | null {
    return this.checkAll(targetScopes, claim, true, this.now())
  }

  affordableNano(scopes: readonly Scope[]): bigint | null {
    const { nowMs } = this.now()
    let least: bigint | null = null
    for (const scope of scopes) {
      if (scope.budget === null) continue
      const left = this.meterOf(scope).leftNano(scope.budget, nowMs)
      if (least === null || left < least) least = left
    }
    return least
  }

  rates(scopes: readonly Scope[]): RateStates {
    const now = this.now()
    let requests: RateState | null = null
    let tokens: RateState | null = null
    for (const scope of scopes) {
      const { rpm, tpm } = scope.limits
      if (rpm !== null) requests = tighter(requests, this.meterOf(scope).requestRate(rpm, now))
      if (tpm !== null) tokens = tighter(tokens, this.meterOf(scope).tokenRate(tpm, now))
    }
    return { requests, tokens }
  }

  get state(): AdmissionState {
    this.#sweep(this.#clock.nowMs())
    return {
      heldNano: this.#heldNano,
      overshootNano: this.#overshootNano,
      overrunTokens: this.#overrunTokens,
      overrunNano: this.#overrunNano,
    }
  }

  /**
   * Budgets whose purse the ledger has not filled yet: new ones, and those of another period than before. From now on
   * their purses take charges.
   */
  unseeded(scopes: Iterable<Scope>): readonly Scope[] {
    const { nowMs } = this.now()
    return [...scopes].filter(
      (scope) => scope.budget !== null && !this.meterOf(scope).purse(scope.budget, nowMs).isSeeded,
    )
  }

  /** What the ledger says of a purse's present period. */
  seed(scope: Scope, amounts: readonly DatedAmount[]): void {
    const { nowMs } = this.now()
    if (scope.budget !== null) this.meterOf(scope).purse(scope.budget, nowMs).seed(amounts, nowMs)
  }

  /** What a scope used so long before now, of a process that was here before. */
  seedRate(scope: Scope, requests: number, tokens: number, agoMs: number): void {
    this.meterOf(scope).addRates(requests, tokens, this.now().tickMs - Math.max(0, agoMs))
  }

  /** null: this purse moved lately, so the ledger may not have all of it. */
  quietReading(scope: Scope): Reading | null {
    const { count, lastMs } = this.meterOf(scope).charges
    return this.now().tickMs - lastMs < QUIET_MS ? null : { charges: count }
  }

  /** Seeds again from the ledger, where nothing moved since it was asked. The ledger is right, never the purse. */
  reseed(scope: Scope, reading: Reading, amounts: readonly DatedAmount[]): void {
    const { nowMs } = this.now()
    if (scope.budget === null || this.meterOf(scope).charges.count !== reading.charges) return
    this.meterOf(scope).purse(scope.budget, nowMs).reseed(amounts, nowMs)
  }

  budgetState(scope: Scope): BudgetState | null {
    if (scope.budget === null) return null
    return this.meterOf(scope).budgetState(scope, scope.budget, this.now().nowMs)
  }

  /** All of it is known here. */
  refresh(_scopes: readonly Scope[]): Promise<void> {
    return Promise.resolve()
  }

  isLocal(_scopes: readonly Scope[]): boolean {
    return false
  }

  /** Forgets scopes that the configuration no longer has, once nothing runs in them. */
  keep(scopes: Iterable<Scope>): void {
    const kept = new Map([...scopes].map((scope) => [scope.id, scope]))
    for (const [id, meter] of this.#meters) {
      if (meter.running > 0) continue
      const scope = kept.get(id)
      if (scope === undefined) this.#meters.delete(id)
      else meter.keepPurse(scope.budget)
    }
  }

  protected known(id: string): ScopeMeter | null {
    return this.#meters.get(id) ?? null
  }

  // What follows is for grants.

  now(): Moment {
    return { nowMs: this.#clock.nowMs(), tickMs: this.#clock.monotonicMs() }
  }

  meterOf(scope: Scope): ScopeMeter {
    let meter = this.#meters.get(scope.id)
    if (meter === undefined) {
      meter = this.#makeMeter(scope)
      this.#meters.set(scope.id, meter)
    }
    return meter
  }

  /** Everything is here, so there is nothing to wait for. `sinceMs`: the request has waited from then on. */
  refill(_callers: readonly Scope[], _ask: Ask, _isFirst: boolean, _sinceMs: number): Promise<void> | null {
    return null
  }

  checkAll(scopes: readonly Scope[], claim: Claim, asRequest: boolean, now: Moment): Refusal | null {
    this.#sweep(now.nowMs)
    for (const scope of scopes) {
      const refusal = this.meterOf(scope).check(scope, claim, asRequest, now)
      if (refusal !== null) return refusal
    }
    return null
  }

  enter(scopes: readonly Scope[], now: Moment): readonly ScopeMeter[] {
    return scopes.map((scope) => {
      const meter = this.meterOf(scope)
      meter.enter(scope, now)
      return meter
    })
  }

  opened(grant: RequestGrant, claim: Claim): void {
    this.#grants.add(grant)
    this.#heldNano += claim.costNano
    this.#overshootNano += claim.worstNano - claim.costNano
  }

  released(claim: Claim): void {
    this.#heldNano -= claim.costNano
    this.#overshootNano -= claim.worstNano - claim.costNano
  }

  /** What came beyond the claim; only what some limit or budget counts can overrun it. */
  overrun(tokens: number, amountNano: bigint, taken: readonly Taken[]): void {
    if (tokens > 0 && taken.some((part) => part.bucket !== null)) this.#overrunTokens += tokens
    if (amountNano > 0n && taken.some((part) => part.hasBudget)) this.#overrunNano += amountNano
  }

  closed(grant: RequestGrant): void {
    this.#grants.delete(grant)
  }

  /** Holds whose time is over come free: their owner has not come back. */
  #sweep(nowMs: number): void {
    if (nowMs < this.#nextSweepMs && nowMs > this.#nextSweepMs - 2 * SWEEP_MS) return
    this.#nextSweepMs = nowMs + SWEEP_MS
    for (const grant of this.#grants) if (grant.untilMs <= nowMs) grant.expire()
  }
}

function tighter(first: RateState | null, second: RateState): RateState {
  return first === null || second.remaining < first.remaining ? second : first
}
