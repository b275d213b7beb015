// The contract of an upstream format that is not OpenAI chat. Pure and synchronous: bytes in, values out.

import type { ChatEvent, ChatRequest, ThinkingRequest } from './chat.ts'
import type { Capability } from './provider.ts'

/** What an attempt knows when it encodes. */
export interface EncodeInput {
  readonly request: ChatRequest
  /** The upstream's model id. */
  readonly model: string
  readonly streaming: boolean
  /** What the client said of thinking, whatever field it used. */
  readonly thinking: ThinkingRequest
}

export interface EncodedRequest {
  /** Below the base URL, query included; below its origin when `fromOrigin` is set. */
  readonly path: string
  readonly fromOrigin?: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Request fields that could not be said in this dialect. */
  readonly dropped: readonly string[]
}

/** Decodes one answer; used once. */
export interface AnswerDecoder {
  /** Whole events found so far. A chunk may end anywhere, inside a character too. */
  push(chunk: Uint8Array): readonly ChatEvent[]
  /** The upstream closed the answer: the remaining events, among them a failure when it came too early. */
  end(): readonly ChatEvent[]
  /** Events so far that were no JSON objects and were left out. */
  readonly dropped: number
  /** The end mark has come, in dialects that have one. */
  readonly hasEnded?: boolean
}

export interface UpstreamFormat {
  readonly name: string
  /** What cannot be said in this format, whatever the model. */
  readonly cannot?: readonly Capability[]
  /** It searches, which is billed beside tokens, unless this request field is true. */
  readonly searchesUnless?: string
  /** Base URL of this format where it is not the provider's. */
  readonly baseUrl?: string
  encode(input: EncodeInput): EncodedRequest
  /** Decoder of a streamed answer. */
  openStream(): AnswerDecoder
  /** Events of an unstreamed answer, whole. @throws SyntaxError when it is no JSON of the dialect. */
  decodeAnswer(body: Uint8Array): readonly ChatEvent[]
}
