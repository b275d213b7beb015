// The contract of a folder in providers/: facts as data on one vocabulary, and pure functions only where a
// dialect needs them. Nothing outside a folder may name it.

import type { BillFormat } from './bill.ts'
import type { FailureKind } from './errors.ts'
import type { UpstreamFormat } from './wire-format.ts'

/** What a request can need of a target. */
export const CAPABILITIES = [
  'stream',
  'unstreamed',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'vision',
  'audio_input',
  'video_input',
  'file_input',
  'json_object',
  'json_schema',
  'n',
  'logprobs',
  'stop',
  'thinking',
] as const

/** Message parts that are no text: models of text take none of them. */
export const MEDIA_INPUTS = [
  'vision',
  'audio_input',
  'video_input',
  'file_input',
] as const satisfies readonly Capability[]

export type Capability = (typeof CAPABILITIES)[number]

/** How a credential is presented. `exchange`: a short-lived token is fetched first, by the pipeline. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer' }
  | { readonly kind: 'header'; readonly header: string }
  /** `sign` makes a short-lived token from the key (pure: no clock, no I/O); null: send the key as it is. */
  | {
      readonly kind: 'jwt'
      readonly sign: (
        secret: string,
        nowMs: number,
        hmacSha256: HmacSha256,
      ) => { readonly token: string; readonly expiresAtMs: number } | null
    }
  | CredentialExchange

/** HMAC-SHA256 given by the runtime; returns the raw digest. */
export type HmacSha256 = (key: string, data: string) => Uint8Array

/**
 * An OAuth-like exchange as two pure functions. The pipeline fetches through its port, one at a time per
 * credential, ahead of expiry, and once more when a failure says the token is stale (`ErrorRule.renew`).
 */
export interface CredentialExchange {
  readonly kind: 'exchange'
  /** null: this secret needs no exchange and is sent as a bearer token. */
  readonly request: (
    secret: string,
    /** Where the calls go, so that a configured origin serves the token too. */ baseUrl: string,
  ) => {
    readonly method: 'GET' | 'POST'
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
  } | null
  /** Reads the token answer; `error` is a text without secrets. */
  readonly read: (
    status: number,
    body: string,
  ) => { readonly token: string; readonly expiresInSeconds: number } | { readonly error: string }
  /** Where the token goes on each call. */
  readonly place: { readonly query: string } | { readonly header: string; readonly prefix?: string }
}

/**
 * One line of a vendor's error table. A rule matches when all its given parts match; the first match wins.
 * Codes are compared as text; a string matches whole, a RegExp anywhere.
 */
export interface ErrorRule {
  readonly status?: number
  readonly code?: string | RegExp
  readonly type?: string | RegExp
  readonly message?: RegExp
  readonly kind: FailureKind
  /** The credential is stale: renew it and try this target once more. */
  readonly renew?: true
}

/** How a dialect says "think" and "do not think". */
export type ThinkingSwitch =
  /**
   * `thinking: {type: 'enabled' | 'disabled'}`, with `reasoning_effort` beside it where `efforts` is given; `on` is
   * the only word for thinking where that is not `enabled`; `auto` where the model may be told to choose; `budget` where
   * `budget_tokens` may stand beside the type.
   */
  | {
      readonly style: 'thinking'
      readonly efforts?: readonly string[]
      readonly budget?: boolean
      readonly on?: string
      readonly auto?: boolean
    }
  /** `enable_thinking: boolean`, with `thinking_budget` (tokens) beside it. */
  | { readonly style: 'enable_thinking'; readonly budgetField?: string; readonly efforts?: readonly string[] }
  /** `chat_template_kwargs: {enable_thinking: boolean}`. */
  | { readonly style: 'chat_template_kwargs'; readonly key: string; readonly efforts?: readonly string[] }
  /** `reasoning_effort` alone; `off` is the word for none, null where thinking cannot be switched off. */
  | { readonly style: 'reasoning_effort'; readonly efforts: readonly string[]; readonly off: string | null }
  /** OpenRouter's `reasoning: {effort | max_tokens | enabled}`. */
  | { readonly style: 'reasoning' }
  /** The model decides; the switch is dropped and said so. */
  | { readonly style: 'none' }

/** How an OpenAI-chat upstream departs from OpenAI. Each entry has its fixture. */
export interface Quirks {
  /** `option`: usage comes when `stream_options.include_usage` is sent. `always`: it comes unasked and the option is not sent. */
  readonly streamUsage: 'option' | 'always'
  /**
   * Whether the vendor stops working, and billing, when the connection is closed. `streams`: only where it streams.
   * Absent: nobody knows, which counts as `no`.
   */
  readonly cancelStopsBilling?: 'yes' | 'streams' | 'no'
  /** The length fields the upstream knows; the other one is renamed. Default `both`. */
  readonly maxTokens?: 'both' | 'max_tokens' | 'max_completion_tokens'
  /**
   * The length fields bound thinking and answer together, `max_tokens` too. Absent: `max_tokens` is about the answer
   * alone, so that it does not bound what is billed.
   */
  readonly lengthCoversThinking?: true
  /**
   * Request fields that switch on the provider's own searches and tools: `true`, or an object that does not say it is
   * off. Entries of `tools` that are no functions do so in every dialect.
   */
  readonly searchFields?: readonly string[]
  /** The model searches whatever it is told. */
  readonly searches?: true
  /** `developer` messages become `system`. Default true. */
  readonly developerToSystem?: boolean
  /** All system messages are joined into one at the front. */
  readonly systemFirst?: boolean
  /** Content arrays of text parts only become one string. */
  readonly flattenText?: boolean
  /** What an assistant turn with tool calls and no content must carry. */
  readonly emptyAssistantContent?: string
  /** Assistant turns with tool calls must carry `reasoning_content`, at least "". */
  readonly reasoningRequired?: boolean
  /** Names under which history `reasoning_content` is sent. Default `['reasoning_content']`; [] drops it. */
  readonly reasoningReplay?: readonly string[]
  /** Request fields (hints only) that the upstream refuses: dropped and listed in `x-sluice-dropped`. */
  readonly drops?: readonly string[]
  /** Request fields under another name upstream: `{user: 'user_id'}`. */
  readonly renames?: Readonly<Record<string, string>>
  readonly thinking: ThinkingSwitch
  /** Tokens of thinking for each effort where a budget must be sent. */
  readonly effortBudgets?: Readonly<Record<string, number>>
  /** Vendor finish reasons → OpenAI's; `error` makes it an upstream failure. */
  readonly finishReasons?: Readonly<
    Record<string, 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'error'>
  >
  /** Where the answer's reasoning stands if not in `reasoning_content`. */
  readonly reasoningField?: 'reasoning'
  /** A turn that ends in tool calls says `stop`; agents go by `tool_calls`. Goes with `looseToolCalls`. */
  readonly toolCallsEndInStop?: boolean
  /** Chunks say `role: ""` or `finish_reason: ""` where OpenAI leaves the word out; strict SDKs refuse both. */
  readonly emptyWords?: boolean
  /** `stop` must be a list. */
  readonly stopAsList?: boolean
  /** `tool_choice: "none"` is not known: the tools themselves are left out. */
  readonly noToolsForNone?: boolean
  /** Streamed or whole `tool_calls` may lack indexes, be an object, be empty or repeat empty names: events are rebuilt. */
  readonly looseToolCalls?: boolean
  /** Extra headers on every request. */
  readonly headers?: Readonly<Record<string, string>>
  /** Extra header when the request streams. */
  readonly streamHeaders?: Readonly<Record<string, string>>
}

/** What is known of some models of a provider, by id; patterns in order, the first that matches holds. */
export interface ModelRule {
  readonly match: RegExp
  readonly can?: readonly Capability[]
  readonly cannot?: readonly Capability[]
  readonly quirks?: Partial<Quirks>
  /** What the model cannot do while it thinks. */
  readonly cannotWhileThinking?: readonly Capability[]
  /** Path of chat completions below the base URL where it is not the provider's. */
  readonly chatPath?: string
  /** The model thinks unless told otherwise: longer default deadlines. */
  readonly thinksByDefault?: boolean
  readonly contextWindow?: number
  /** A client that needs one of these and says nothing of thinking is served without it. */
  readonly thinksNotFor?: readonly Capability[]
}

export interface FormatChoice {
  readonly model: string
  /** As configured; null: the folder's own. */
  readonly baseUrl: string | null
  readonly secret: string | null
}

export interface Provider {
  /** The folder's name, the word after `use:` in the configuration. */
  readonly id: string
  readonly title: string
  /** The page or source that most facts come from. */
  readonly source: string
  /** Absent: `base_url` must be configured. */
  readonly baseUrl?: string
  /** Price list by host suffix; the first match wins. `region:` in the configuration overrides. */
  readonly regions?: readonly { readonly region: string; readonly host: string }[]
  readonly region: string
  readonly credential: Credential
  readonly keyRequired: boolean
  /** Formats beside OpenAI chat, and who gets which: null means OpenAI chat. */
  readonly formats?: readonly UpstreamFormat[]
  readonly chooseFormat?: (input: FormatChoice) => string | null
  /** Path of chat completions below the base URL. Default `/chat/completions`. */
  readonly chatPath?: string
  /** Path of legacy completions; absent: the prompt goes as a user message. */
  readonly completionsPath?: string
  /** What the provider's API cannot do at all. */
  readonly cannot?: readonly Capability[]
  /** What none of its models can do while it thinks; `unstreamed`: then it must stream, and is collected. */
  readonly cannotWhileThinking?: readonly Capability[]
  readonly quirks: Quirks
  readonly models?: readonly ModelRule[]
  readonly errors: readonly ErrorRule[]
  /** How its bill is read; absent: the configuration says it. */
  readonly bill?: BillFormat
  /** Value of `gen_ai.provider.name`; default the id. */
  readonly telemetryName?: string
}
