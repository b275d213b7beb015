// What an attempt is charged that a crash cut off: the tokens it was opened with. Where no price can rate it and a
// budget counts it, its input is charged at the prices that it was held at, since its hold is gone.

import type { Scope } from '#core/admission.ts'
import type { AttemptRow, Cost } from '#core/ledger.ts'
import { ceilingNano, ceilingOf, costOfHold } from '#pricing/ceiling.ts'
import { rate } from '#pricing/rate.ts'
import { exchangeOf, heldPrices } from './held-prices.ts'
import type { KeyRing } from './key-ring.ts'
import type { Live, TargetFacts } from './live.ts'
import { servedScopes } from './scopes.ts'

export function recoverRow(live: Live, keys: KeyRing, row: AttemptRow): AttemptRow {
  const target = live.directTarget(row.target)
  const recovered: AttemptRow = { ...row, outcome: 'interrupted', usageSource: 'recovered' }
  if (target === null) return recovered
  const facts = live.factsOf(target)
  const price = live.catalogue.find({
    providerName: target.provider,
    providerId: facts.provider.id,
    model: target.model,
    region: facts.settings.region,
    atMs: row.startedAtMs,
  })
  const { currency, fx } = live.settings
  const terms = { thinking: false, atMs: row.startedAtMs, currency, fx }
  const cost = price === null ? null : rate(price, row.usage, terms)
  return { ...recovered, cost: cost ?? boundOf(live, keys, facts, recovered) }
}

/** null: no budget counts it, or the rule is to charge nothing. */
function boundOf(live: Live, keys: KeyRing, facts: TargetFacts, row: AttemptRow): Cost | null {
  const { settings } = live
  const scopes = [...callerScopes(live, keys, row), ...servedScopes(settings, facts.target)]
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

/** Of its key, which may be gone meanwhile, and then of its team. */
function callerScopes({ settings }: Live, keys: KeyRing, { key: name, tags }: AttemptRow): readonly Scope[] {
  const key = settings.keys.find((configured) => configured.name === name) ?? keys.named(name, settings)
  return key?.scopes ?? settings.teams.get(tags['team'] ?? '')?.scopes ?? []
}
