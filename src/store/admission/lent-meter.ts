// One scope of a fleet on one instance: what was lent of its purse, its rates and its places, checked and taken in one
// synchronous step as where everything is here. Its line (lease-line.ts) asks for more.

import type { Budget, BudgetState, Claim, LimitKind, RateState, Refusal, Scope } from '#core/admission.ts'
import type { ScopeAsk, ScopeReply } from './lease-words.ts'
import { LentMoney, startText } from './lent-money.ts'
import { LentPlaces } from './lent-places.ts'
import { LentRate, type Portions, type WindowView } from './lent-rate.ts'
import { periodAt } from './periods.ts'
import { HELD_RETRY_MS, type Moment, ScopeMeter, type Taken } from './scope-meter.ts'

/** What a meter asks of the line that carries its words. */
export interface MeterLine {
  readonly tag: string
  /** Another one: the store has lost what this instance holds, and what it has used lately. */
  readonly generation: number
  /** Nobody can be asked. */
  readonly isLost: boolean
  /** Then what is limited is refused at once. */
  readonly denies: boolean
  /** Instances that were heard lately, this one too. */
  readonly instances: number
  /** By the store's clock. */
  readonly nowMs: number
  /** Something was taken, or is to be told. */
  touch(meter: LentMeter, isLow: boolean): void
}

interface LentTaken extends Taken {
  readonly tokens: Portions | null
}

/** Whether it is worth waiting: for an answer to this wish, for what others have idle, or not. */
export type Worth = 'enough' | 'ask' | 'others' | 'no'

/** Each instance has spoken anew after so long. */
const OTHERS_TURN_MS = 250

/** A claim of nothing needs something left in its purse. */
const leastOf = (costNano: bigint): bigint => (costNano > 0n ? costNano : 1n)

export class LentMeter extends ScopeMeter {
  readonly #line: MeterLine
  scope: Scope
  readonly money = new LentMoney()
  readonly #requests = new LentRate()
  readonly #tokens = new LentRate()
  readonly #places = new LentPlaces()
  #generation = 0

  constructor(scope: Scope, line: MeterLine) {
    super()
    this.scope = scope
    this.#line = line
    this.#generation = line.generation
  }

  get tag(): string {
    return this.#line.tag
  }

  get isLocal(): boolean {
    return this.#line.isLost
  }

  hasUsed(tickMs: number): boolean {
    const { requests, tokens } = this.ownRates(tickMs)
    return requests > 0 || tokens > 0
  }

  get isIdle(): boolean {
    return (
      this.money.isIdle &&
      this.#requests.isIdle &&
      this.#tokens.isIdle &&
      this.#places.isIdle &&
      this.running === 0
    )
  }

  override check(scope: Scope, claim: Claim, asRequest: boolean, now: Moment): Refusal | null {
    this.scope = scope
    if (this.#line.isLost && this.#line.denies) return this.#unavailable(scope, claim)
    return (
      (asRequest ? this.#checkPlaces(scope) : null) ??
      (asRequest ? this.#checkRate(scope, 'rpm', 1, now) : null) ??
      this.#checkRate(scope, 'tpm', claim.tokens, now) ??
      this.#checkMoney(scope, claim)
    )
  }

  /** Says what this wish lacks; the line asks for it where that may help. `sinceMs`: it has waited from then on. */
  want(scope: Scope, claim: Claim, asRequest: boolean, now: Moment, sinceMs: number): Worth {
    const refusal = this.check(scope, claim, asRequest, now)
    if (refusal !== null && refusal.cause !== 'lease') return 'no'
    const worth = refusal === null ? 'enough' : this.#worth(refusal, claim, now, sinceMs)
    if (worth === 'no' || worth === 'enough') return worth
    if (asRequest && scope.limits.concurrency !== null) this.#places.want(this.running)
    if (asRequest && scope.limits.rpm !== null) this.#requests.want(1)
    if (scope.limits.tpm !== null) this.#tokens.want(claim.tokens)
    if (scope.budget !== null) this.money.want(leastOf(claim.costNano))
    return worth
  }

  #worth({ limit, allowed }: Refusal, claim: Claim, now: Moment, sinceMs: number): Worth {
    // What others have idle was said in their last turn, and by now there may be more.
    const isYoung = now.tickMs - sinceMs < OTHERS_TURN_MS
    if (limit === 'concurrency') {
      const { view } = this.#places
      if (view === null || view.atTickMs < sinceMs) return 'ask'
      if (this.running + 1 + view.lent <= Number(allowed)) return 'ask'
      return view.idle > 0 || (isYoung && view.lent > 0) ? 'others' : 'no'
    }
    if (limit === 'budget') {
      const { view } = this.money
      if (view === null || view.atTickMs < sinceMs) return 'ask'
      const least = leastOf(claim.costNano)
      const near = view.roomNano + this.money.freeNano(this.heldNano)
      if (near >= least) return 'ask'
      const hoped = isYoung ? view.lentNano : view.idleNano
      return hoped > 0n && near + hoped >= least ? 'others' : 'no'
    }
    const rate = limit === 'rpm' ? this.#requests : this.#tokens
    const asked = limit === 'rpm' ? 1 : claim.tokens
    if (asked > Number(allowed)) return 'no'
    const { view } = rate
    if (view === null || view.atTickMs < sinceMs) return 'ask'
    return view.used + asked - rate.free(now.tickMs) <= Number(allowed) ? 'ask' : 'no'
  }

  override enter(scope: Scope, now: Moment): void {
    super.enter(scope, now)
    const { rpm, concurrency } = scope.limits
    if (rpm !== null) {
      this.#requests.take(1, now.tickMs)
      this.#line.touch(this, this.#requests.isLow(now.tickMs))
    }
    if (concurrency === null) return
    this.#places.entered(this.running)
    this.#line.touch(this, false)
  }

  override take(scope: Scope, claim: Claim, now: Moment): LentTaken {
    const taken = super.take(scope, claim, now)
    let tokens: Portions | null = null
    if (scope.budget !== null) {
      this.money.noteTaken(claim.costNano)
      if (this.#line.isLost) this.money.cover(this.heldNano)
      this.#line.touch(this, this.money.isLow(this.heldNano))
    }
    if (scope.limits.tpm !== null) {
      tokens = this.#tokens.take(claim.tokens, now.tickMs)
      this.#line.touch(this, this.#tokens.isLow(now.tickMs))
    }
    return { ...taken, tokens }
  }

  override correctTokens(taken: LentTaken, difference: number): void {
    super.correctTokens(taken, difference)
    if (taken.tokens === null || difference === 0) return
    this.#tokens.correct(taken.tokens, difference)
    this.#line.touch(this, false)
  }

  override charge(amountNano: bigint, atMs: number, now: Moment): void {
    super.charge(amountNano, atMs, now)
    this.money.settle(amountNano)
    this.#line.touch(this, false)
  }

  override leftNano(budget: Budget, _nowMs: number): bigint {
    const { view } = this.money
    const free = this.money.freeNano(this.heldNano)
    return view === null ? budget.amountNano - this.heldNano : view.roomNano + free
  }

  override budgetState(scope: Scope, budget: Budget, nowMs: number): BudgetState {
    const { view } = this.money
    const { startMs, endMs } = periodAt(budget.period, this.#line.nowMs)
    // Of a period that is over nothing is left to tell; of this one nobody has asked yet.
    const isNow = budget.period.kind === 'rolling' || view?.from === startText(startMs)
    return {
      scope,
      spentNano: isNow ? (view?.spentNano ?? null) : null,
      heldNano: this.#heldByAllNano(),
      overshootNano: this.overshootNano,
      resetAtMs: budget.period.kind === 'rolling' || !Number.isFinite(endMs) ? null : Math.max(endMs, nowMs),
    }
  }

  override requestRate(limit: number, now: Moment): RateState {
    return rateState(this.#requests, limit, now) ?? super.requestRate(limit, now)
  }

  override tokenRate(limit: number, now: Moment): RateState {
    return rateState(this.#tokens, limit, now) ?? super.tokenRate(limit, now)
  }

  /** A turn of the line is over. */
  turn(): void {
    this.money.turn()
    this.#requests.turn()
    this.#tokens.turn()
    this.#places.turn()
  }

  ask(now: Moment): ScopeAsk {
    const { budget, limits, id } = this.scope
    const declares = this.#generation !== this.#line.generation
    this.#generation = this.#line.generation
    const own = this.ownRates(now.tickMs)
    return {
      id,
      ...(budget === null ? {} : { budget: this.money.ask(budget, this.heldNano, this.#line.nowMs) }),
      ...(limits.rpm === null
        ? {}
        : { rpm: this.#requests.ask(limits.rpm, now.tickMs, declares, own.requests) }),
      ...(limits.tpm === null ? {} : { tpm: this.#tokens.ask(limits.tpm, now.tickMs, declares, own.tokens) }),
      ...(limits.concurrency === null ? {} : { places: this.#places.ask(limits.concurrency, this.running) }),
    }
  }

  /** True: somebody must say what was spent of its budget. */
  hear(reply: ScopeReply, sentTickMs: number, tickMs: number): boolean {
    if (reply.rpm !== undefined) this.#requests.hear(reply.rpm, sentTickMs, tickMs)
    if (reply.tpm !== undefined) this.#tokens.hear(reply.tpm, sentTickMs, tickMs)
    if (reply.places !== undefined) this.#places.hear(reply.places, tickMs)
    const { budget } = this.scope
    if (reply.budget === undefined || budget === null) return false
    return this.money.hear(reply.budget, budget, tickMs)
  }

  /** The store answers, and in time. */
  found(tickMs: number): void {
    this.money.found()
    this.#requests.found(tickMs)
    this.#tokens.found(tickMs)
  }

  #checkPlaces(scope: Scope): Refusal | null {
    const { concurrency } = scope.limits
    if (concurrency === null || this.running < Math.min(this.#places.lent, concurrency)) return null
    const { isLost, instances } = this.#line
    if (isLost && this.running < Math.floor(concurrency / instances)) return null
    const used = Math.min(concurrency, this.running + (this.#places.view?.lent ?? 0))
    return this.#refusal(scope, 'concurrency', {
      allowed: BigInt(concurrency),
      used: this.#places.view === null ? null : BigInt(used),
      held: 0n,
      asked: 1n,
      retryAfterMs: HELD_RETRY_MS,
      resetAtMs: null,
    })
  }

  #checkRate(scope: Scope, kind: 'rpm' | 'tpm', asked: number, now: Moment): Refusal | null {
    const limit = scope.limits[kind]
    if (limit === null) return null
    const rate = kind === 'rpm' ? this.#requests : this.#tokens
    const free = rate.free(now.tickMs)
    if (free >= asked) return null
    const { isLost, instances } = this.#line
    if (isLost && rate.lostRoom(limit, instances, now.tickMs) >= asked - free) return null
    const { view } = rate
    return this.#refusal(scope, kind, {
      allowed: BigInt(limit),
      used: view === null ? null : BigInt(Math.min(view.used, limit)),
      held: 0n,
      asked: BigInt(asked),
      retryAfterMs: asked > limit ? null : retryOf(view, now.tickMs),
      resetAtMs: null,
    })
  }

  #checkMoney(scope: Scope, claim: Claim): Refusal | null {
    const { budget } = scope
    if (budget === null) return null
    const asked = leastOf(claim.costNano)
    const free = this.money.freeNano(this.heldNano)
    if (free >= asked) return null
    const { isLost, instances } = this.#line
    if (isLost && this.money.lostRoomNano(budget, instances) >= asked - free) return null
    const { view } = this.money
    const { endMs } = periodAt(budget.period, this.#line.nowMs)
    const isEnding = budget.period.kind !== 'rolling' && Number.isFinite(endMs)
    const fitsLater =
      view !== null && view.spentNano + asked <= budget.amountNano && view.spentNano < budget.amountNano
    return this.#refusal(scope, 'budget', {
      allowed: budget.amountNano,
      used: view?.spentNano ?? null,
      held: this.#heldByAllNano(),
      asked: claim.costNano,
      retryAfterMs:
        fitsLater || view === null ? HELD_RETRY_MS : isEnding ? Math.max(1, endMs - this.#line.nowMs) : null,
      resetAtMs: isEnding ? endMs : null,
    })
  }

  /** By all, as far as it is known: what runs, what is spent and not charged yet, what others were lent and need. */
  #heldByAllNano(): bigint {
    const { view, unchargedNano } = this.money
    return this.heldNano + unchargedNano + (view === null ? 0n : view.lentNano - view.idleNano)
  }

  #unavailable(scope: Scope, claim: Claim): Refusal {
    const { budget } = scope
    const said = { allowed: budget?.amountNano ?? 0n, used: null, held: 0n, asked: claim.costNano }
    return {
      ...said,
      scope,
      limit: 'budget',
      retryAfterMs: HELD_RETRY_MS,
      resetAtMs: null,
      cause: 'store',
    }
  }

  #refusal(scope: Scope, limit: LimitKind, said: Omit<Refusal, 'scope' | 'limit' | 'cause'>): Refusal {
    // A purse that was seen empty stays so, whoever answers.
    const isOver = limit === 'budget' && said.used !== null && said.used >= said.allowed
    const isHopeless = said.asked > said.allowed
    const cause = this.#line.isLost && !isOver && !isHopeless ? 'store' : 'lease'
    return { scope, limit, ...said, cause }
  }
}

/** When what a window lacks may be there; a lease that nobody used comes back sooner. */
function retryOf(view: WindowView | null, tickMs: number): number {
  if (view === null) return HELD_RETRY_MS
  return Math.max(HELD_RETRY_MS / 4, view.waitMs - (tickMs - view.atTickMs))
}

/** null: the fleet was not heard yet. */
function rateState(rate: LentRate, limit: number, { tickMs }: Moment): RateState | null {
  const { view } = rate
  if (view === null) return null
  const remaining = Math.max(0, limit - view.used) + rate.free(tickMs)
  return {
    limit,
    remaining: Math.min(limit, remaining),
    resetMs: Math.max(0, view.resetMs - (tickMs - view.atTickMs)),
  }
}
