// The states of all targets, by their names, and the limits that several of them share.

import { type Limits, NO_LIMITS } from '#core/admission.ts'
import { AccountState } from './account.ts'
import { Quota } from './quota.ts'
import type { PlannerTarget } from './request.ts'
import { TargetState } from './target-state.ts'
import { DEFAULT_PRIOR } from './ttft.ts'

/** Clients may name any model of a provider; beyond this the target that was met first is forgotten. */
const TARGETS_MAX = 10_000

interface Held<Value> {
  readonly value: Value
  readonly limits: Limits
  readonly accounts: PlannerTarget['accounts']
}

export class Targets {
  readonly #states = new Map<string, Held<TargetState>>()
  readonly #shared = new Map<string, Held<Quota>>()

  of(target: PlannerTarget): TargetState {
    const held = this.#states.get(target.id)
    if (held !== undefined && held.limits === target.limits && held.accounts === target.accounts)
      return held.value
    return this.#configure(target, held)
  }

  get(id: string): TargetState | undefined {
    return this.#states.get(id)?.value
  }

  keep(targets: ReadonlySet<string>): void {
    for (const id of this.#states.keys()) if (!targets.has(id)) this.#states.delete(id)
  }

  forget(id: string): void {
    this.#states.delete(id)
  }

  /** New limits and keys start afresh; what is known of the target stays. */
  #configure(target: PlannerTarget, held: Held<TargetState> | undefined): TargetState {
    let state = held?.value
    if (state === undefined || held === undefined) {
      if (this.#states.size >= TARGETS_MAX) {
        const [first] = this.#states.keys()
        if (first !== undefined) this.#states.delete(first)
      }
      state = new TargetState(target.id, target.prior ?? DEFAULT_PRIOR, this.#accountsOf(target))
    } else if (!areSame(held.limits, target.limits) || !areSameAccounts(held.accounts, target.accounts)) {
      state.accounts = this.#accountsOf(target, state)
    } else if (target.accounts.length === 0) {
      state.account.sharedQuota = this.#sharedOf(target.sharedLimits)
    }
    const { limits, accounts } = target
    this.#states.set(target.id, { value: state, limits, accounts })
    return state
  }

  #accountsOf(target: PlannerTarget, known?: TargetState): readonly AccountState[] {
    const { accounts, limits, sharedLimits } = target
    if (accounts.length === 0) {
      const account = new AccountState(null, new Quota(limits), this.#sharedOf(sharedLimits))
      account.quota.running = known?.inFlight ?? 0
      return [account]
    }
    return accounts.map(
      ({ id, sharedId, limits: own }) =>
        new AccountState(
          id,
          new Quota(NO_LIMITS),
          isLimited(own) ? this.#sharedOf({ id: sharedId, limits: own }) : null,
        ),
    )
  }

  #sharedOf(shared: PlannerTarget['sharedLimits']): Quota | null {
    if (shared === null) return null
    const held = this.#shared.get(shared.id)
    if (held !== undefined && areSame(held.limits, shared.limits)) return held.value
    const quota = new Quota(shared.limits)
    this.#shared.set(shared.id, { value: quota, limits: shared.limits, accounts: NONE })
    return quota
  }
}

const NONE: readonly never[] = Object.freeze([])

function isLimited({ rpm, tpm, concurrency }: Limits): boolean {
  return rpm !== null || tpm !== null || concurrency !== null
}

function areSameAccounts(a: PlannerTarget['accounts'], b: PlannerTarget['accounts']): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  return a.every(({ id, limits }, index) => {
    const other = b[index]
    return other !== undefined && other.id === id && areSame(other.limits, limits)
  })
}

function areSame(a: Limits, b: Limits): boolean {
  return a.rpm === b.rpm && a.tpm === b.tpm && a.concurrency === b.concurrency
}
