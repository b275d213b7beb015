// DeepSeek. https://api-docs.deepseek.com/api/create-chat-completion, /quick_start/error_codes; the chunks are those of
// recorded streams: `usage: null` until the finishing chunk, which carries it beside its choice.
// Error bodies are not documented; their shape is the one that clients report.

import type { ChatRequest } from '../chat.ts'
import type { ModelConfig } from '../settings.ts'
import {
  type About,
  type Asked,
  type ChatApi,
  type Dialect,
  event,
  type Refusal,
  type RefusalKind,
  type Reply,
} from './dialect.ts'
import { isFields, type OpenAiBody } from './openai-body.ts'
import { authorises, createChatApi, listModels } from './openai-like.ts'

const FINGERPRINT = 'fp_eaab8d114b_prod0820_fp8_kvcache'

const chat: ChatApi = createChatApi({
  streamType: 'text/event-stream; charset=utf-8',
  jsonType: 'application/json',
  // Under load the connection stays open with comments, or empty lines before a whole answer.
  headAtOnce: true,
  needsKey: true,
  reply,
  streamError: (refusal) => [event({ error: errorOf(refusal).error })],
  adjust,
  allows,
  id: (about) => about.requestId,
  afterModel: { system_fingerprint: FINGERPRINT },
  whole: { after: { system_fingerprint: FINGERPRINT } },
  choice: (index, delta, finish) => ({ index, delta, logprobs: null, finish_reason: finish }),
  wholeChoice: (index, message, finish) => ({ index, message, logprobs: null, finish_reason: finish }),
  opening: (thinks) =>
    thinks ? { role: 'assistant', content: null, reasoning_content: '' } : { role: 'assistant', content: '' },
  delta(piece, about, thinks) {
    switch (piece.kind) {
      case 'reasoning':
        return { content: null, reasoning_content: piece.text }
      case 'text':
        return thinks ? { content: piece.text, reasoning_content: null } : { content: piece.text }
      case 'call': {
        const id = callId(about, piece.choice, piece.callIndex)
        const call = {
          index: piece.callIndex,
          id,
          type: 'function',
          function: { name: piece.text, arguments: '' },
        }
        return { tool_calls: [call] }
      }
      case 'arguments':
        return { tool_calls: [{ index: piece.callIndex, function: { arguments: piece.text } }] }
    }
  },
  lastDelta: (thinks) => (thinks ? { content: '', reasoning_content: null } : { content: '' }),
  message: ({ text, reasoning, calls }) => ({
    role: 'assistant',
    content: text,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map((call, index) => ({ index, ...call })) }),
  }),
  callId,
  usage: (usage) => ({
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    ...(usage.reasoningTokens === 0
      ? {}
      : { completion_tokens_details: { reasoning_tokens: usage.reasoningTokens } }),
    prompt_cache_hit_tokens: usage.cachedTokens,
    prompt_cache_miss_tokens: usage.inputTokens - usage.cachedTokens,
  }),
  usageChunk: 'finish',
  usageUnasked: true,
  nullUsage: true,
})

export const deepseek: Dialect = {
  basePath: '',
  makeId: (desk) => desk.random.uuid(),
  route(incoming, desk) {
    const path = incoming.path.replace(/^\/v1\//, '/')
    if (path === '/chat/completions' && incoming.method === 'POST') return chat
    if (path !== '/models' || incoming.method !== 'GET') return null
    const refusal = authorises(incoming, desk, true)
    return refusal === null
      ? listModels(desk, (id) => ({ id, object: 'model', owned_by: 'deepseek' }))
      : reply(refusal)
  },
  wrongPath: () => ({ status: 404, headers: { 'content-type': 'text/plain' }, body: '' }),
}

function callId(about: About, choice: number, index: number): string {
  return `call_${choice}${index}_${about.requestId}`
}

function adjust(body: OpenAiBody): OpenAiBody | Refusal {
  const { fields, chat: asked } = body
  const type = isFields(fields['thinking']) ? fields['thinking']['type'] : undefined
  if ((fields['thinking'] ?? null) !== null && type !== 'enabled' && type !== 'disabled') {
    const message = `Failed to deserialize the JSON body into the target type: thinking.type: unknown variant \`${String(type)}\`, expected \`enabled\` or \`disabled\``
    return { kind: 'invalid_request', message }
  }
  const says = asked.messages.some((message) => /json/i.test(message.text))
  if (asked.format.kind === 'json' && !says) {
    const message =
      "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'."
    return { kind: 'invalid_request', message }
  }
  const unknown = asked.messages.find((message) => message.role === 'developer')
  if (unknown !== undefined) {
    const message =
      'Failed to deserialize the JSON body into the target type: messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`'
    return { kind: 'invalid_request', message }
  }
  return {
    ...body,
    chat: {
      ...asked,
      choices: 1,
      thinking: type === 'enabled' ? true : type === 'disabled' ? false : null,
      // The bound includes the chain of thought.
      totalTokensMax: asked.answerTokensMax ?? asked.totalTokensMax,
      answerTokensMax: null,
    },
  }
}

function allows(asked: Asked, model: ModelConfig): Refusal | null {
  if (lacksReasoning(asked.chat, model)) {
    return { kind: 'invalid_request', message: 'Missing `reasoning_content` field in the assistant message' }
  }
  const hasImage = asked.chat.messages.some((message) => message.images.length > 0)
  if (model.vision === true || !hasImage) return null
  const message =
    'Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `image_url`, expected `text`'
  return { kind: 'invalid_request', message }
}

/** In thinking mode the assistant's turns since the last question must bring their reasoning back. */
function lacksReasoning(chat: ChatRequest, model: ModelConfig): boolean {
  const { thinking = 'never' } = model
  const thinks = thinking === 'always' || (thinking !== 'never' && (chat.thinking ?? thinking === 'on'))
  const question = chat.messages.findLastIndex((message) => message.role === 'user')
  const loop = chat.messages.slice(question + 1)
  return thinks && loop.some((message) => message.calls.length > 0 && message.hasReasoning !== true)
}

interface Row {
  readonly status: number
  readonly type: string
  readonly code: string
  readonly message: string
}

const INVALID = 'invalid_request_error'

const ERRORS: Readonly<Record<RefusalKind, Row>> = {
  auth: {
    status: 401,
    type: 'authentication_error',
    code: INVALID,
    message: 'Authentication Fails, Your api key: ****xxxx is invalid',
  },
  // The limit is on requests at once; no header says when to come back.
  rate_limit: {
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limit_exceeded',
    message: 'Rate limit reached: too many concurrent requests for this account.',
  },
  quota: { status: 402, type: 'unknown_error', code: INVALID, message: 'Insufficient Balance' },
  overloaded: {
    status: 503,
    type: 'service_unavailable_error',
    code: 'service_unavailable_error',
    message: 'Service is too busy. Please try again later.',
  },
  context_length: { status: 400, type: INVALID, code: INVALID, message: '' },
  moderation: { status: 400, type: INVALID, code: INVALID, message: 'Content Exists Risk' },
  moderation_output: { status: 400, type: INVALID, code: INVALID, message: 'Content Exists Risk' },
  model_unavailable: { status: 400, type: INVALID, code: INVALID, message: 'Model Not Exist' },
  server: { status: 500, type: 'server_error', code: 'internal_error', message: 'Server Error' },
  invalid_request: { status: 400, type: INVALID, code: INVALID, message: 'Invalid Format' },
}

function errorOf(refusal: Refusal): { readonly status: number; readonly error: object } {
  const row = ERRORS[refusal.kind]
  const { max, input, output } = refusal.tokens ?? { max: 131_072, input: 131_073, output: 0 }
  const tooLong = `This model's maximum context length is ${max} tokens. However, you requested ${input + output} tokens (${input} in the messages, ${output} in the completion). Please reduce the length of the messages or completion.`
  const message = refusal.message ?? (refusal.kind === 'context_length' ? tooLong : row.message)
  return {
    status: row.status,
    error: { message, type: row.type, param: null, code: refusal.code ?? row.code },
  }
}

function reply(refusal: Refusal): Reply {
  const { status, error } = errorOf(refusal)
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ error }) }
}
