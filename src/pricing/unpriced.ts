// What becomes of a request whose price is not known, under a budget: the rule alone. Free is known, and never comes here.

import type { UnpricedRule } from '#core/price.ts'

export interface UnpricedCase<Known> {
  readonly rule: UnpricedRule
  /** A request of a key without any budget spends nothing that anybody limits. */
  readonly underBudget: boolean
  /** What is known of like models; empty: nothing. */
  readonly known: readonly Known[]
}

export type UnpricedDecision<Known> =
  /** The target is left out, with the reason `unpriced`. */
  | { readonly kind: 'deny' }
  /** Hold the dearest of these; the row is marked `unpriced` and that is charged, since the truth is not known. */
  | { readonly kind: 'bound'; readonly known: readonly Known[] }
  /** Send it and hold nothing; the row is marked `unpriced` and has no cost. */
  | { readonly kind: 'allow_flagged' }

/** `bound` goes by what is known of like models; where nothing is, it cannot bound and denies. */
export function decideUnpriced<Known>({
  rule,
  underBudget,
  known,
}: UnpricedCase<Known>): UnpricedDecision<Known> {
  if (!underBudget || rule === 'allow_flagged') return { kind: 'allow_flagged' }
  if (rule === 'deny' || known.length === 0) return { kind: 'deny' }
  return { kind: 'bound', known }
}
