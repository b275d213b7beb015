// What a dialect gives the server: its routes, and per endpoint how a request is read, an answer is written and a
// refusal is worded. Facts and their sources: the pages that each dialect names at its top.

import type { ChatRequest, Finish, Piece, Usage } from '../chat.ts'
import type { Random } from '../random.ts'
import type { DialectOptions, ModelConfig } from '../settings.ts'

export const DIALECTS = [
  'doubao',
  'qwen',
  'ernie',
  'deepseek',
  'openai',
  'vllm',
  'ollama',
  'tgi',
  'llamacpp',
] as const

export type DialectName = (typeof DIALECTS)[number]

/** Why a vendor refuses. */
export const REFUSALS = [
  'auth',
  'rate_limit',
  'quota',
  'overloaded',
  'context_length',
  'moderation',
  'moderation_output',
  'model_unavailable',
  'server',
  'invalid_request',
] as const

export type RefusalKind = (typeof REFUSALS)[number]

export interface Refusal {
  readonly kind: RefusalKind
  /** The vendor's own code and text, where a rule has one. */
  readonly code?: string
  readonly message?: string
  readonly param?: string
  readonly model?: string
  /** Of rate_limit. */
  readonly limit?: 'requests' | 'tokens' | 'concurrency'
  /** Of context_length. */
  readonly tokens?: { readonly max: number; readonly input: number; readonly output: number }
}

export interface Incoming {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly bodyText: string
  /** undefined: no JSON. */
  readonly body: unknown
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What a dialect may know of its server. */
export interface Desk {
  readonly models: Readonly<Record<string, ModelConfig>>
  readonly endpoints: Readonly<Record<string, string>>
  readonly options: DialectOptions
  readonly random: Random
  nowMs(): number
  accepts(key: string): boolean
  /** Keeps state of a dialect, such as tokens that were given out. */
  readonly memory: Map<string, number>
  /** The limits of a model and what is left of them; null: it has none, or there is no such model. */
  limitsOf(model: string): {
    readonly rpm: number | null
    readonly tpm: number | null
    readonly requestsLeft: number | null
    readonly tokensLeft: number | null
  } | null
}

/** One request's facts that its answer repeats. */
export interface About {
  readonly requestId: string
  readonly createdSeconds: number
  readonly incoming: Incoming
}

export interface Frame {
  readonly text: string
  readonly part: 'content' | 'end' | 'done'
}

interface WholeChoice {
  readonly pieces: readonly Piece[]
  readonly finish: Finish
}

export interface Encoder {
  /** Before the first piece; usage is what is known then. */
  open(usage: Usage | null): readonly Frame[]
  /** usage: so far; null: none may be told. */
  piece(piece: Piece, usage: Usage | null): readonly Frame[]
  finish(choice: number, reason: Finish, usage: Usage | null): readonly Frame[]
  end(usage: Usage | null): readonly Frame[]
  whole(choices: readonly WholeChoice[], usage: Usage | null): unknown
}

export interface Asked {
  readonly chat: ChatRequest
  /** `model`: the name that the answer tells, already resolved. */
  encoder(model: string, about: About, thinks: boolean): Encoder
}

/** One endpoint that generates. */
export interface ChatApi {
  readonly streamType: string
  readonly jsonType: string
  /** The head of a stream goes out before the first token; else with it. */
  readonly headAtOnce: boolean
  /** Marks in a prompt are a cache of their own, which excludes the implicit one. */
  readonly explicitCache?: boolean
  authorises(incoming: Incoming, desk: Desk): Refusal | null
  /** Whether a stream is asked for, as far as it can be told before the request is read. */
  isStreaming(incoming: Incoming): boolean
  /** The model as asked for, as far as it can be told before the request is read. */
  modelOf(incoming: Incoming): string
  read(incoming: Incoming, desk: Desk): Asked | Refusal
  /** The vendor's rules on this model; null: it may. */
  allows(asked: Asked, model: ModelConfig, inputTokens: number): Refusal | null
  refuse(refusal: Refusal, about: About, desk: Desk): Reply
  /** The same inside a stream that began with 200. */
  refuseInStream(refusal: Refusal, about: About, desk: Desk): readonly Frame[]
  /** Moderated output: a finish reason, or an error in the stream. */
  moderates(desk: Desk): 'finish' | 'error'
  /** Headers of every answer. */
  headers(about: About, desk: Desk): Readonly<Record<string, string>>
}

export interface Dialect {
  /** Path of the base URL. */
  readonly basePath: string
  /** A server of one model, which it serves under any name. */
  readonly anyModel?: boolean
  /** The id that an answer and its headers carry. */
  makeId(desk: Desk): string
  /** null: there is no such path; `wrongPath` words that. */
  route(incoming: Incoming, desk: Desk): ChatApi | Reply | null
  wrongPath(incoming: Incoming, about: About): Reply
}

export function isRefusal(value: Asked | Refusal): value is Refusal {
  return 'kind' in value
}

/** The usual framing of a JSON event. */
export function event(value: unknown, part: Frame['part'] = 'content'): Frame {
  return { text: `data: ${JSON.stringify(value)}\n\n`, part }
}

export const DONE: Frame = { text: 'data: [DONE]\n\n', part: 'done' }
