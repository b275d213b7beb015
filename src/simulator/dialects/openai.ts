// OpenAI's own chat completions, and so the dialect of everything that calls itself compatible.
// https://platform.openai.com/docs/api-reference/chat

import {
  type About,
  type Asked,
  type ChatApi,
  type Desk,
  type Dialect,
  event,
  type Refusal,
  type RefusalKind,
  type Reply,
} from './dialect.ts'
import type { OpenAiBody } from './openai-body.ts'
import { authorises, createChatApi, listModels, plainDelta, reasoningFields } from './openai-like.ts'

const RETRY_AFTER_SECONDS = 1

const chat: ChatApi = createChatApi({
  streamType: 'text/event-stream; charset=utf-8',
  jsonType: 'application/json',
  headAtOnce: false,
  needsKey: true,
  reply,
  streamError: (refusal) => [event({ error: errorOf(refusal).error })],
  adjust,
  allows,
  headers,
  id: (about) => `chatcmpl-${about.requestId}`,
  afterModel: { service_tier: 'default', system_fingerprint: 'fp_5f20662549' },
  whole: { after: { service_tier: 'default', system_fingerprint: 'fp_5f20662549' } },
  choice: (index, delta, finish) => ({ index, delta, logprobs: null, finish_reason: finish }),
  wholeChoice: (index, message, finish) => ({ index, message, logprobs: null, finish_reason: finish }),
  opening: () => ({ role: 'assistant', content: '', refusal: null }),
  delta: (piece, about, _thinks, desk) =>
    plainDelta(
      piece,
      reasoningFields(desk, 'reasoning_content'),
      callId(about, piece.choice, piece.callIndex),
    ),
  lastDelta: () => ({}),
  message: ({ text, reasoning, calls }, desk) => ({
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    ...(reasoning === ''
      ? {}
      : Object.fromEntries(reasoningFields(desk, 'reasoning_content').map((name) => [name, reasoning]))),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    annotations: [],
  }),
  callId,
  usage: (usage) => ({
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }),
  usageChunk: 'own',
  nullUsage: true,
})

export const openai: Dialect = {
  basePath: '/v1',
  makeId: (desk) => desk.random.hex(29),
  route(incoming, desk) {
    if (incoming.path === '/v1/chat/completions' && incoming.method === 'POST') return chat
    if (incoming.path !== '/v1/models' || incoming.method !== 'GET') return null
    const refusal = authorises(incoming, desk, true)
    return refusal === null
      ? listModels(desk, (id) => ({ id, object: 'model', created: 1_686_935_002, owned_by: 'system' }))
      : reply(refusal)
  },
  wrongPath: (incoming) =>
    reply({
      kind: 'invalid_request',
      code: 'unknown_url',
      message: `Unknown request URL: ${incoming.method} ${incoming.path}.`,
    }),
}

function callId(about: About, choice: number, index: number): string {
  return `call_${about.requestId.slice(0, 22)}${choice}${index}`
}

function headers(about: About, desk: Desk): Readonly<Record<string, string>> {
  const { body } = about.incoming
  const limits = desk.limitsOf(String((body as { readonly model?: unknown }).model))
  const told = [
    ['x-ratelimit-limit-requests', limits?.rpm],
    ['x-ratelimit-limit-tokens', limits?.tpm],
    ['x-ratelimit-remaining-requests', limits?.requestsLeft],
    ['x-ratelimit-remaining-tokens', limits?.tokensLeft],
  ].flatMap(([name, value]) => (value === null || value === undefined ? [] : [[name, String(value)]]))
  return {
    'x-request-id': `req_${about.requestId}`,
    'openai-processing-ms': '100',
    ...Object.fromEntries(told),
  }
}

function adjust(body: OpenAiBody): OpenAiBody | Refusal {
  const { fields, chat: asked, streamOptions } = body
  if (!asked.isStreaming && Object.keys(streamOptions).length > 0) {
    const message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    return { kind: 'invalid_request', message, param: 'stream_options' }
  }
  if (asked.stop.length > 4) {
    const message = "Invalid 'stop': array too long. Expected an array with maximum length 4."
    return { kind: 'invalid_request', message, param: 'stop' }
  }
  const effort = fields['reasoning_effort']
  return {
    ...body,
    chat: {
      ...asked,
      thinking: effort === undefined ? null : effort !== 'none',
      totalTokensMax: asked.totalTokensMax ?? asked.answerTokensMax,
      answerTokensMax: null,
    },
  }
}

function allows(asked: Asked, model: { readonly vision?: boolean }): Refusal | null {
  const hasImage = asked.chat.messages.some((message) => message.images.length > 0)
  if (model.vision === true || !hasImage) return null
  const message = 'Invalid content type. image_url is only supported by certain models.'
  return { kind: 'invalid_request', message, param: 'messages' }
}

interface Row {
  readonly status: number
  readonly type: string
  readonly code: string | null
  readonly message: string
}

const INVALID = 'invalid_request_error'

const ERRORS: Readonly<Record<RefusalKind, Row>> = {
  auth: { status: 401, type: INVALID, code: 'invalid_api_key', message: 'Incorrect API key provided.' },
  rate_limit: {
    status: 429,
    type: 'requests',
    code: 'rate_limit_exceeded',
    message: 'Rate limit reached. Please try again in 1s.',
  },
  quota: {
    status: 429,
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    message: 'You exceeded your current quota, please check your plan and billing details.',
  },
  overloaded: {
    status: 503,
    type: 'server_error',
    code: 'overloaded',
    message: 'The server is currently overloaded. Please try again later.',
  },
  context_length: { status: 400, type: INVALID, code: 'context_length_exceeded', message: '' },
  moderation: {
    status: 400,
    type: INVALID,
    code: 'content_policy_violation',
    message: 'Your request was rejected as a result of our safety system.',
  },
  moderation_output: {
    status: 400,
    type: INVALID,
    code: 'content_policy_violation',
    message: 'The response was filtered as a result of our safety system.',
  },
  model_unavailable: { status: 404, type: INVALID, code: 'model_not_found', message: '' },
  server: {
    status: 500,
    type: 'server_error',
    code: null,
    message: 'The server had an error while processing your request. Sorry about that!',
  },
  invalid_request: { status: 400, type: INVALID, code: null, message: 'The request is not valid.' },
}

function errorOf(refusal: Refusal): { readonly status: number; readonly error: object } {
  const row = ERRORS[refusal.kind]
  const { max, input } = refusal.tokens ?? { max: 128_000, input: 128_001 }
  const texts: Partial<Record<RefusalKind, string>> = {
    context_length: `This model's maximum context length is ${max} tokens. However, your messages resulted in ${input} tokens. Please reduce the length of the messages.`,
    model_unavailable: `The model \`${refusal.model ?? ''}\` does not exist or you do not have access to it.`,
  }
  return {
    status: row.status,
    error: {
      message: refusal.message ?? texts[refusal.kind] ?? row.message,
      type: refusal.limit === 'tokens' ? 'tokens' : row.type,
      param: refusal.param ?? (refusal.kind === 'context_length' ? 'messages' : null),
      code: refusal.code ?? row.code,
    },
  }
}

function reply(refusal: Refusal): Reply {
  const { status, error } = errorOf(refusal)
  const wait: Readonly<Record<string, string>> =
    refusal.kind === 'rate_limit' ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {}
  return {
    status: refusal.code === 'unknown_url' ? 404 : status,
    headers: { 'content-type': 'application/json', ...wait },
    body: JSON.stringify({ error }),
  }
}
