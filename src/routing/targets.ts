// The states of all targets, by their names, and the limits that several of them share.

import { Quota, type QuotaLimits } from './quota.ts'
import type { PlannerTarget } from './request.ts'
import { TargetState } from './target-state.ts'
import { DEFAULT_PRIOR } from './ttft.ts'

/** Clients may name any model of a provider; beyond this the target that was met first is forgotten. */
const TARGETS_MAX = 10_000

interface Held<Value> {
  readonly value: Value
  readonly limits: QuotaLimits
}

export class Targets {
  readonly #states = new Map<string, Held<TargetState>>()
  readonly #shared = new Map<string, Held<Quota>>()

  of(target: PlannerTarget): TargetState {
    const held = this.#states.get(target.id)
    if (held !== undefined && held.limits === target.limits) return held.value
    return this.#configure(target, held)
  }

  keep(targets: ReadonlySet<string>): void {
    for (const id of this.#states.keys()) if (!targets.has(id)) this.#states.delete(id)
  }

  forget(id: string): void {
    this.#states.delete(id)
  }

  /** New limits start afresh; what is known of the target stays. */
  #configure(target: PlannerTarget, held: Held<TargetState> | undefined): TargetState {
    const shared = this.#sharedOf(target)
    let state = held?.value
    if (state === undefined || held === undefined) {
      if (this.#states.size >= TARGETS_MAX) {
        const [first] = this.#states.keys()
        if (first !== undefined) this.#states.delete(first)
      }
      state = new TargetState(target.id, target.prior ?? DEFAULT_PRIOR, new Quota(target.limits), shared)
    } else if (!areSame(held.limits, target.limits)) {
      const quota = new Quota(target.limits)
      quota.running = state.inFlight
      state.quota = quota
    }
    state.sharedQuota = shared
    this.#states.set(target.id, { value: state, limits: target.limits })
    return state
  }

  #sharedOf({ sharedLimits }: PlannerTarget): Quota | null {
    if (sharedLimits === null) return null
    const held = this.#shared.get(sharedLimits.id)
    if (held !== undefined && areSame(held.limits, sharedLimits.limits)) return held.value
    const quota = new Quota(sharedLimits.limits)
    this.#shared.set(sharedLimits.id, { value: quota, limits: sharedLimits.limits })
    return quota
  }
}

function areSame(a: QuotaLimits, b: QuotaLimits): boolean {
  return a.rpm === b.rpm && a.tpm === b.tpm && a.concurrency === b.concurrency
}
