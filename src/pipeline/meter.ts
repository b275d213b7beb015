// Usage and cost of one attempt: the upstream's own figures, else a marked estimate; never a silent zero.

import type { AttemptRow, Cost } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import { NO_USAGE, type TokenUsage, type UsageSource } from '#core/usage.ts'
import type { Price } from '#pricing/price.ts'
import { type RatingTerms, rate, rateCovered } from '#pricing/rate.ts'
import type { AttemptEnd } from './attempt.ts'
import type { Call } from './context.ts'
import type { Live, TargetFacts } from './live.ts'
import { billedTokensMax } from './output-bound.ts'
import { priceOf } from './plan.ts'
import { isThinking } from './thinking.ts'

export interface Metered {
  readonly usage: TokenUsage
  readonly source: UsageSource
  /** null: no price is known. */
  readonly cost: Cost | null
}

/** Bytes of output text per token, about; between English and Chinese. */
const OUTPUT_BYTES_PER_TOKEN = 4

export function meter(
  live: Live,
  call: Call,
  facts: TargetFacts,
  end: AttemptEnd,
  startedAtMs: number,
): Metered {
  const { usage: counted, source } = usageOf(call, facts, end)
  const price = priceOf(live, facts, end.state.responseModel, startedAtMs)
  if (price === null) return { usage: counted, source, cost: null }
  const usage = withGpuTime(price, counted, isRefused(end) ? 0 : end.durationMs)
  const terms = termsOf(live, call, facts, usage, startedAtMs)
  const { balances } = live.catalogue
  const { cost, uses } = rateCovered(
    price,
    usage,
    terms,
    balances.of(facts.target.provider, facts.target.model),
  )
  if (uses.length > 0) balances.take(uses)
  return { usage, source, cost }
}

/** A model on machines of our own may be priced by the time it takes, which no upstream counts. */
function withGpuTime(price: Price, usage: TokenUsage, durationMs: number): TokenUsage {
  if (price.unit !== 'per_gpu_second') return usage
  return { ...usage, other: { ...usage.other, gpuMs: Math.round(durationMs) } }
}

function usageOf(
  call: Call,
  facts: TargetFacts,
  end: AttemptEnd,
): { readonly usage: TokenUsage; readonly source: UsageSource } {
  if (end.state.usage !== null) return { usage: end.state.usage, source: 'provider' }
  if (isRefused(end)) return { usage: NO_USAGE, source: 'provider' }
  const estimate = Math.ceil(end.state.outputBytes / OUTPUT_BYTES_PER_TOKEN)
  // No answer is longer than it was allowed to be, however long its words are.
  const outputTokens = Math.min(estimate, billedTokensMax(call, facts))
  return { usage: { ...NO_USAGE, inputTokens: call.inputTokensEstimate, outputTokens }, source: 'estimated' }
}

/** A refusal under an error status is not billed; a request that was never written cannot be. */
function isRefused(end: AttemptEnd): boolean {
  if (end.httpStatus >= 300 || !end.sent) return true
  return (
    end.outcome === 'failed' && !end.state.content && end.failure !== null && REFUSALS.has(end.failure.kind)
  )
}

/** Failures that a provider says before it works, also under HTTP 200. */
const REFUSALS: ReadonlySet<string> = new Set([
  'moderation',
  'quota',
  'rate_limit',
  'overloaded',
  'context_length',
  'auth',
  'model_unavailable',
  'invalid_request',
])

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
