// Ollama's OpenAI endpoint (ollama/openai/openai.go of 2026): reasoning under `reasoning`, calls in one piece, no detail
// in usage, a small number in the id, no addresses of images.

import { completionsApi } from './completions.ts'
import type { Asked, ChatApi, Dialect, Refusal, RefusalKind, Reply } from './dialect.ts'
import { event } from './dialect.ts'
import type { OpenAiBody } from './openai-body.ts'
import { createChatApi, listModels, plainDelta } from './openai-like.ts'

const JSON_TYPE = 'application/json'
const EFFORTS = /^(minimal|low|medium|high|xhigh|ultra|max|none)$/

const chat: ChatApi = createChatApi({
  streamType: 'text/event-stream',
  jsonType: JSON_TYPE,
  headAtOnce: false,
  needsKey: false,
  reply,
  streamError: (refusal) => [event({ error: errorOf(refusal).error })],
  adjust,
  allows,
  id: (about) => `chatcmpl-${Number.parseInt(about.requestId, 16) % 1000}`,
  afterModel: { system_fingerprint: 'fp_ollama' },
  whole: { before: { system_fingerprint: 'fp_ollama' } },
  choice: (index, delta, finish) => ({ index, delta, finish_reason: finish }),
  wholeChoice: (index, message, finish) => ({ index, message, finish_reason: finish }),
  opening: () => null,
  first: { role: 'assistant' },
  delta(piece) {
    const delta = plainDelta(piece, ['reasoning'], '')
    return piece.kind === 'reasoning' ? { content: '', ...delta } : delta
  },
  lastDelta: () => ({}),
  message: ({ text, reasoning, calls }) => ({
    role: 'assistant',
    content: text,
    ...(reasoning === '' ? {} : { reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map((call, index) => ({ index, ...call })) }),
  }),
  callId: (about, choice, index) => `call_${about.requestId.slice(0, 6)}${choice}${index}`,
  usage: (usage) => ({
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
  }),
  usageChunk: 'own',
  wholeToolCalls: true,
  order: ['id', 'object', 'created', 'model', 'system_fingerprint', 'choices', 'usage'],
})

/** It knows one prompt as text, and no `n` (openai/openai.go CompletionRequest). */
const completions = completionsApi(chat, {
  id: (about) => `cmpl-${Number.parseInt(about.requestId, 16) % 1000}`,
  afterModel: { system_fingerprint: 'fp_ollama' },
  choice: (index, text, finish) => ({ text, index, finish_reason: finish }),
  usageChunk: 'own',
  choicesMax: 1,
  tokensDefault: null,
  refusedBody: ({ prompt }) =>
    typeof prompt === 'string'
      ? null
      : 'json: cannot unmarshal array into Go struct field CompletionRequest.prompt of type string',
  missingPrompt: 'prompt is missing',
})

export const ollama: Dialect = {
  basePath: '/v1',
  makeId: (desk) => desk.random.hex(12),
  route(incoming, desk) {
    const { method, path } = incoming
    if (method === 'POST' && path === '/v1/chat/completions') return chat
    if (method === 'POST' && path === '/v1/completions') return completions
    if (method === 'GET' && path === '/v1/models') {
      return listModels(desk, (id) => ({ id, object: 'model', created: 1_787_300_000, owned_by: 'library' }))
    }
    if (method !== 'GET' || path !== '/') return null
    return {
      status: 200,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: 'Ollama is running',
    }
  },
  wrongPath: () => ({
    status: 404,
    headers: { 'content-type': 'text/plain' },
    body: '404 page not found',
  }),
}

/** It knows `max_tokens` alone, and no choice of tools, no `n`. */
function adjust(body: OpenAiBody): OpenAiBody | Refusal {
  const { chat: asked } = body
  if (asked.effort !== null && !EFFORTS.test(asked.effort)) {
    return { kind: 'invalid_request', message: `invalid reasoning value: '${asked.effort}'` }
  }
  const isUrl = (image: string): boolean => /^https?:/.test(image)
  if (asked.messages.some((message) => message.images.some(isUrl))) {
    const message = 'image URLs are not currently supported, please use base64 encoded data instead'
    return { kind: 'invalid_request', message }
  }
  return {
    ...body,
    chat: {
      ...asked,
      choices: 1,
      toolChoice: 'auto',
      thinking: asked.effort === null ? null : asked.effort !== 'none',
      totalTokensMax: asked.answerTokensMax,
      answerTokensMax: null,
    },
  }
}

function allows(asked: Asked, model: { readonly tools?: boolean }): Refusal | null {
  if (model.tools !== false || asked.chat.tools.length === 0) return null
  return { kind: 'invalid_request', message: `${asked.chat.model} does not support tools` }
}

type Row = readonly [status: number, type: string, message: string]

const ERRORS: Readonly<Record<RefusalKind, Row>> = {
  auth: [401, 'api_error', 'unauthorized'],
  rate_limit: [429, 'api_error', 'too many requests'],
  quota: [429, 'api_error', 'you have reached your usage limit'],
  overloaded: [503, 'api_error', 'server busy, please try again.  maximum pending requests exceeded'],
  context_length: [400, 'invalid_request_error', ''],
  moderation: [400, 'invalid_request_error', 'the prompt was refused'],
  moderation_output: [400, 'invalid_request_error', 'the answer was refused'],
  model_unavailable: [404, 'not_found_error', ''],
  server: [500, 'api_error', 'llama runner process has terminated'],
  invalid_request: [400, 'invalid_request_error', 'invalid request'],
}

function errorOf(refusal: Refusal): { readonly status: number; readonly error: object } {
  const [status, type, message] = ERRORS[refusal.kind]
  const { max, input } = refusal.tokens ?? { max: 4_096, input: 4_097 }
  const texts: Partial<Record<RefusalKind, string>> = {
    context_length: `request (${input} tokens) exceeds the available context size (${max} tokens), try increasing it`,
    model_unavailable: `model '${refusal.model ?? ''}' not found`,
  }
  return {
    status,
    error: { message: refusal.message ?? texts[refusal.kind] ?? message, type, param: null, code: null },
  }
}

function reply(refusal: Refusal): Reply {
  const { status, error } = errorOf(refusal)
  return { status, headers: { 'content-type': JSON_TYPE }, body: JSON.stringify({ error }) }
}
