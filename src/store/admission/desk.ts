// Admission on one machine: all purses and rates of the instance in memory, checked and taken in one synchronous
// step. What was spent comes from the ledger at the start (`seed`); it is never the other way round.

import type {
  Budget,
  Claim,
  Grant,
  LimitKind,
  RateState,
  RateStates,
  Refusal,
  Scope,
} from '#core/admission.ts'
import { assert } from '#core/assert.ts'
import { BudgetMeter, type PeriodClock } from './budget-meter.ts'
import { RateWindow } from './rate-window.ts'

/** What one scope has used. Kept as long as the scope is configured. */
interface Meter {
  readonly requests: RateWindow
  readonly tokens: RateWindow
  budget: BudgetMeter | null
  inFlight: number
}

export interface AdmitInput {
  readonly tenants: readonly Scope[]
  /** Of the target that will be asked first. */
  readonly targetScopes: readonly Scope[]
  readonly claim: Claim
  readonly nowMs: number
  /** The hold is gone by then, whatever happens. */
  readonly untilMs: number
}

export interface DeskState {
  readonly holds: number
  readonly heldNano: bigint
  /** Tokens that providers reported beyond what had been claimed. */
  readonly overrunTokens: number
}

export class AdmissionDesk {
  readonly #meters = new Map<string, Meter>()
  readonly #spanOf: PeriodClock
  readonly #grants = new Set<OpenGrant>()
  #overrunTokens = 0
  #nextSweepMs = 0

  constructor(spanOf: PeriodClock) {
    this.#spanOf = spanOf
  }

  /** All of it or nothing. */
  admit(input: AdmitInput): Grant | Refusal {
    this.#sweep(input.nowMs)
    const taken = [...input.tenants, ...input.targetScopes]
    const refusal =
      this.#check(input.tenants, true, input.claim, input.nowMs) ??
      this.#check(input.targetScopes, true, input.claim, input.nowMs)
    if (refusal !== null) return refusal
    const grant = new OpenGrant(this, input)
    this.#grants.add(grant)
    assert(taken.length >= input.tenants.length, 'scopes are counted once')
    return grant
  }

  /** Spent before this process began, or before a budget was set: from the ledger, dated. */
  seed(scope: Scope, amountNano: bigint, atMs: number, nowMs: number): void {
    this.#budgetOf(this.#meterOf(scope), scope.budget)?.charge(amountNano, atMs, nowMs)
  }

  /** Requests and tokens of the last minute before this process began. */
  seedRates(scope: Scope, requests: number, tokens: number, atMs: number): void {
    const meter = this.#meterOf(scope)
    meter.requests.add(requests, atMs)
    meter.tokens.add(tokens, atMs)
  }

  /** True when the purse of this scope must be seeded before it is used: it is new, or its period is another. */
  needsSeed(scope: Scope): boolean {
    if (scope.budget === null) return false
    const known = this.#meters.get(idOf(scope))?.budget ?? null
    return known === null || !samePeriod(known.period, scope.budget)
  }

  state(nowMs: number): DeskState {
    this.#sweep(nowMs)
    let heldNano = 0n
    let holds = 0
    for (const grant of this.#grants) {
      heldNano += grant.heldNano
      if (grant.heldNano > 0n || grant.isRunning) holds++
    }
    return { holds, heldNano, overrunTokens: this.#overrunTokens }
  }

  /** Spent in the present period and held now, nano. */
  spending(scope: Scope, nowMs: number): { readonly spentNano: bigint; readonly heldNano: bigint } {
    const budget = this.#meters.get(idOf(scope))?.budget
    return budget === null || budget === undefined
      ? { spentNano: 0n, heldNano: 0n }
      : { spentNano: budget.spent(nowMs), heldNano: budget.held }
  }

  /** How much of the tightest purse is left for one more request, nano; null: no purse. */
  affordable(scopes: readonly Scope[], nowMs: number): bigint | null {
    let least: bigint | null = null
    for (const scope of scopes) {
      if (scope.budget === null) continue
      const budget = this.#budgetOf(this.#meterOf(scope), scope.budget)
      const left = scope.budget.amountNano - (budget?.spent(nowMs) ?? 0n) - (budget?.held ?? 0n)
      if (least === null || left < least) least = left
    }
    return least
  }

  rates(scopes: readonly Scope[], nowMs: number): RateStates {
    let requests: RateState | null = null
    let tokens: RateState | null = null
    for (const scope of scopes) {
      const meter = this.#meters.get(idOf(scope))
      if (meter === undefined) continue
      requests = tighter(requests, stateOf(meter.requests, scope.limits.rpm, nowMs))
      tokens = tighter(tokens, stateOf(meter.tokens, scope.limits.tpm, nowMs))
    }
    return { requests, tokens }
  }

  /** Forgets scopes that the configuration no longer has. */
  keep(scopes: ReadonlySet<string>): void {
    for (const [id, meter] of this.#meters)
      if (!scopes.has(id) && meter.inFlight === 0) this.#meters.delete(id)
  }

  /** @internal for grants */
  check(scopes: readonly Scope[], asRequest: boolean, claim: Claim, nowMs: number): Refusal | null {
    return this.#check(scopes, asRequest, claim, nowMs)
  }

  /** @internal for grants */
  meter(scope: Scope): Meter {
    return this.#meterOf(scope)
  }

  /** @internal for grants */
  budget(scope: Scope): BudgetMeter | null {
    return this.#budgetOf(this.#meterOf(scope), scope.budget)
  }

  /** @internal for grants */
  overrun(tokens: number): void {
    this.#overrunTokens += tokens
  }

  /** @internal for grants */
  closed(grant: OpenGrant): void {
    this.#grants.delete(grant)
  }

  #check(scopes: readonly Scope[], asRequest: boolean, claim: Claim, nowMs: number): Refusal | null {
    for (const scope of scopes) {
      const refusal = this.#checkScope(scope, asRequest, claim, nowMs)
      if (refusal !== null) return refusal
    }
    return null
  }

  #checkScope(scope: Scope, asRequest: boolean, claim: Claim, nowMs: number): Refusal | null {
    const { limits } = scope
    const meter = this.#meterOf(scope)
    const budget = this.#budgetOf(meter, scope.budget)
    if (budget !== null && scope.budget !== null) {
      const { amountNano } = scope.budget
      const spent = budget.spent(nowMs)
      if (spent + budget.held + claim.costNano > amountNano || spent >= amountNano) {
        // What is held comes free within the requests' own time; what is spent, at the end of the period.
        const waits = spent + claim.costNano <= amountNano && spent < amountNano
        return {
          ...refusalOf(scope, 'budget', amountNano, spent, claim.costNano),
          held: budget.held,
          retryAfterMs: waits ? HELD_RETRY_MS : budget.waitMs(claim.costNano, amountNano, nowMs),
          resetAtMs: budget.resetAtMs(nowMs),
        }
      }
    }
    if (asRequest && limits.concurrency !== null && meter.inFlight >= limits.concurrency) {
      const refusal = refusalOf(scope, 'concurrency', BigInt(limits.concurrency), BigInt(meter.inFlight), 1n)
      return { ...refusal, retryAfterMs: HELD_RETRY_MS }
    }
    if (asRequest && limits.rpm !== null && meter.requests.used(nowMs) + 1 > limits.rpm) {
      const refusal = refusalOf(scope, 'rpm', BigInt(limits.rpm), BigInt(meter.requests.used(nowMs)), 1n)
      return { ...refusal, retryAfterMs: meter.requests.waitMs(1, limits.rpm, nowMs) }
    }
    if (limits.tpm !== null && meter.tokens.used(nowMs) + claim.tokens > limits.tpm) {
      const used = BigInt(meter.tokens.used(nowMs))
      const refusal = refusalOf(scope, 'tpm', BigInt(limits.tpm), used, BigInt(claim.tokens))
      return { ...refusal, retryAfterMs: meter.tokens.waitMs(claim.tokens, limits.tpm, nowMs) }
    }
    return null
  }

  #meterOf(scope: Scope): Meter {
    const id = idOf(scope)
    let meter = this.#meters.get(id)
    if (meter === undefined) {
      meter = { requests: new RateWindow(), tokens: new RateWindow(), budget: null, inFlight: 0 }
      this.#meters.set(id, meter)
    }
    return meter
  }

  #budgetOf(meter: Meter, budget: Budget | null): BudgetMeter | null {
    if (budget === null) return null
    if (meter.budget === null || !samePeriod(meter.budget.period, budget)) {
      const before = meter.budget
      meter.budget = new BudgetMeter(budget.period, this.#spanOf)
      // Requests that run keep their holds over a change of the period.
      if (before !== null) meter.budget.hold(before.held)
    }
    return meter.budget
  }

  /** Holds whose time is over are let go: their owner has failed to. */
  #sweep(nowMs: number): void {
    if (nowMs < this.#nextSweepMs) return
    this.#nextSweepMs = nowMs + SWEEP_MS
    for (const grant of this.#grants) if (grant.untilMs <= nowMs) grant.close(nowMs)
  }
}

const SWEEP_MS = 1_000
/** Room that is held, not spent, may come free at any moment. */
const HELD_RETRY_MS = 1_000

/** One request's holds. */
class OpenGrant implements Grant {
  readonly rates: RateStates
  untilMs: number
  readonly #desk: AdmissionDesk
  readonly #tenants: readonly Scope[]
  #targetScopes: readonly Scope[]
  #claim: Claim
  #buckets: number[] = []
  #startedAtMs: number
  #running = true
  #open = true

  constructor(desk: AdmissionDesk, input: AdmitInput) {
    this.#desk = desk
    this.#tenants = input.tenants
    this.#targetScopes = input.targetScopes
    this.#claim = input.claim
    this.#startedAtMs = input.nowMs
    this.untilMs = input.untilMs
    for (const scope of input.tenants) this.#enter(scope, input.nowMs)
    this.#take(input.nowMs)
    this.rates = desk.rates(input.tenants, input.nowMs)
  }

  get heldNano(): bigint {
    return this.#running ? this.#claim.costNano : 0n
  }

  get isRunning(): boolean {
    return this.#running
  }

  begin(targetScopes: readonly Scope[], claim: Claim, nowMs: number): Refusal | null {
    assert(this.#open && !this.#running, 'an attempt begins after the last one has been settled')
    const refusal =
      this.#desk.check(this.#tenants, false, claim, nowMs) ??
      this.#desk.check(targetScopes, true, claim, nowMs)
    if (refusal !== null) return refusal
    this.#targetScopes = targetScopes
    this.#claim = claim
    this.#startedAtMs = nowMs
    this.#running = true
    this.#take(nowMs)
    return null
  }

  settle(costNano: bigint, tokens: number, nowMs: number): void {
    if (!this.#running) return
    this.#running = false
    let index = 0
    for (const scope of this.#scopes()) {
      const meter = this.#desk.meter(scope)
      meter.tokens.correct(this.#buckets[index] ?? 0, tokens - this.#claim.tokens)
      index++
      const budget = this.#desk.budget(scope)
      budget?.release(this.#claim.costNano)
      budget?.charge(costNano, this.#startedAtMs, nowMs)
    }
    for (const scope of this.#targetScopes) this.#desk.meter(scope).inFlight--
    if (tokens > this.#claim.tokens) this.#desk.overrun(tokens - this.#claim.tokens)
  }

  extend(untilMs: number): void {
    this.untilMs = Math.max(this.untilMs, untilMs)
  }

  close(nowMs: number): void {
    if (!this.#open) return
    this.settle(0n, 0, nowMs)
    this.#open = false
    for (const scope of this.#tenants) this.#desk.meter(scope).inFlight--
    this.#desk.closed(this)
  }

  #scopes(): readonly Scope[] {
    return [...this.#tenants, ...this.#targetScopes]
  }

  #enter(scope: Scope, nowMs: number): void {
    const meter = this.#desk.meter(scope)
    meter.inFlight++
    meter.requests.add(1, nowMs)
  }

  #take(nowMs: number): void {
    for (const scope of this.#targetScopes) this.#enter(scope, nowMs)
    this.#buckets = this.#scopes().map((scope) =>
      this.#desk.meter(scope).tokens.add(this.#claim.tokens, nowMs),
    )
    for (const scope of this.#scopes()) this.#desk.budget(scope)?.hold(this.#claim.costNano)
  }
}

export function idOf(scope: { readonly kind: string; readonly name: string }): string {
  return `${scope.kind}:${scope.name}`
}

function samePeriod(period: BudgetMeter['period'], budget: Budget): boolean {
  return JSON.stringify(period) === JSON.stringify(budget.period)
}

function refusalOf(scope: Scope, limit: LimitKind, allowed: bigint, used: bigint, asked: bigint): Refusal {
  return {
    kind: scope.kind,
    name: scope.name,
    limit,
    allowed,
    used,
    held: 0n,
    asked,
    retryAfterMs: null,
    resetAtMs: null,
  }
}

function stateOf(window: RateWindow, limit: number | null, nowMs: number): RateState | null {
  if (limit === null) return null
  return { limit, remaining: Math.max(0, limit - window.used(nowMs)), resetMs: window.emptyMs(nowMs) }
}

function tighter(first: RateState | null, second: RateState | null): RateState | null {
  if (first === null || second === null) return first ?? second
  return second.remaining < first.remaining ? second : first
}
