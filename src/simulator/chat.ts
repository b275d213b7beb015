// What a simulated model is asked and what it says, without any vendor's words for it.

export interface Message {
  readonly role: string
  readonly text: string
  /** URLs or data URLs; other media count as one image. */
  readonly images: readonly string[]
  readonly calls: readonly { readonly name: string; readonly arguments: string }[]
  /** The caller marks the prompt up to here for an explicit cache. */
  readonly isCacheMark?: boolean
  /** The content came as a list of parts. */
  readonly isList?: boolean
  /** Earlier reasoning was given back with it. */
  readonly hasReasoning?: boolean
}

export interface Tool {
  readonly name: string
  readonly description: string
  /** A JSON Schema; undefined: no arguments. */
  readonly parameters: unknown
}

export interface ChatRequest {
  /** As asked for. */
  readonly model: string
  readonly messages: readonly Message[]
  readonly tools: readonly Tool[]
  readonly toolChoice: 'none' | 'auto' | 'required' | { readonly name: string }
  readonly parallelToolCalls: boolean
  readonly isStreaming: boolean
  /** Bounds the answer without its reasoning. */
  readonly answerTokensMax: number | null
  /** Bounds answer and reasoning together. */
  readonly totalTokensMax: number | null
  readonly stop: readonly string[]
  readonly choices: number
  /** What each choice answers, where that is not the last question: the prompts of a list. */
  readonly prompts?: readonly string[]
  /** null: as the model does by itself. */
  readonly thinking: boolean | null
  readonly reasoningTokensMax: number | null
  readonly effort: string | null
  readonly format: { readonly kind: 'text' | 'json'; readonly schema: unknown }
}

/** One thing that is emitted; a stream sends each as an event of its own. */
export interface Piece {
  /** `call` opens a tool call with its name; `arguments` pieces follow. */
  readonly kind: 'reasoning' | 'text' | 'call' | 'arguments'
  readonly choice: number
  /** The text, or the name of the tool. */
  readonly text: string
  readonly tokens: number
  /** Position among the choice's calls; 0 for text. */
  readonly callIndex: number
}

export type Finish = 'stop' | 'length' | 'tool_calls' | 'content_filter'

export interface ChoicePlan {
  readonly pieces: readonly Piece[]
  readonly finish: Finish
}

/** What is billed. Output includes reasoning, input includes cached tokens and images. */
export interface Usage {
  readonly inputTokens: number
  readonly cachedTokens: number
  /** Written to an explicit cache; null: none was asked for. */
  readonly cacheWriteTokens: number | null
  readonly imageTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
}
