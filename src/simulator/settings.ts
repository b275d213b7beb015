// The settings of one simulated upstream. Every setting but `dialect` and `models` has a default.

import type { DialectName, RefusalKind } from './dialects/dialect.ts'

export const FAULTS = [
  'refuse',
  'hang',
  'slow_head',
  'stall',
  'cut',
  'truncate',
  'reset',
  'garbage',
  'malformed',
  'error_in_200',
  'no_done',
  'no_usage',
  'html',
  'oversize',
] as const

type WireFault = (typeof FAULTS)[number]

export interface FaultRule {
  /** A fault of the wire, or an error of the vendor with its own status and body. */
  readonly fault: WireFault | RefusalKind
  /** Which models; absent: all. */
  readonly models?: readonly string[]
  /** Which requests, by a seeded draw; absent and no other bound: all. */
  readonly probability?: number
  /** The first so many requests of this server's life. */
  readonly first?: number
  /** Every so-manieth request. */
  readonly every?: number
  /** The next so many requests after the rule was set. */
  readonly next?: number
  /** How many content events of a stream go out before it strikes. Default 3. */
  readonly afterEvents?: number
  /** Of slow_head. Default 5000. */
  readonly delayMs?: number
  /** Of oversize. Default 40 MiB. */
  readonly bytes?: number
  /** Which error an error_in_200 is. Default server. */
  readonly error?: RefusalKind
}

export interface Limits {
  readonly concurrency?: number
  /** Requests in any 60 seconds. */
  readonly rpm?: number
  /** Input and output tokens in any 60 seconds. */
  readonly tpm?: number
}

export interface PrefixCacheConfig {
  /** Shorter hits are none. */
  readonly minTokens?: number
  /** Hits are multiples of it. */
  readonly blockTokens?: number
  readonly ttlMs?: number
}

export interface ModelConfig {
  /** The name told in answers, where it is another than the one asked for. */
  readonly title?: string
  readonly contextWindow?: number
  readonly outputMax?: number
  /** Time to first token of an idle server, and what each thousand uncached input tokens adds. */
  readonly ttftMs?: number
  readonly ttftMsPer1kInput?: number
  /** Delays vary by this ratio around their mean. */
  readonly jitter?: number
  readonly tokensPerSecond?: number
  /** With more requests in flight than this, all slow down in proportion. */
  readonly parallel?: number
  readonly limits?: Limits
  /** Absent: no cache. */
  readonly prefixCache?: PrefixCacheConfig
  /** `on` and `off`: by itself, and a request may switch; `always`, `never`: it may not. */
  readonly thinking?: 'on' | 'off' | 'always' | 'never'
  readonly reasoningTokens?: number
  /** A fixed answer instead of prose. */
  readonly answer?: string
  readonly answerTokens?: number
  readonly vision?: boolean
  readonly imageTokens?: number
  readonly tools?: boolean
  /** Answers streams only. */
  readonly streamOnly?: boolean
  /** An open model that thinks unless told otherwise, which its vendor refuses unstreamed. */
  readonly open?: boolean
}

export interface DialectOptions {
  /** doubao, ernie: whether moderated output ends with a finish reason or with an error. */
  readonly moderatedOutput?: 'finish' | 'error'
  /** doubao: errors within a stream are named events. */
  readonly errorEvents?: boolean
  /** ernie: where usage stands in a stream. */
  readonly usageChunk?: 'finish' | 'separate'
  /** qwen: errors to stream requests come as an event. */
  readonly sseErrors?: boolean
  /** ernie: how long a token of the old API lives. */
  readonly tokenTtlSeconds?: number
  /** vllm, openai: under which name reasoning stands. */
  readonly reasoningField?: 'reasoning' | 'reasoning_content' | 'both'
  /** vllm: usage says how many tokens were cached. */
  readonly promptTokensDetails?: boolean
  /** deepseek, llamacpp, tgi, vllm: a comment, or an empty line before a whole answer, each so many ms until the first token. */
  readonly keepAliveMs?: number
}

export interface SimulatorConfig {
  readonly dialect: DialectName
  /** Models by the id that requests name. */
  readonly models: Readonly<Record<string, ModelConfig>>
  /** 0, the default, takes a free port. */
  readonly port?: number
  /** Accepted credentials; absent: any that is not empty. */
  readonly keys?: readonly string[]
  readonly seed?: number
  /** Ids such as `ep-…` for models. */
  readonly endpoints?: Readonly<Record<string, string>>
  /** In force for all models together. */
  readonly limits?: Limits
  readonly faults?: readonly FaultRule[]
  readonly options?: DialectOptions
  readonly bodyBytesMax?: number
  /** Bounds of the request log; the oldest entries go first. */
  readonly logEntriesMax?: number
  readonly logBytesMax?: number
}

export const DEFAULT_MODEL = {
  contextWindow: 128_000,
  outputMax: 8_192,
  ttftMs: 200,
  ttftMsPer1kInput: 10,
  jitter: 0.1,
  tokensPerSecond: 80,
  parallel: 32,
  thinking: 'never',
  reasoningTokens: 40,
  answerTokens: 80,
  vision: false,
  imageTokens: 256,
  tools: true,
  streamOnly: false,
  open: false,
} as const satisfies ModelConfig

export const DEFAULT_PREFIX_CACHE = { minTokens: 256, blockTokens: 64, ttlMs: 300_000 } as const
