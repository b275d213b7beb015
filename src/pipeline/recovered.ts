// What a budget is charged for an attempt that a crash cut off and that no price can rate: its hold is gone, so its
// input is charged at the prices that it was held at.

import type { AttemptRow, Cost } from '#core/ledger.ts'
import { ceilingNano, ceilingOf, costOfHold } from '#pricing/ceiling.ts'
import { exchangeOf, heldPrices } from './held-prices.ts'
import type { Live, TargetFacts } from './live.ts'
import { servedScopes } from './scopes.ts'

/** null: no budget counts it, or the rule is to charge nothing. */
export function boundOfRecovered(live: Live, facts: TargetFacts, row: AttemptRow): Cost | null {
  const { settings } = live
  const key = settings.keys.find(({ name }) => name === row.key)
  const scopes = [...(key?.scopes ?? []), ...servedScopes(settings, facts.target)]
  if (!scopes.some((scope) => scope.budget !== null)) return null
  const held = heldPrices(live, row.model, facts, row.startedAtMs)
  if (held.kind === 'denied' || held.kind === 'flagged') return null
  const { inputTokens, outputTokens } = row.usage
  const size = { inputTokens, outputTokens, mayThink: false, calls: {}, units: { calls: 1, images: 1 } }
  const ceilings = held.prices.map((price) =>
    ceilingOf(price, exchangeOf(live, price, row.startedAtMs), row.startedAtMs, size),
  )
  const costNano = ceilingNano(ceilings, inputTokens, outputTokens)
  return costOfHold({ costNano, ceilings }, row.usage, settings.currency)
}
