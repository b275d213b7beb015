// vLLM's legacy completions: a prompt continued, for models without a chat template.

import type { Usage } from '../chat.ts'
import { modelField } from './credentials.ts'
import { type About, type ChatApi, DONE, type Encoder, event, type Frame, type Refusal } from './dialect.ts'
import { countOf, type Fields, isFields, readStop, wholeText } from './openai-body.ts'

const CHOICES_MAX = 16

/** Everything but reading and writing is as for chats. */
export function completionsApi(chat: ChatApi): ChatApi {
  return { ...chat, modelOf: modelField, read: (incoming) => read(incoming.body) }
}

function read(body: unknown): ReturnType<ChatApi['read']> {
  if (!isFields(body) || typeof body['model'] !== 'string') return invalid('model is missing')
  const { prompt } = body
  const text = Array.isArray(prompt) ? prompt.map(String).join('') : prompt
  if (typeof text !== 'string' || text === '')
    return invalid('Either prompt or prompt_embeds must be provided')
  return {
    chat: {
      model: body['model'],
      messages: [{ role: 'user', text, images: [], calls: [] }],
      tools: [],
      toolChoice: 'none',
      parallelToolCalls: false,
      isStreaming: body['stream'] === true,
      answerTokensMax: null,
      // OpenAI's default for this endpoint.
      totalTokensMax: countOf(body['max_tokens']) ?? 16,
      stop: readStop(body['stop']),
      choices: Math.min(countOf(body['n']) ?? 1, CHOICES_MAX),
      thinking: false,
      reasoningTokensMax: null,
      effort: null,
      format: { kind: 'text', schema: null },
    },
    encoder: (model, about) => encoder(model, about, body),
  }
}

function invalid(message: string): Refusal {
  return { kind: 'invalid_request', message }
}

function encoder(model: string, about: About, body: Fields): Encoder {
  const wantsUsage = isFields(body['stream_options']) && body['stream_options']['include_usage'] !== false
  const common = {
    id: `cmpl-${about.requestId}`,
    object: 'text_completion',
    created: about.createdSeconds,
    model,
  }
  const chunk = (choices: readonly object[], usage: Usage | null): Frame =>
    event({ ...common, choices, ...(usage === null ? {} : { usage: usageOf(usage) }) })
  const choice = (index: number, text: string, finish: string | null): object => ({
    index,
    text,
    logprobs: null,
    finish_reason: finish,
    stop_reason: null,
  })
  return {
    open: () => [],
    piece: (piece) => [chunk([choice(piece.choice, piece.text, null)], null)],
    finish: (index, reason) => [chunk([choice(index, '', reason)], null)],
    end: (usage) => (wantsUsage && usage !== null ? [chunk([], usage), DONE] : [DONE]),
    whole: (choices, usage) => ({
      ...common,
      choices: choices.map(({ pieces, finish }, index) => choice(index, wholeText(pieces, 'text'), finish)),
      service_tier: null,
      system_fingerprint: null,
      ...(usage === null ? {} : { usage: usageOf(usage) }),
      kv_transfer_params: null,
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
