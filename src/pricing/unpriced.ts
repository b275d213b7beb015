// What becomes of a request whose price is not known, under a budget: the rule alone. Free is known, and never comes here.

/** `unpriced:` of the configuration. */
export const UNPRICED_RULES = ['deny', 'bound', 'allow_flagged'] as const

export type UnpricedRule = (typeof UNPRICED_RULES)[number]

export interface UnpricedCase<Amount extends bigint> {
  readonly rule: UnpricedRule
  /** A request of a key without any budget spends nothing that anybody limits. */
  readonly underBudget: boolean
  /** Estimates of the priced targets for the same request; empty: none is priced. */
  readonly pricedEstimates: readonly Amount[]
}

export type UnpricedDecision<Amount extends bigint> =
  /** The target is left out, with the reason `unpriced`. */
  | { readonly kind: 'deny' }
  /** Hold so much; the row is marked `unpriced` and the hold is charged, since the truth is not known. */
  | { readonly kind: 'bound'; readonly hold: Amount }
  /** Send it and hold nothing; the row is marked `unpriced` and has no cost. */
  | { readonly kind: 'allow_flagged' }

/** `bound` takes the dearest that is known for the same request; where nothing is, it cannot bound and denies. */
export function decideUnpriced<Amount extends bigint>({
  rule,
  underBudget,
  pricedEstimates,
}: UnpricedCase<Amount>): UnpricedDecision<Amount> {
  if (!underBudget || rule === 'allow_flagged') return { kind: 'allow_flagged' }
  if (rule === 'deny') return { kind: 'deny' }
  const [first, ...rest] = pricedEstimates
  if (first === undefined) return { kind: 'deny' }
  let hold = first
  for (const next of rest) if (next > hold) hold = next
  return { kind: 'bound', hold }
}
