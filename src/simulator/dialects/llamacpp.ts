// llama.cpp's server (tools/server/README.md, server-common.cpp of 2026): choices first, `timings` beside usage, errors
// with numeric codes, comments while it waits.

import { completionsApi } from './completions.ts'
import type { ChatApi, Desk, Dialect, Incoming, Refusal, RefusalKind, Reply } from './dialect.ts'
import { event } from './dialect.ts'
import { isFields, type OpenAiBody } from './openai-body.ts'
import { authorises, createChatApi, listModels, plainDelta, reasoningFields } from './openai-like.ts'

const JSON_TYPE = 'application/json; charset=utf-8'
const FINGERPRINT = 'b6390-e32a4ec60'

const chat: ChatApi = createChatApi({
  streamType: 'text/event-stream',
  jsonType: JSON_TYPE,
  headAtOnce: true,
  needsKey: false,
  reply,
  streamError: (refusal) => [event({ error: errorOf(refusal) })],
  adjust,
  allows(asked, model) {
    const hasImage = asked.chat.messages.some((message) => message.images.length > 0)
    if (model.vision === true || !hasImage) return null
    return {
      kind: 'invalid_request',
      message:
        'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj',
    }
  },
  id: (about) => `chatcmpl-${about.requestId}`,
  afterModel: { system_fingerprint: FINGERPRINT },
  whole: { before: { system_fingerprint: FINGERPRINT } },
  choice: (index, delta, finish) => ({ finish_reason: finish, index, delta }),
  wholeChoice: (index, message, finish) => ({ finish_reason: finish, index, message }),
  opening: () => ({ role: 'assistant', content: null }),
  delta: (piece, about, _thinks, desk) =>
    plainDelta(
      piece,
      reasoningFields(desk, 'reasoning_content'),
      `${about.requestId.slice(2)}${piece.choice}${piece.callIndex}`,
    ),
  lastDelta: () => ({}),
  message: ({ text, reasoning, calls }) => ({
    role: 'assistant',
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    content: text === '' && calls.length > 0 ? null : text,
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }),
  callId: (about, choice, index) => `${about.requestId.slice(2)}${choice}${index}`,
  usage: (usage) => ({
    completion_tokens: usage.outputTokens,
    prompt_tokens: usage.inputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  }),
  besideUsage: (usage) => ({
    timings: {
      cache_n: usage.cachedTokens,
      prompt_n: usage.inputTokens - usage.cachedTokens,
      predicted_n: usage.outputTokens,
    },
  }),
  usageChunk: 'own',
  order: ['choices', 'created', 'id', 'model', 'system_fingerprint', 'object', 'usage'],
})

/** Usage stands on the last chunk, asked for or not (server_task_result_cmpl_final::to_json_oaicompat). */
const completions = completionsApi(chat, {
  id: (about) => `chatcmpl-${about.requestId}`,
  afterModel: { system_fingerprint: FINGERPRINT },
  choice: (index, text, finish) => ({ text, index, logprobs: null, finish_reason: finish }),
  usageChunk: 'finish',
  choicesMax: 1,
  tokensDefault: null,
  missingPrompt: '"prompt" must not be empty',
})

export const llamacpp: Dialect = {
  basePath: '/v1',
  anyModel: true,
  makeId: (desk) => desk.random.hex(32),
  route(incoming, desk) {
    const { method, path } = incoming
    if (method === 'POST' && path === '/v1/chat/completions') return chat
    if (method === 'POST' && path === '/v1/completions') return completions
    if (method === 'GET' && path === '/health') {
      return { status: 200, headers: { 'content-type': JSON_TYPE }, body: '{"status":"ok"}' }
    }
    return method === 'GET' && path === '/v1/models' ? models(incoming, desk) : null
  },
  wrongPath: () => ({
    status: 404,
    headers: { 'content-type': JSON_TYPE },
    body: '{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}',
  }),
}

function models(incoming: Incoming, desk: Desk): Reply {
  const refusal = authorises(incoming, desk, false)
  if (refusal !== null) return reply(refusal)
  return listModels(desk, (id, model) => ({
    id,
    object: 'model',
    created: Math.floor(desk.nowMs() / 1000),
    owned_by: 'llamacpp',
    meta: { n_ctx_train: model.contextWindow ?? null },
  }))
}

function adjust(body: OpenAiBody): OpenAiBody {
  const { fields, chat: asked } = body
  const template = isFields(fields['chat_template_kwargs']) ? fields['chat_template_kwargs'] : {}
  const said = template['enable_thinking']
  return {
    ...body,
    chat: {
      ...asked,
      choices: 1,
      thinking: typeof said === 'boolean' ? said : asked.effort === 'none' ? false : null,
      totalTokensMax: asked.totalTokensMax ?? asked.answerTokensMax,
      answerTokensMax: null,
    },
  }
}

type Row = readonly [code: number, type: string, message: string]

const ERRORS: Readonly<Record<RefusalKind, Row>> = {
  auth: [401, 'authentication_error', 'Invalid API Key'],
  rate_limit: [503, 'unavailable_error', 'no slot available'],
  quota: [503, 'unavailable_error', 'no slot available'],
  overloaded: [503, 'unavailable_error', 'Loading model'],
  context_length: [400, 'exceed_context_size_error', ''],
  moderation: [400, 'invalid_request_error', 'the prompt was refused'],
  moderation_output: [400, 'invalid_request_error', 'the answer was refused'],
  model_unavailable: [404, 'not_found_error', 'model not found'],
  server: [500, 'server_error', 'Failed to decode batch'],
  invalid_request: [400, 'invalid_request_error', 'invalid request'],
}

function errorOf(refusal: Refusal): object {
  const [code, type, message] = ERRORS[refusal.kind]
  if (refusal.kind !== 'context_length') return { code, message: refusal.message ?? message, type }
  const { max, input } = refusal.tokens ?? { max: 4_096, input: 4_097 }
  const tooLong = `request (${input} tokens) exceeds the available context size (${max} tokens), try increasing it`
  return { code, message: tooLong, type, n_prompt_tokens: input, n_ctx: max }
}

function reply(refusal: Refusal): Reply {
  return {
    status: ERRORS[refusal.kind][0],
    headers: { 'content-type': JSON_TYPE },
    body: JSON.stringify({ error: errorOf(refusal) }),
  }
}
