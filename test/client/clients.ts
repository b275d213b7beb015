// The official clients, unmodified, pointed at a gateway. Their own retries are off unless a test asks for them.

import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { ChatOpenAI, type ChatOpenAIFields, OpenAI as LangChainOpenAI } from '@langchain/openai'
import type { LanguageModel } from 'ai'
import OpenAI, { type ClientOptions } from 'openai'
import { KEY } from '../support/gateway.ts'

// What a provider cannot do is in the answers that the tests look at; the SDK would print it as well.
globalThis.AI_SDK_LOG_WARNINGS = false

export function openAi(url: string, options: ClientOptions = {}): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0, ...options })
}

export function langChain(url: string, model: string, options: ChatOpenAIFields = {}): ChatOpenAI {
  return new ChatOpenAI({
    model,
    apiKey: KEY,
    maxRetries: 0,
    configuration: { baseURL: `${url}/v1` },
    ...options,
  })
}

/** LangChain's class for the legacy API. */
export function langChainCompletions(url: string, model: string, maxTokens: number): LangChainOpenAI {
  return new LangChainOpenAI({
    model,
    maxTokens,
    apiKey: KEY,
    maxRetries: 0,
    configuration: { baseURL: `${url}/v1` },
  })
}

export function aiSdkCompletions(url: string, id: string): LanguageModel {
  return createOpenAICompatible({ name: 'sluice', baseURL: `${url}/v1`, apiKey: KEY }).completionModel(id)
}

/** The two ways in which applications of the AI SDK reach an endpoint that is not OpenAI's own. */
export const AI_SDK_PROVIDERS: readonly {
  readonly name: string
  /** Hands on `reasoning_content`; `@ai-sdk/openai` knows none on chat completions. */
  readonly showsReasoning: boolean
  readonly model: (url: string, id: string) => LanguageModel
}[] = [
  {
    name: 'createOpenAICompatible',
    showsReasoning: true,
    model: (url, id) =>
      createOpenAICompatible({
        name: 'sluice',
        baseURL: `${url}/v1`,
        apiKey: KEY,
        includeUsage: true,
        supportsStructuredOutputs: true,
      }).chatModel(id),
  },
  {
    name: 'createOpenAI().chat',
    showsReasoning: false,
    model: (url, id) => createOpenAI({ baseURL: `${url}/v1`, apiKey: KEY }).chat(id),
  },
]
