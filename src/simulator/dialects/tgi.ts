// Hugging Face TGI's chat endpoint (router/src/chat.rs, server.rs, last of January 2026): a flat error of two members, an
// empty id, the role in every delta, no reasoning of its own.

import { completionsApi } from './completions.ts'
import type { ChatApi, Dialect, Refusal, RefusalKind, Reply } from './dialect.ts'
import { DONE, event } from './dialect.ts'
import type { OpenAiBody } from './openai-body.ts'
import { createChatApi, listModels } from './openai-like.ts'

const JSON_TYPE = 'application/json'
const FINGERPRINT = '3.1.2-dev0-native'
const STOP_IS_TEXT = 'Failed to deserialize the JSON body: stop: expected a sequence'

const chat: ChatApi = createChatApi({
  streamType: 'text/event-stream',
  jsonType: JSON_TYPE,
  headAtOnce: true,
  needsKey: false,
  reply,
  streamError: (refusal) => {
    const { status, message } = errorOf(refusal)
    return [event({ error: { message, http_status_code: status } }), DONE]
  },
  adjust,
  allows: () => null,
  headers: () => ({ 'x-compute-type': 'gpu+optimized', 'x-queue-time': '1' }),
  id: () => '',
  afterModel: { system_fingerprint: FINGERPRINT },
  whole: { before: { system_fingerprint: FINGERPRINT } },
  choice: (index, delta, finish) => ({ index, delta, logprobs: null, finish_reason: nameOf(finish) }),
  wholeChoice: (index, message, finish) => ({
    index,
    message,
    logprobs: null,
    finish_reason: nameOf(finish),
  }),
  opening: () => null,
  delta(piece) {
    // Reasoning is part of the text.
    if (piece.kind === 'text' || piece.kind === 'reasoning') return { role: 'assistant', content: piece.text }
    const name = piece.kind === 'call' ? piece.text : null
    const call = {
      index: piece.callIndex,
      id: String(piece.callIndex),
      type: 'function',
      function: { name, arguments: piece.kind === 'call' ? '' : piece.text },
    }
    return { role: 'assistant', tool_calls: [call] }
  },
  lastDelta: () => ({ role: 'assistant', content: '' }),
  message: ({ text, reasoning, calls }) =>
    calls.length === 0
      ? { role: 'assistant', content: reasoning + text }
      : { role: 'assistant', tool_calls: calls },
  callId: (_about, _choice, index) => String(index),
  usage: (usage) => ({
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
  }),
  usageChunk: 'own',
  nullUsage: true,
  order: ['object', 'id', 'created', 'model', 'system_fingerprint', 'choices', 'usage'],
})

/** A list of prompts makes a choice for each (router/src/server.rs completions). */
const completions = completionsApi(chat, {
  id: () => '',
  afterModel: { system_fingerprint: FINGERPRINT },
  choice: (index, text, finish) => ({ index, text, logprobs: null, finish_reason: finish ?? '' }),
  usageChunk: 'own',
  choicesMax: 1,
  tokensDefault: null,
  refusedBody: ({ stop }) => (typeof stop === 'string' ? STOP_IS_TEXT : null),
  missingPrompt: 'Failed to deserialize the JSON body: missing field `prompt`',
})

export const tgi: Dialect = {
  basePath: '/v1',
  anyModel: true,
  makeId: (desk) => desk.random.hex(12),
  route(incoming, desk) {
    const { method, path } = incoming
    if (method === 'POST' && path === '/v1/chat/completions') return chat
    if (method === 'POST' && path === '/v1/completions') return completions
    if (method === 'GET' && path === '/health') return { status: 200, headers: {}, body: '' }
    if (method !== 'GET' || path !== '/v1/models') return null
    return listModels(desk, (id) => ({ id, object: 'model', created: 0, owned_by: id }))
  },
  wrongPath: () => ({ status: 404, headers: {}, body: '' }),
}

/** Tool calls end with `stop`. */
function nameOf(finish: string | null): string | null {
  return finish === 'tool_calls' ? 'stop' : finish
}

function adjust(body: OpenAiBody): OpenAiBody | Refusal {
  const { fields, chat: asked } = body
  if (typeof fields['stop'] === 'string') {
    return {
      kind: 'invalid_request',
      message: STOP_IS_TEXT,
    }
  }
  const totalTokensMax = asked.totalTokensMax ?? asked.answerTokensMax
  // The grammar that an answer with tools must follow has room for one call.
  const only = { choices: 1, parallelToolCalls: false, totalTokensMax, answerTokensMax: null }
  return { ...body, chat: { ...asked, ...only } }
}

type Row = readonly [status: number, type: string, message: string]

const ERRORS: Readonly<Record<RefusalKind, Row>> = {
  auth: [401, '', ''],
  rate_limit: [429, 'overloaded', 'Model is overloaded'],
  quota: [429, 'overloaded', 'Model is overloaded'],
  overloaded: [429, 'overloaded', 'Model is overloaded'],
  context_length: [422, 'validation', ''],
  moderation: [422, 'validation', 'Input validation error: the prompt was refused'],
  moderation_output: [424, 'generation', 'Request failed during generation: the answer was refused'],
  // It serves one model, whatever the name.
  model_unavailable: [503, 'healthcheck', 'unhealthy'],
  server: [424, 'generation', 'Request failed during generation: Server error: transport error'],
  invalid_request: [422, 'validation', 'Input validation error'],
}

function errorOf(refusal: Refusal): {
  readonly status: number
  readonly type: string
  readonly message: string
} {
  const [status, type, message] = ERRORS[refusal.kind]
  const { max, input, output } = refusal.tokens ?? { max: 4_096, input: 4_097, output: 0 }
  const tooLong = `Input validation error: \`inputs\` tokens + \`max_new_tokens\` must be <= ${max}. Given: ${input} \`inputs\` tokens and ${output} \`max_new_tokens\``
  return { status, type, message: refusal.message ?? (refusal.kind === 'context_length' ? tooLong : message) }
}

function reply(refusal: Refusal): Reply {
  const { status, type, message } = errorOf(refusal)
  if (refusal.kind === 'auth') return { status, headers: {}, body: '' }
  const body = JSON.stringify({ error: message, error_type: type })
  return { status, headers: { 'content-type': JSON_TYPE }, body }
}
