// Qwen on Alibaba's DashScope (百炼): the compatible mode, and the native API beside it on the same server.
// https://help.aliyun.com/zh/model-studio/qwen-api-reference, /error-code; chunks as in the QwQ page's sample.

import type { Piece, Usage } from '../chat.ts'
import { bearerKey, modelField, streamField } from './credentials.ts'
import {
  type About,
  type Asked,
  type ChatApi,
  type Desk,
  type Dialect,
  DONE,
  type Encoder,
  event,
  type Frame,
  type Incoming,
  type Refusal,
  type Reply,
} from './dialect.ts'
import { type Fields, isBody, type OpenAiBody, readOpenAiBody, wholeCalls, wholeText } from './openai-body.ts'
import { listModels } from './openai-like.ts'
import { errorOf, JSON_TYPE, refuse, STREAM_TYPE } from './qwen-errors.ts'
import { routeNative } from './qwen-native.ts'
import { refusedByModel, refusedParameter } from './qwen-rules.ts'

const BASE = '/compatible-mode/v1'

const chat: ChatApi = {
  streamType: STREAM_TYPE,
  jsonType: JSON_TYPE,
  headAtOnce: false,
  explicitCache: true,
  authorises,
  modelOf: modelField,
  isStreaming: streamField,
  read,
  allows: (asked, model, inputTokens) => refusedByModel(asked.chat, model, inputTokens),
  refuse,
  refuseInStream: (refusal) => [event({ error: errorOf(refusal).error })],
  moderates: (desk) => desk.options.moderatedOutput ?? 'error',
  headers: (about) => ({ 'x-request-id': about.requestId }),
}

export const qwen: Dialect = {
  basePath: BASE,
  makeId: (desk) => desk.random.uuid(),
  route(incoming, desk) {
    const { method, path } = incoming
    if (method === 'POST' && path === `${BASE}/chat/completions`) return chat
    if (method === 'GET' && path === `${BASE}/models`) return models(incoming, desk)
    return method === 'POST' ? routeNative(path) : null
  },
  wrongPath: (incoming, about) => ({
    status: 404,
    headers: { 'content-type': JSON_TYPE },
    body: JSON.stringify({
      timestamp: about.createdSeconds * 1000,
      status: 404,
      error: 'Not Found',
      path: incoming.path,
    }),
  }),
}

function authorises(incoming: Incoming, desk: Desk): Refusal | null {
  const key = bearerKey(incoming)
  return key !== null && desk.accepts(key) ? null : { kind: 'auth' }
}

function models(incoming: Incoming, desk: Desk): Reply {
  const about = { requestId: qwen.makeId(desk), createdSeconds: 0, incoming }
  const refusal = authorises(incoming, desk)
  return refusal === null
    ? listModels(desk, (id) => ({ id, object: 'model', created: 1_733_000_000, owned_by: 'system' }))
    : refuse(refusal, about, desk)
}

function read(incoming: Incoming): Asked | Refusal {
  const body = readOpenAiBody(incoming.body)
  if (!isBody(body)) return body
  const { fields } = body
  const asked = {
    ...body.chat,
    ...thinkingOf(fields),
    parallelToolCalls: fields['parallel_tool_calls'] === true,
  }
  const message = missingContent(fields) ?? refusedParameter(fields, asked)
  if (message !== null) return { kind: 'invalid_request', message }
  return {
    chat: asked,
    encoder: (model, about, thinks) => encoder({ model, about, thinks, body }),
  }
}

function thinkingOf(fields: Fields): { readonly thinking: boolean | null } {
  const said = fields['enable_thinking']
  if (typeof said === 'boolean') return { thinking: said }
  return { thinking: fields['reasoning_effort'] === 'none' ? false : null }
}

/** An assistant turn with tool calls needs the member, "" at least. */
function missingContent(fields: Fields): string | null {
  const messages = fields['messages'] as readonly object[]
  return messages.every((message) => 'content' in message) ? null : 'The content field is a required field.'
}

interface Writing {
  readonly model: string
  readonly about: About
  readonly thinks: boolean
  readonly body: OpenAiBody
}

function encoder(writing: Writing): Encoder {
  const { model, about, thinks, body } = writing
  const wantsUsage = body.streamOptions['include_usage'] === true
  const chunk = (choices: readonly object[], usage: Usage | null): Frame =>
    event({
      choices,
      object: 'chat.completion.chunk',
      usage: usage === null ? null : usageOf(usage),
      created: about.createdSeconds,
      system_fingerprint: null,
      model,
      id: `chatcmpl-${about.requestId}`,
    })
  let fragments = 0
  return {
    open: () => {
      const delta = thinks
        ? { content: null, role: 'assistant', reasoning_content: '' }
        : { content: '', role: 'assistant' }
      return Array.from({ length: body.chat.choices }, (_, index) =>
        chunk([{ delta, index, logprobs: null, finish_reason: null }], null),
      )
    },
    piece(piece) {
      const { choice: index } = piece
      if (piece.kind === 'reasoning') {
        const delta = { content: null, reasoning_content: piece.text }
        return [chunk([{ finish_reason: null, delta, index, logprobs: null }], null)]
      }
      fragments = piece.kind === 'arguments' ? fragments + 1 : 0
      const delta = deltaOf(piece, writing, fragments)
      return [chunk([{ delta, finish_reason: null, index, logprobs: null }], null)]
    },
    finish(index, reason) {
      const delta = thinks ? { content: '', reasoning_content: null } : { content: '' }
      return [chunk([{ finish_reason: reason, delta, index, logprobs: null }], null)]
    },
    end: (usage) => (wantsUsage && usage !== null ? [chunk([], usage), DONE] : [DONE]),
    whole: (choices, usage) => ({
      choices: choices.map(({ pieces, finish }, index) => ({
        message: messageOf(pieces, about, index),
        finish_reason: finish,
        index,
        logprobs: null,
      })),
      object: 'chat.completion',
      ...(usage === null ? {} : { usage: usageOf(usage) }),
      created: about.createdSeconds,
      system_fingerprint: null,
      model,
      id: `chatcmpl-${about.requestId}`,
    }),
  }
}

/** Later fragments of a call repeat an empty id, and a name that is empty or null (spring-ai#4790, spring-ai-extensions#83). */
function deltaOf(piece: Piece, writing: Writing, fragment: number): object {
  const { about, thinks } = writing
  if (piece.kind === 'text') {
    return thinks ? { content: piece.text, reasoning_content: null } : { content: piece.text }
  }
  const isOpening = piece.kind === 'call'
  const call = {
    index: piece.callIndex,
    id: isOpening ? callId(about, piece.choice, piece.callIndex) : '',
    type: 'function',
    function: isOpening
      ? { name: piece.text, arguments: '' }
      : { name: fragment % 2 === 1 ? '' : null, arguments: piece.text },
  }
  return { content: null, tool_calls: [call] }
}

function messageOf(pieces: readonly Piece[], about: About, choice: number): object {
  const reasoning = wholeText(pieces, 'reasoning')
  const calls = wholeCalls(pieces).map((call, index) => ({
    function: call,
    index,
    id: callId(about, choice, index),
    type: 'function',
  }))
  return {
    content: wholeText(pieces, 'text'),
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    role: 'assistant',
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

function callId(about: About, choice: number, index: number): string {
  return `call_${about.requestId.replaceAll('-', '').slice(0, 20)}${choice}${index}`
}

function usageOf(usage: Usage): object {
  const { imageTokens } = usage
  const media =
    imageTokens === 0 ? {} : { text_tokens: usage.inputTokens - imageTokens, image_tokens: imageTokens }
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    ...(usage.reasoningTokens === 0
      ? {}
      : { completion_tokens_details: { reasoning_tokens: usage.reasoningTokens } }),
    prompt_tokens_details: { ...cacheOf(usage), ...media },
  }
}

/** Implicit and explicit caches exclude each other; https://help.aliyun.com/zh/model-studio/context-cache. */
function cacheOf(usage: Usage): object {
  const { cachedTokens, cacheWriteTokens } = usage
  if (cacheWriteTokens === null) {
    return { ...(cachedTokens === 0 ? {} : { cache_type: 'implicit' }), cached_tokens: cachedTokens }
  }
  return {
    cached_tokens: cachedTokens,
    cache_creation_input_tokens: cacheWriteTokens,
    cache_type: 'ephemeral',
    cache_creation: { ephemeral_5m_input_tokens: cacheWriteTokens },
  }
}
