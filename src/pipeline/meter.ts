// Usage and cost of one attempt: the upstream's own figures, else a marked estimate; never a silent zero.

import type { AttemptRow, Cost } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import { NO_USAGE, type TokenUsage, type UsageSource } from '#core/usage.ts'
import { rate } from '#pricing/rate.ts'
import type { AttemptEnd } from './attempt.ts'
import type { Call } from './context.ts'
import type { Live, TargetFacts } from './live.ts'
import { isThinking, priceOf } from './plan.ts'

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
  const { usage, source } = usageOf(call, end)
  return { usage, source, cost: costOf(live, call, facts, usage, end.state.responseModel, startedAtMs) }
}

function usageOf(call: Call, end: AttemptEnd): { readonly usage: TokenUsage; readonly source: UsageSource } {
  if (end.state.usage !== null) return { usage: end.state.usage, source: 'provider' }
  // A refusal under an error status is not billed; a request that was never written cannot be.
  const refused = end.httpStatus >= 300 || !end.sent
  const refusedInAnswer =
    end.outcome === 'failed' && !end.state.content && end.failure !== null && REFUSALS.has(end.failure.kind)
  if (refused || refusedInAnswer) return { usage: NO_USAGE, source: 'provider' }
  const outputTokens = Math.ceil(end.state.outputBytes / OUTPUT_BYTES_PER_TOKEN)
  return { usage: { ...NO_USAGE, inputTokens: call.inputTokensEstimate, outputTokens }, source: 'estimated' }
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

/** Priced at the instant the attempt was sent. */
export function costOf(
  live: Live,
  call: Call,
  facts: TargetFacts,
  usage: TokenUsage,
  responseModel: string | null,
  startedAtMs: number,
): Cost | null {
  const price = priceOf(live, facts, responseModel, startedAtMs)
  if (price === null) return null
  const { currency, fx } = live.settings
  const thinking = isThinking(facts, call) || (call.thinking.enabled === null && usage.reasoningTokens > 0)
  return rate(price, usage, { thinking, atMs: startedAtMs, currency, fx })
}

/** Cost of a request: the sum of its priced attempts, book currency. */
export function sumCosts(attempts: readonly AttemptRow[]): Nano {
  let sum: bigint = NANO_ZERO
  for (const attempt of attempts) sum += attempt.cost?.amountNano ?? NANO_ZERO
  return sum as Nano
}
