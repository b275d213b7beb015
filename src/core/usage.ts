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
  /** What is rarely there; absent: nothing of it. */
  readonly other?: OtherUsage
  /** What the reader found that cannot be so; absent: nothing. Rows say it beside their usage. */
  readonly doubt?: UsageDoubt
  /** Parts that the upstream did not count, and that are 0 here; absent: none. */
  readonly lacks?: 'input' | 'output' | 'both'
}

/**
 * What in an upstream's usage cannot be so. `malformed`: a figure is no count. `total`: its total is not the sum of its
 * parts. `parts`: a part is larger than its whole. `zero`: no tokens for an answer that was there. `behind`: the
 * last figure came before most of the answer.
 */
export type UsageDoubt = 'malformed' | 'total' | 'parts' | 'zero' | 'behind'

/** By how much, up or down, the upstream's own count may differ from a row's at most. */
export interface EstimateError {
  readonly inputTokens: number
  readonly outputTokens: number
  /** Of what is billed by the time that it takes, where nobody saw its end; absent: the time is known, or bills nothing. */
  readonly gpuMs?: number
}

/** Why the usage of an attempt is ours and not the upstream's. */
export type EstimateReason =
  /** The answer was whole and said no usage. */
  | 'no_usage'
  /** It broke off. */
  | 'cut'
  /** The client left: `cancel`. */
  | 'cancelled'
  /** The client left: `estimate`. */
  | 'abandoned'
  /** The client left, and a bound ended the drain. */
  | 'drain_capped'
  /** What the upstream said cannot be. */
  | 'contradiction'
  /** The process died. */
  | 'recovered'

/** What is billed beside plain tokens, or decides at which price they are. Absent means none. */
export interface OtherUsage {
  /** The tier that the answer says it was served by; `batch` for a batch. */
  readonly serviceTier?: string
  readonly resolution?: string
  readonly audio?: boolean
  readonly inputVideo?: boolean
  /** Parts of the input and output totals. */
  readonly audioInputTokens?: number
  readonly imageInputTokens?: number
  readonly audioOutputTokens?: number
  /** Kept in a cache that is billed by time. */
  readonly cacheStoredTokens?: number
  readonly cacheStoredMs?: number
  /** Put into a cache by a call of its own, outside of any input. */
  readonly cacheCreatedTokens?: number
  readonly cacheCalls?: number
  readonly searchCalls?: number
  readonly toolCalls?: number
  readonly calls?: number
  readonly images?: number
  /** As the vendor counts them; where it does not say, `text` is counted by its rule. */
  readonly characters?: number
  readonly text?: string
  readonly durationMs?: number
  readonly inputVideoMs?: number
  readonly outputVideoMs?: number
  readonly gpuMs?: number
  readonly videos?: number
  readonly voices?: number
  readonly voiceClones?: number
  readonly voiceDesigns?: number
}

/** Tiers of service that cost what a list says without a tier. */
export const PLAIN_SERVICE_TIERS: ReadonlySet<string> = new Set(['default', 'standard', 'auto', 'on_demand'])

/** Who says so: the upstream's own count, or our estimate (`recovered`: after a crash). */
export type UsageSource = 'provider' | 'drained' | 'estimated' | 'recovered'

export const NO_USAGE: TokenUsage = Object.freeze({
  inputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
})
