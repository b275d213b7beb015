// What has been observed of the targets of one instance. Instants come in; nothing here reads a clock.

import type { FailureKind } from '#core/errors.ts'
import {
  atInstant,
  type BreakerRules,
  type BreakerState,
  CLOSED,
  onFailure,
  onNeutral,
  onSent,
  onSuccess,
} from './breaker.ts'
import { LatencyWindow } from './latency.ts'

export class TargetHealth {
  #breaker: BreakerState = CLOSED
  readonly latency = new LatencyWindow()
  inFlight = 0

  breaker(nowMs: number): BreakerState {
    this.#breaker = atInstant(this.#breaker, nowMs)
    return this.#breaker
  }

  sent(nowMs: number): void {
    this.#breaker = onSent(this.breaker(nowMs))
    this.inFlight++
  }

  succeeded(): void {
    this.inFlight--
    this.#breaker = onSuccess(this.#breaker)
  }

  neutral(): void {
    this.inFlight--
    this.#breaker = onNeutral(this.#breaker)
  }

  failed(kind: FailureKind, rules: BreakerRules, nowMs: number, retryAfterMs: number | null): void {
    this.inFlight--
    this.#breaker = onFailure(this.breaker(nowMs), kind, rules, nowMs, retryAfterMs)
  }
}

/** Clients may name any model of a provider; beyond this the target that was met first is forgotten. */
export const TARGETS_MAX = 50_000

/** By target id. */
export class HealthBoard {
  readonly #targets = new Map<string, TargetHealth>()

  of(target: string): TargetHealth {
    let health = this.#targets.get(target)
    if (health === undefined) {
      if (this.#targets.size >= TARGETS_MAX) this.#forgetFirst()
      health = new TargetHealth()
      this.#targets.set(target, health)
    }
    return health
  }

  #forgetFirst(): void {
    const [first] = this.#targets.keys()
    if (first !== undefined) this.#targets.delete(first)
  }

  /** Forgets targets that a new configuration no longer has. */
  keep(targets: ReadonlySet<string>): void {
    for (const target of this.#targets.keys()) if (!targets.has(target)) this.#targets.delete(target)
  }

  /** Starts a target afresh, after its address or credential changed. */
  forget(target: string): void {
    this.#targets.delete(target)
  }
}
