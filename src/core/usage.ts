// Token usage in one form for all dialects. Totals include their parts, as OpenTelemetry's GenAI conventions have it.

export interface TokenUsage {
  /** All input tokens, cached ones and cache writes included. */
  readonly inputTokens: number
  readonly cachedInputTokens: number
  readonly cacheWriteTokens: number
  /** All output tokens, reasoning included. */
  readonly outputTokens: number
  readonly reasoningTokens: number
  /** DashScope's explicit cache bills hits at another price than the implicit one. */
  readonly explicitCache?: boolean
}

/** Who says so: the upstream's own count, or our estimate (`recovered`: after a crash). */
export type UsageSource = 'provider' | 'drained' | 'estimated' | 'recovered'

export const NO_USAGE: TokenUsage = Object.freeze({
  inputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
})
