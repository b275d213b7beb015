// One request's holds, from its first attempt to its end.

import type { Ask, Claim, Grant, Refusal, Scope } from '#core/admission.ts'
import type { Nano } from '#core/money.ts'
import type { AdmissionDesk } from './desk.ts'
import type { ScopeMeter, Taken } from './scope-meter.ts'

/** What the running attempt has taken. */
interface Running {
  readonly claim: Claim
  readonly atMs: number
  readonly taken: readonly Taken[]
  readonly targets: readonly ScopeMeter[]
}

const NONE: readonly ScopeMeter[] = Object.freeze([])

export class RequestGrant implements Grant {
  readonly owner: string
  readonly #desk: AdmissionDesk
  readonly #callers: readonly Scope[]
  /** Meters that the request itself runs in, from its first attempt on. */
  #entered: readonly ScopeMeter[] | null
  #running: Running | null = null
  /** Of an attempt whose hold has expired before its end. */
  #late: Running | null = null
  #untilMs = 0
  /** On the steady clock; null: it has not waited. */
  #waitsSinceMs: number | null = null

  constructor(
    desk: AdmissionDesk,
    owner: string,
    callers: readonly Scope[],
    entered: readonly ScopeMeter[] | null = null,
  ) {
    this.#desk = desk
    this.owner = owner
    this.#callers = callers
    this.#entered = entered
  }

  fork(): RequestGrant {
    return new RequestGrant(this.#desk, this.owner, this.#callers, NONE)
  }

  get untilMs(): number {
    return this.#untilMs
  }

  begin(ask: Ask): Refusal | null {
    const now = this.#desk.now()
    this.settle(0n as Nano, 0)
    this.#untilMs = ask.untilMs
    const isFirst = this.#entered === null
    const refusal =
      this.#desk.checkAll(this.#callers, ask.claim, isFirst, now) ??
      this.#desk.checkAll(ask.targetScopes, ask.claim, true, now)
    if (refusal !== null) return refusal
    if (isFirst) this.#entered = this.#desk.enter(this.#callers, now)
    const targets = this.#desk.enter(ask.targetScopes, now)
    const taken = [...this.#callers, ...ask.targetScopes].map((scope) =>
      this.#desk.meterOf(scope).take(scope, ask.claim, now),
    )
    this.#running = { claim: ask.claim, atMs: ask.atMs, taken, targets }
    this.#late = null
    this.#waitsSinceMs = null
    this.#desk.opened(this, ask.claim)
    return null
  }

  refill(ask: Ask): Promise<void> | null {
    this.#waitsSinceMs ??= this.#desk.now().tickMs
    return this.#desk.refill(this.#callers, ask, this.#entered === null, this.#waitsSinceMs)
  }

  settle(costNano: Nano, tokens: number): void {
    const now = this.#desk.now()
    const ended = this.#running ?? this.#late
    if (ended === null) return
    if (this.#running !== null) this.#release(this.#running, tokens)
    this.#running = null
    this.#late = null
    for (const { meter, hasBudget } of ended.taken) {
      if (hasBudget) meter.charge(costNano, ended.atMs, now)
    }
    this.#desk.overrun(tokens - ended.claim.tokens, costNano - ended.claim.worstNano, ended.taken)
  }

  extend(untilMs: number): void {
    this.#untilMs = Math.max(this.#untilMs, untilMs)
  }

  close(): void {
    this.settle(0n as Nano, 0)
    this.#leave()
  }

  /** The lease is over: its owner has not come back. What it still reports is booked. */
  expire(): void {
    if (this.#running !== null) {
      this.#late = this.#running
      this.#release(this.#running, this.#running.claim.tokens)
    }
    this.#running = null
    this.#leave()
  }

  #leave(): void {
    for (const meter of this.#entered ?? []) meter.leave()
    this.#entered = null
    this.#desk.closed(this)
  }

  #release(running: Running, tokens: number): void {
    const { claim } = running
    for (const taken of running.taken) {
      if (taken.hasBudget) taken.meter.release(claim)
      taken.meter.correctTokens(taken, tokens - claim.tokens)
    }
    for (const meter of running.targets) meter.leave()
    this.#desk.released(claim)
  }
}
