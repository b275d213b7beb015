// What is kept for one policy and the model asked for under it: what its requests are worth, how long their answers
// are, and what may still be explored and hedged.

import type { PolicySettings } from '#core/settings.ts'
import { Allowance } from './allowance.ts'
import { type Candidate, costOf } from './candidate.ts'
import { OutputLength } from './output-length.ts'
import { Worth } from './worth.ts'

/** So many explorations or hedges may come at once: an outage does not keep to shares. */
const EXPLORE_BURST = 4
const HEDGE_BURST = 12

export class PolicyBook {
  readonly worth = new Worth()
  readonly outputs = new OutputLength()
  readonly #explorations = new Allowance(EXPLORE_BURST, EXPLORE_BURST)
  readonly #hedges = new Allowance(HEDGE_BURST, HEDGE_BURST)
  /** Book currency; below nothing by what a burst of hedges may cost. */
  readonly #hedgeSpend = new Allowance(Number.POSITIVE_INFINITY)

  /** A request has come, and these targets could take it. */
  requested(policy: PolicySettings, usable: readonly Candidate[]): void {
    let leastCost = Number.POSITIVE_INFINITY
    let bestChance = 0
    for (const candidate of usable) {
      const cost = costOf(candidate)
      if (cost > 0 && cost < leastCost) leastCost = cost
      if (candidate.chance > bestChance) bestChance = candidate.chance
    }
    this.worth.requested(leastCost === Number.POSITIVE_INFINITY ? 0 : leastCost, bestChance)
    this.#explorations.earn(policy.explore.maxShare)
    this.#hedges.earn(policy.hedge.maxShare)
  }

  /** So much is about to be spent. */
  spending(policy: PolicySettings, cost: number): void {
    if (cost > 0) this.#hedgeSpend.earn(policy.hedge.maxExtraCost * cost)
  }

  mayExplore(policy: PolicySettings): boolean {
    return policy.explore.maxShare > 0 && this.#explorations.has(1)
  }

  explored(): void {
    this.#explorations.spend(1)
  }

  mayHedge(): boolean {
    return this.#hedges.has(1)
  }

  mayHedgeFor(cost: number): boolean {
    return this.#hedgeSpend.has(-HEDGE_BURST * cost)
  }

  hedged(extraCost: number): void {
    this.#hedges.spend(1)
    if (extraCost > 0) this.#hedgeSpend.spend(extraCost)
  }
}

/** Clients may ask for any model of a provider. */
const BOOKS_MAX = 10_000

export class PolicyBooks {
  readonly #books = new Map<string, PolicyBook>()

  of(policy: PolicySettings, model: string): PolicyBook {
    const key = `${policy.name} ${model}`
    let book = this.#books.get(key)
    if (book === undefined) {
      if (this.#books.size >= BOOKS_MAX) this.#books.clear()
      book = new PolicyBook()
      this.#books.set(key, book)
    }
    return book
  }

  under({ name }: PolicySettings): readonly { readonly model: string; readonly book: PolicyBook }[] {
    const prefix = `${name} `
    return [...this.#books]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, book]) => ({ model: key.slice(prefix.length), book }))
  }
}
