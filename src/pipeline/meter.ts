// What an attempt costs: its usage at the price of the instant it was sent.

import type { AttemptRow, Cost } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import type { TokenUsage } from '#core/usage.ts'
import type { Price } from '#pricing/price.ts'
import { type RatingTerms, rate, rateCovered } from '#pricing/rate.ts'
import type { AttemptEnd } from './attempt-end.ts'
import { type Billable, billableOf, type Gauges, isRefused } from './billable.ts'
import type { Call } from './context.ts'
import type { Live, TargetFacts } from './live.ts'
import { priceOf } from './price-of.ts'
import { isThinking } from './thinking.ts'

export interface Metered extends Billable {
  /** null: no price is known. */
  readonly cost: Cost | null
}

export function meter(
  gauges: Gauges,
  live: Live,
  call: Call,
  facts: TargetFacts,
  end: AttemptEnd,
  startedAtMs: number,
): Metered {
  const billable = billableOf(gauges, call, facts, end)
  const price = priceOf(live, facts, end.state.responseModel, startedAtMs)
  if (price === null) return { ...billable, cost: null }
  const usage = withOwnCounts(price, billable.usage, end)
  const terms = termsOf(live, call, facts, usage, startedAtMs)
  const { balances } = live.catalogue
  const { cost, uses } = rateCovered(
    price,
    usage,
    terms,
    balances.of(facts.target.provider, facts.target.model, price, startedAtMs),
  )
  if (uses.length > 0) balances.take(uses, startedAtMs)
  return { ...billable, usage, cost }
}

/** A model may be priced by the time it takes or by the call, which no upstream counts. */
function withOwnCounts(price: Price, usage: TokenUsage, end: AttemptEnd): TokenUsage {
  if (price.unit === 'per_gpu_second') {
    const gpuMs = isRefused(end) ? 0 : Math.round(end.durationMs)
    return { ...usage, other: { ...usage.other, gpuMs } }
  }
  if (price.unit === 'per_call') return { ...usage, other: { ...usage.other, calls: isRefused(end) ? 0 : 1 } }
  return usage
}

/** What a usage costs so far, before balances; priced at the instant the attempt was sent. */
export function costOf(
  live: Live,
  call: Call,
  facts: TargetFacts,
  usage: TokenUsage,
  responseModel: string | null,
  startedAtMs: number,
): Cost | null {
  const price = priceOf(live, facts, responseModel, startedAtMs)
  return price === null ? null : rate(price, usage, termsOf(live, call, facts, usage, startedAtMs))
}

function termsOf(live: Live, call: Call, facts: TargetFacts, usage: TokenUsage, atMs: number): RatingTerms {
  const { currency, fx } = live.settings
  const thinking = isThinking(facts, call) || (call.thinking.enabled === null && usage.reasoningTokens > 0)
  return { thinking, atMs, currency, fx }
}

/** Cost of a request: the sum of its priced attempts, book currency. */
export function sumCosts(attempts: readonly AttemptRow[]): Nano {
  let sum: bigint = NANO_ZERO
  for (const attempt of attempts) sum += attempt.cost?.amountNano ?? NANO_ZERO
  return sum as Nano
}
