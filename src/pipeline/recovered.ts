// What an attempt is charged that a crash cut off: the tokens it was opened with, one call, and the time that it may have
// run. Where no price can rate it and a budget counts it, its input is charged at the prices that it was held at, since
// its hold is gone.

import type { Scope } from '#core/admission.ts'
import type { AttemptRow, Cost, RequestRow } from '#core/ledger.ts'
import { ceilingNano, ceilingOf, costOfHold } from '#pricing/ceiling.ts'
import type { Price } from '#pricing/price.ts'
import { rate } from '#pricing/rate.ts'
import { exchangeOf, heldPrices } from './held-prices.ts'
import { TIMER_SLACK_MS } from './hold.ts'
import type { KeyRing } from './key-ring.ts'
import type { Live, TargetFacts } from './live.ts'
import { servedScopes } from './scopes.ts'

export interface CrashInput {
  readonly request: RequestRow
  /** The instance wrote its last row then. */
  readonly aliveAtMs: number
  readonly nowMs: number
}

export function recoverRow(live: Live, keys: KeyRing, row: AttemptRow, crash: CrashInput): AttemptRow {
  const target = live.directTarget(row.target)
  const interrupted: AttemptRow = { ...row, outcome: 'interrupted', usageSource: 'recovered' }
  if (target === null) return interrupted
  const facts = live.factsOf(target)
  const price = live.catalogue.find({
    providerName: target.provider,
    providerId: facts.provider.id,
    model: target.model,
    region: facts.settings.region,
    atMs: row.startedAtMs,
  })
  const recovered = withOwnCounts(live, price, interrupted, crash)
  const { currency, fx } = live.settings
  const terms = { thinking: false, atMs: row.startedAtMs, currency, fx }
  const cost = price === null ? null : rate(price, recovered.usage, terms)
  return { ...recovered, cost: cost ?? boundOf(live, keys, facts, recovered) }
}

/** What no upstream counts, and what no row of an attempt that has not ended says. */
function withOwnCounts(live: Live, price: Price | null, row: AttemptRow, crash: CrashInput): AttemptRow {
  const { usage, estimateError } = row
  if (price?.unit === 'per_call') return { ...row, usage: { ...usage, other: { ...usage.other, calls: 1 } } }
  if (price?.unit !== 'per_gpu_second') return row
  const { startedAtMs } = row
  // It ran while the instance was known to live, and not longer than until now, nor than it was allowed to. Between
  // these what such answers usually take is the likeliest; where that is not known, none may cost more than is booked.
  const most = within(0, totalMsOf(live, row, crash) + TIMER_SLACK_MS, crash.nowMs - startedAtMs)
  const least = within(0, most, crash.aliveAtMs - startedAtMs)
  const gpuMs = Math.round(within(least, most, usage.other?.gpuMs ?? most))
  const tokens = estimateError ?? { inputTokens: 0, outputTokens: 0 }
  return {
    ...row,
    usage: { ...usage, other: { ...usage.other, gpuMs } },
    estimateError: { ...tokens, gpuMs: Math.ceil(Math.max(gpuMs - least, most - gpuMs)) },
  }
}

function within(least: number, most: number, value: number): number {
  return Math.max(least, Math.min(most, value))
}

/** By the policy that it was planned by, which may be gone; else by that of its model. */
function totalMsOf({ settings, policy }: Live, row: AttemptRow, { request }: CrashInput): number {
  const planned = settings.policies.get(request.decision?.policy ?? '')
  const { timeouts } = planned ?? policy(settings.models.get(row.model)?.policy ?? 'default')
  return timeouts.totalMs
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
