// The canonical form in which client formats and upstream formats meet. Requests are OpenAI chat bodies (the
// field's common tongue), read and never changed; answers are a sequence of events.

/** A parsed, validated chat body. Fields we do not know stay in it. */
export interface ChatRequest {
  /** Absent where `models` names some. */
  readonly model?: string | null
  readonly messages: readonly ChatMessage[]
  readonly stream?: boolean
  readonly [field: string]: unknown
}

/** Fields of a request that are for the gateway: heeded here, they never reach an upstream. */
export const OWN_FIELDS: readonly string[] = ['models', 'provider']

export interface ChatMessage {
  readonly role: string
  readonly content?: string | null | readonly ContentPart[]
  readonly tool_calls?: readonly ToolCall[]
  readonly tool_call_id?: string
  readonly name?: string
  readonly reasoning_content?: string
  readonly [field: string]: unknown
}

export interface ContentPart {
  readonly type: string
  readonly text?: string
  readonly [field: string]: unknown
}

export interface ToolCall {
  readonly id?: string
  readonly type?: string
  readonly function?: { readonly name?: string; readonly arguments?: string }
  readonly [field: string]: unknown
}

/** The thinking switch in one form; null: the client said nothing. */
export interface ThinkingRequest {
  readonly enabled: boolean | 'auto' | null
  /** `minimal`, `low`, `medium`, `high`, …, as sent. */
  readonly effort: string | null
  readonly budgetTokens: number | null
}

/** OpenAI's closed set; a vendor's other values are mapped by its folder. */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'function_call'

/** `data` (base64) and `transcript` of the fragments are joined; of the rest the last word holds. */
export type AudioDelta = Readonly<Record<string, unknown>>

/** Lists, joined over the fragments. */
export interface LogprobsDelta {
  readonly content: readonly unknown[] | null
  readonly refusal: readonly unknown[] | null
}

/**
 * One step of an answer, streamed or not. Order: start, then deltas of any choice, one finish per choice,
 * usage (last one wins); or failure, after which nothing follows.
 */
export type ChatEvent =
  | {
      readonly type: 'start'
      readonly id: string | null
      readonly model: string | null
      readonly createdSeconds: number | null
    }
  | { readonly type: 'text-delta'; readonly choice: number; readonly text: string }
  | { readonly type: 'reasoning-delta'; readonly choice: number; readonly text: string }
  | { readonly type: 'refusal-delta'; readonly choice: number; readonly text: string }
  | {
      readonly type: 'tool-call-start'
      readonly choice: number
      readonly call: number
      readonly id: string
      readonly name: string
    }
  | {
      readonly type: 'tool-call-delta'
      readonly choice: number
      readonly call: number
      readonly arguments: string
    }
  /** A vendor may say a call's name only after its first arguments. */
  | { readonly type: 'tool-call-name'; readonly choice: number; readonly call: number; readonly name: string }
  /** The old form of a call, for clients that sent `functions`. */
  | {
      readonly type: 'function-call-delta'
      readonly choice: number
      readonly name: string
      readonly arguments: string
    }
  | { readonly type: 'audio-delta'; readonly choice: number; readonly audio: AudioDelta }
  | { readonly type: 'logprobs-delta'; readonly choice: number; readonly logprobs: LogprobsDelta }
  | { readonly type: 'finish'; readonly choice: number; readonly reason: FinishReason }
  | { readonly type: 'usage'; readonly usage: import('./usage.ts').TokenUsage }
  | { readonly type: 'failure'; readonly failure: import('./errors.ts').UpstreamFailure }
