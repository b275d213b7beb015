// vLLM's OpenAI server (vllm/entrypoints/openai: chat_completion/protocol.py, serving.py of 2026): reasoning under
// `reasoning`, usage only when asked and then without details, numeric error codes, a queue without an end.

import type { ChatRequest } from '../chat.ts'
import type { ModelConfig } from '../settings.ts'
import { completionsApi } from './completions.ts'
import {
  type Asked,
  type ChatApi,
  type Desk,
  type Dialect,
  DONE,
  event,
  type Incoming,
  type Refusal,
  type RefusalKind,
  type Reply,
} from './dialect.ts'
import { countOf, isFields, type OpenAiBody } from './openai-body.ts'
import { authorises, createChatApi, listModels, plainDelta, reasoningFields } from './openai-like.ts'

const JSON_TYPE = 'application/json'

const chat: ChatApi = createChatApi({
  streamType: 'text/event-stream; charset=utf-8',
  jsonType: JSON_TYPE,
  headAtOnce: true,
  needsKey: false,
  reply,
  // The stream is ended in the usual way behind it.
  streamError: (refusal) => [event({ error: errorOf(refusal).error }), DONE],
  adjust,
  allows,
  id: (about) => `chatcmpl-${about.requestId}`,
  choice: (index, delta, finish) => ({
    index,
    delta,
    logprobs: null,
    finish_reason: finish,
    ...(finish === null ? {} : { stop_reason: null }),
    ...('role' in delta ? {} : { token_ids: null }),
  }),
  wholeChoice: (index, message, finish) => ({
    index,
    message,
    logprobs: null,
    finish_reason: finish,
    stop_reason: null,
    token_ids: null,
  }),
  opening: () => ({ role: 'assistant', content: '' }),
  delta: (piece, about, _thinks, desk) =>
    plainDelta(
      piece,
      reasoningFields(desk, 'reasoning'),
      `chatcmpl-tool-${about.requestId.slice(2)}${piece.choice}${piece.callIndex}`,
    ),
  lastDelta: () => ({ content: '' }),
  message: ({ text, reasoning, calls }, desk) => ({
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    annotations: null,
    audio: null,
    function_call: null,
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    ...Object.fromEntries(
      reasoningFields(desk, 'reasoning').map((name) => [name, reasoning === '' ? null : reasoning]),
    ),
  }),
  callId: (about, choice, index) => `chatcmpl-tool-${about.requestId.slice(2)}${choice}${index}`,
  usage: (usage, desk) => ({
    prompt_tokens: usage.inputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    completion_tokens: usage.outputTokens,
    ...(desk.options.promptTokensDetails === true
      ? { prompt_tokens_details: { cached_tokens: usage.cachedTokens } }
      : {}),
  }),
  usageChunk: 'own',
  everyChunk: 'continuous_usage_stats',
  whole: {
    before: { service_tier: null, system_fingerprint: null },
    after: { prompt_logprobs: null, prompt_token_ids: null, kv_transfer_params: null },
  },
})

const completions = completionsApi(chat, {
  id: (about) => `cmpl-${about.requestId}`,
  choice: (index, text, finish) => ({
    index,
    text,
    logprobs: null,
    finish_reason: finish,
    stop_reason: null,
  }),
  whole: {
    before: { service_tier: null, system_fingerprint: null },
    after: { kv_transfer_params: null },
  },
  usageChunk: 'own',
  choicesMax: 16,
  // OpenAI's default for this endpoint.
  tokensDefault: 16,
  missingPrompt: 'Either prompt or prompt_embeds must be provided',
})

export const vllm: Dialect = {
  basePath: '/v1',
  makeId: (desk) => desk.random.hex(32),
  route(incoming, desk) {
    const { method, path } = incoming
    if (method === 'GET' && path === '/health') return { status: 200, headers: {}, body: '' }
    if (method === 'POST' && path === '/v1/chat/completions') return chat
    if (method === 'POST' && path === '/v1/completions') return completions
    return method === 'GET' && path === '/v1/models' ? models(incoming, desk) : null
  },
  wrongPath: () => ({ status: 404, headers: { 'content-type': JSON_TYPE }, body: '{"detail":"Not Found"}' }),
}

function models(incoming: Incoming, desk: Desk): Reply {
  const refusal = authorises(incoming, desk, false)
  if (refusal !== null) return reply(refusal)
  return listModels(desk, (id, model) => ({
    id,
    object: 'model',
    created: Math.floor(desk.nowMs() / 1000),
    owned_by: 'vllm',
    root: id,
    parent: null,
    max_model_len: model.contextWindow ?? null,
    permission: [],
  }))
}

/** Thinking is the chat template's affair; one bound holds for all output. */
function adjust(body: OpenAiBody): OpenAiBody {
  const { fields, chat: asked } = body
  const template = isFields(fields['chat_template_kwargs']) ? fields['chat_template_kwargs'] : {}
  const said = template['enable_thinking'] ?? template['thinking']
  const isOff = fields['reasoning_effort'] === 'none'
  const thinking: ChatRequest['thinking'] = typeof said === 'boolean' ? said : isOff ? false : null
  return {
    ...body,
    // Where the object is there, usage is asked for unless it says otherwise.
    streamOptions:
      'stream_options' in fields && fields['stream_options'] !== null
        ? { include_usage: true, ...body.streamOptions }
        : {},
    chat: {
      ...asked,
      thinking,
      reasoningTokensMax: countOf(fields['thinking_token_budget']),
      totalTokensMax: asked.totalTokensMax ?? asked.answerTokensMax,
      answerTokensMax: null,
    },
  }
}

function allows(asked: Asked, model: ModelConfig, inputTokens: number): Refusal | null {
  const { chat: request } = asked
  if (model.vision !== true && request.messages.some((message) => message.images.length > 0)) {
    return { kind: 'invalid_request', message: `${request.model} is not a multimodal model` }
  }
  if (model.tools === false && request.tools.length > 0 && request.toolChoice === 'auto') {
    const message = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    return { kind: 'invalid_request', message }
  }
  const max = model.contextWindow ?? Number.POSITIVE_INFINITY
  const output = request.totalTokensMax ?? 0
  if (inputTokens + output <= max) return null
  return { kind: 'context_length', tokens: { max, input: inputTokens, output } }
}

interface Row {
  readonly status: number
  readonly type: string
  readonly message: string
}

const ERRORS: Readonly<Record<RefusalKind, Row>> = {
  auth: { status: 401, type: 'Unauthorized', message: 'Unauthorized' },
  // vLLM itself queues without end; these two are what stands in front of it.
  rate_limit: { status: 429, type: 'TooManyRequestsError', message: 'Too many requests' },
  quota: { status: 429, type: 'TooManyRequestsError', message: 'Quota exceeded' },
  overloaded: { status: 503, type: 'ServiceUnavailableError', message: 'The engine is overloaded' },
  context_length: { status: 400, type: 'BadRequestError', message: '' },
  moderation: {
    status: 400,
    type: 'BadRequestError',
    message: 'The prompt was refused by content moderation',
  },
  moderation_output: {
    status: 400,
    type: 'BadRequestError',
    message: 'The answer was refused by content moderation',
  },
  model_unavailable: { status: 404, type: 'NotFoundError', message: '' },
  server: { status: 500, type: 'InternalServerError', message: 'Internal server error' },
  invalid_request: { status: 400, type: 'BadRequestError', message: 'The request is not valid' },
}

function errorOf(refusal: Refusal): { readonly status: number; readonly error: object } {
  const { status, type, message } = ERRORS[refusal.kind]
  const { max, input, output } = refusal.tokens ?? { max: 40_960, input: 40_961, output: 0 }
  const texts: Partial<Record<RefusalKind, string>> = {
    context_length: `This model's maximum context length is ${max} tokens. However, you requested ${input + output} tokens (${input} in the messages, ${output} in the completion). Please reduce the length of the messages or completion.`,
    model_unavailable: `The model \`${refusal.model ?? ''}\` does not exist.`,
  }
  const told = refusal.message ?? texts[refusal.kind] ?? message
  const param = refusal.kind === 'model_unavailable' ? 'model' : null
  return { status, error: { message: told, type, param, code: status } }
}

function reply(refusal: Refusal): Reply {
  const { status, error } = errorOf(refusal)
  // The key is checked by a layer with a body of its own.
  const body = refusal.kind === 'auth' ? { error: 'Unauthorized' } : { error }
  return { status, headers: { 'content-type': JSON_TYPE }, body: JSON.stringify(body) }
}
