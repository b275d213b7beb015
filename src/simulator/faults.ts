// Which fault strikes a request.

import type { Random } from './random.ts'
import type { FaultRule } from './settings.ts'

export class FaultPicker {
  readonly #rules: readonly { readonly rule: FaultRule; seen: number }[]
  readonly #random: Random
  readonly #seenBefore: number

  /** `seen`: requests before these rules were set, which `first` counts too. */
  constructor(rules: readonly FaultRule[], random: Random, seen: number) {
    this.#random = random
    this.#rules = rules.map((rule) => ({ rule, seen: 0 }))
    this.#seenBefore = seen
  }

  /** The first rule that fits; each request counts once on every rule for its model. */
  pick(model: string): FaultRule | null {
    let picked: FaultRule | null = null
    for (const state of this.#rules) {
      const { rule } = state
      if (rule.models !== undefined && !rule.models.includes(model)) continue
      state.seen++
      if (picked === null && this.#strikes(rule, state.seen)) picked = rule
    }
    return picked
  }

  #strikes(rule: FaultRule, seen: number): boolean {
    if (rule.first !== undefined && this.#seenBefore + seen > rule.first) return false
    if (rule.next !== undefined && seen > rule.next) return false
    if (rule.every !== undefined && seen % rule.every !== 0) return false
    return rule.probability === undefined || this.#random.unit() < rule.probability
  }
}
