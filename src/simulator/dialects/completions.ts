// The legacy completions of servers of one's own: a prompt continued, for models without a chat template. Each prompt of
// a list is continued by choices of its own, in order.

import type { Finish, Usage } from '../chat.ts'
import { modelField } from './credentials.ts'
import { type About, type ChatApi, DONE, type Encoder, event, type Frame, type Refusal } from './dialect.ts'
import { countOf, type Fields, isFields, readStop, wholeText } from './openai-body.ts'

export interface CompletionsVendor {
  readonly id: (about: About) => string
  /** Members between `model` and `choices`. */
  readonly afterModel?: object
  readonly choice: (index: number, text: string, finish: Finish | null) => object
  /** Members of a whole answer around its usage. */
  readonly whole?: { readonly before: object; readonly after: object }
  /** `finish`: on the finishing chunk, unasked; `own`: on one without choices, where asked for. */
  readonly usageChunk: 'own' | 'finish'
  /** Answers for one prompt, at most. */
  readonly choicesMax: number
  /** Tokens of an answer that says nothing of its length; null: as many as the model likes. */
  readonly tokensDefault: number | null
  /** What this vendor refuses of a body. */
  readonly refusedBody?: (body: Fields) => string | null
  readonly missingPrompt: string
}

/** Everything but reading and writing is as for chats. */
export function completionsApi(chat: ChatApi, vendor: CompletionsVendor): ChatApi {
  return { ...chat, modelOf: modelField, read: (incoming) => read(incoming.body, vendor) }
}

function read(body: unknown, vendor: CompletionsVendor): ReturnType<ChatApi['read']> {
  if (!isFields(body) || typeof body['model'] !== 'string') return invalid('model is missing')
  const prompts = promptsOf(body['prompt'])
  if (prompts.length === 0 || prompts.includes('')) return invalid(vendor.missingPrompt)
  const refused = vendor.refusedBody?.(body) ?? null
  if (refused !== null) return invalid(refused)
  const choices = Math.min(countOf(body['n']) ?? 1, vendor.choicesMax)
  return {
    chat: {
      model: body['model'],
      messages: prompts.map((text) => ({ role: 'user', text, images: [], calls: [] })),
      tools: [],
      toolChoice: 'none',
      parallelToolCalls: false,
      isStreaming: body['stream'] === true,
      answerTokensMax: null,
      totalTokensMax: countOf(body['max_tokens']) ?? vendor.tokensDefault,
      stop: readStop(body['stop']),
      choices: choices * prompts.length,
      prompts: prompts.flatMap((prompt) => Array.from({ length: choices }, () => prompt)),
      thinking: false,
      reasoningTokensMax: null,
      effort: null,
      format: { kind: 'text', schema: null },
    },
    encoder: (model, about) => encoder(model, about, body, vendor),
  }
}

/** Text, a list of texts, the tokens of one prompt, or a list of those. */
function promptsOf(prompt: unknown): readonly string[] {
  if (typeof prompt === 'string') return [prompt]
  if (!Array.isArray(prompt)) return []
  if (prompt.length > 0 && prompt.every((token) => typeof token === 'number')) return [prompt.join(' ')]
  return prompt.map((entry: unknown) => (Array.isArray(entry) ? entry.join(' ') : String(entry)))
}

function invalid(message: string): Refusal {
  return { kind: 'invalid_request', message }
}

function encoder(model: string, about: About, body: Fields, vendor: CompletionsVendor): Encoder {
  const wantsUsage = isFields(body['stream_options']) && body['stream_options']['include_usage'] !== false
  const common = {
    id: vendor.id(about),
    object: 'text_completion',
    created: about.createdSeconds,
    model,
    ...vendor.afterModel,
  }
  const chunk = (choices: readonly object[], usage: Usage | null): Frame =>
    event({ ...common, choices, ...(usage === null ? {} : { usage: usageOf(usage) }) })
  const isOnFinish = vendor.usageChunk === 'finish'
  return {
    open: () => [],
    piece: (piece) => [chunk([vendor.choice(piece.choice, piece.text, null)], null)],
    finish: (index, reason, usage) => [chunk([vendor.choice(index, '', reason)], isOnFinish ? usage : null)],
    end: (usage) => (wantsUsage && !isOnFinish && usage !== null ? [chunk([], usage), DONE] : [DONE]),
    whole: (choices, usage) => ({
      ...common,
      choices: choices.map(({ pieces, finish }, index) =>
        vendor.choice(index, wholeText(pieces, 'text'), finish),
      ),
      ...vendor.whole?.before,
      ...(usage === null ? {} : { usage: usageOf(usage) }),
      ...vendor.whole?.after,
    }),
  }
}

function usageOf(usage: Usage): object {
  return {
    prompt_tokens: usage.inputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    completion_tokens: usage.outputTokens,
  }
}
