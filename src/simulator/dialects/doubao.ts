// Doubao on Volcano Ark (火山方舟), chat completions of API v3.
// https://www.volcengine.com/docs/82379/1494384 (chat), /1299023 and /1099476 (errors); the order of members, `role`
// in every delta, the absent `finish_reason` and the empty `content` while thinking are those of the official stream
// sample of BytePlus ModelArk, the same platform.

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
  type RefusalKind,
  type Reply,
} from './dialect.ts'
import {
  type Fields,
  isBody,
  isFields,
  type OpenAiBody,
  readOpenAiBody,
  wholeCalls,
  wholeText,
} from './openai-body.ts'

const JSON_TYPE = 'application/json; charset=utf-8'

const chat: ChatApi = {
  streamType: 'text/event-stream; charset=utf-8',
  jsonType: JSON_TYPE,
  headAtOnce: false,
  authorises(incoming, desk) {
    const key = bearerKey(incoming)
    return key !== null && desk.accepts(key) ? null : { kind: 'auth' }
  },
  modelOf: modelField,
  isStreaming: streamField,
  read,
  // Text models take no list of parts, and do not say which field is wrong (Roo-Code#504, cline#1426).
  allows(asked, model) {
    const isFine = model.vision === true || !asked.chat.messages.some((message) => message.isList === true)
    return isFine ? null : { kind: 'invalid_request' }
  },
  refuse,
  refuseInStream: (refusal, about, desk) => {
    const frame = event({ error: errorOf(refusal, about).error })
    return [desk.options.errorEvents === true ? { ...frame, text: `event: error\n${frame.text}` } : frame]
  },
  moderates: (desk) => desk.options.moderatedOutput ?? 'finish',
  headers: callHeaders,
}

export const doubao: Dialect = {
  basePath: '/api/v3',
  // A log id: 02, the time in ms, then hexadecimal digits.
  makeId: (desk) => `02${String(desk.nowMs()).padStart(13, '0')}${desk.random.hex(38)}`,
  route(incoming, desk) {
    if (incoming.path === '/api/v3/chat/completions' && incoming.method === 'POST') return chat
    if (incoming.path === '/api/v3/models' && incoming.method === 'GET') return listModels(incoming, desk)
    return null
  },
  wrongPath: (_incoming, about) => ({ status: 404, headers: { 'x-request-id': about.requestId }, body: '' }),
}

function listModels(incoming: Incoming, desk: Desk): Reply {
  const about = { requestId: doubao.makeId(desk), createdSeconds: 0, incoming }
  const refusal = chat.authorises(incoming, desk)
  if (refusal !== null) return refuse(refusal, about)
  const data = Object.keys(desk.models).map((id) => ({ created: 0, id, object: 'model', owned_by: '' }))
  return {
    status: 200,
    headers: { 'content-type': JSON_TYPE, ...callHeaders(about) },
    body: JSON.stringify({ data, object: 'list' }),
  }
}

function callHeaders(about: About): Readonly<Record<string, string>> {
  const own = about.incoming.headers['x-client-request-id']
  return { 'x-request-id': about.requestId, ...(own === undefined ? {} : { 'x-client-request-id': own }) }
}

function read(incoming: Incoming): Asked | Refusal {
  const body = readOpenAiBody(incoming.body)
  if (!isBody(body)) return body.param === undefined ? { kind: 'invalid_request' } : missing(body.param)
  const { fields } = body
  if ('max_tokens' in fields && 'max_completion_tokens' in fields) {
    return { kind: 'invalid_request', code: 'InvalidParameter', param: 'max_tokens' }
  }
  const type = isFields(fields['thinking']) ? fields['thinking']['type'] : undefined
  if ((fields['thinking'] ?? null) !== null && !THINKING_TYPES.has(type)) {
    return { kind: 'invalid_request', code: 'InvalidParameter', param: 'thinking.type' }
  }
  return {
    chat: { ...body.chat, ...thinkingOf(fields) },
    encoder: (model, about) => encoder(model, about, body),
  }
}

/** The official SDK's; the `adaptive` of others is none of them. */
const THINKING_TYPES: ReadonlySet<unknown> = new Set(['enabled', 'disabled', 'auto'])

function missing(name: string): Refusal {
  const message = `The request failed because it is missing \`${name}\` parameter.`
  return { kind: 'invalid_request', code: 'MissingParameter', message, param: name }
}

/** `thinking.type` wins; the efforts `minimal` and `none` mean no thinking. */
function thinkingOf(fields: Fields): { readonly thinking: boolean | null } {
  const type = isFields(fields['thinking']) ? fields['thinking']['type'] : undefined
  if (type === 'enabled') return { thinking: true }
  if (type === 'disabled') return { thinking: false }
  const effort = fields['reasoning_effort']
  return { thinking: effort === 'minimal' || effort === 'none' ? false : null }
}

function encoder(model: string, about: About, body: OpenAiBody): Encoder {
  const wantsUsage = body.streamOptions['include_usage'] === true
  const wantsEvery = body.streamOptions['chunk_include_usage'] === true
  const chunk = (choices: readonly unknown[], usage: Usage | null): Frame =>
    event({
      choices,
      created: about.createdSeconds,
      id: about.requestId,
      model,
      service_tier: 'default',
      object: 'chat.completion.chunk',
      usage: usage === null ? null : usageOf(usage),
    })
  return {
    open: () => [],
    piece: (piece, usage) => [
      chunk([{ delta: deltaOf(piece, about), index: piece.choice }], wantsEvery ? usage : null),
    ],
    finish: (choice, reason, usage) => [
      chunk(
        [{ delta: { content: '', role: 'assistant' }, finish_reason: reason, index: choice }],
        wantsEvery ? usage : null,
      ),
    ],
    end: (usage) => (wantsUsage && usage !== null ? [chunk([], usage), DONE] : [DONE]),
    whole: (choices, usage) => ({
      choices: choices.map(({ pieces, finish }, index) => ({
        finish_reason: finish,
        index,
        logprobs: null,
        message: messageOf(pieces, about, index),
      })),
      created: about.createdSeconds,
      id: about.requestId,
      model,
      service_tier: 'default',
      object: 'chat.completion',
      ...(usage === null ? {} : { usage: usageOf(usage) }),
    }),
  }
}

function deltaOf(piece: Piece, about: About): object {
  const { text } = piece
  switch (piece.kind) {
    case 'reasoning':
      return { content: '', reasoning_content: text, role: 'assistant' }
    case 'text':
      return { content: text, role: 'assistant' }
    case 'call': {
      const id = callId(about, piece.choice, piece.callIndex)
      const call = { id, type: 'function', index: piece.callIndex, function: { name: text, arguments: '' } }
      return { content: '', role: 'assistant', tool_calls: [call] }
    }
    case 'arguments':
      return {
        content: '',
        role: 'assistant',
        tool_calls: [{ index: piece.callIndex, function: { arguments: text } }],
      }
  }
}

function messageOf(pieces: readonly Piece[], about: About, choice: number): object {
  const reasoning = wholeText(pieces, 'reasoning')
  const calls = wholeCalls(pieces).map((call, index) => ({
    id: callId(about, choice, index),
    type: 'function',
    function: call,
  }))
  return {
    content: wholeText(pieces, 'text'),
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    role: 'assistant',
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

function callId(about: About, choice: number, index: number): string {
  return `call_${about.requestId.slice(-20)}${choice}${index}`
}

function usageOf(usage: Usage): object {
  return {
    completion_tokens: usage.outputTokens,
    prompt_tokens: usage.inputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  }
}

interface Row {
  readonly status: number
  readonly code: string
  readonly message: string
}

const INVALID = 'One or more parameters specified in the request are not valid.'

const ERRORS: Readonly<Record<RefusalKind, Row>> = {
  auth: {
    status: 401,
    code: 'AuthenticationError',
    message: 'The API key or AK/SK in the request is missing or invalid.',
  },
  rate_limit: {
    status: 429,
    code: 'ModelAccountRpmRateLimitExceeded',
    message: 'Requests to the model have exceeded its account RPM limit. Please try again later.',
  },
  quota: {
    status: 403,
    code: 'AccountOverdueError',
    message: 'The request failed because your account has an overdue balance.',
  },
  overloaded: {
    status: 429,
    code: 'ServerOverloaded',
    message: 'The service is currently unable to handle additional requests due to server overload.',
  },
  context_length: {
    status: 400,
    code: 'OutofContextError',
    message: 'The request failed because the input is longer than the context of the model.',
  },
  moderation: {
    status: 400,
    code: 'InputTextSensitiveContentDetected',
    message: 'The request failed because the input text may contain sensitive information.',
  },
  moderation_output: {
    status: 400,
    code: 'OutputTextSensitiveContentDetected',
    message: 'The request failed because the output text may contain sensitive information.',
  },
  model_unavailable: { status: 404, code: 'InvalidEndpointOrModel.NotFound', message: '' },
  server: {
    status: 500,
    code: 'InternalServiceError',
    message: 'The service encountered an unexpected internal error.',
  },
  invalid_request: { status: 400, code: 'InvalidParameter', message: INVALID },
}

const TYPES: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  429: 'TooManyRequests',
  500: 'InternalServerError',
}

const LIMIT_CODES = {
  requests: 'ModelAccountRpmRateLimitExceeded',
  tokens: 'ModelAccountTpmRateLimitExceeded',
  concurrency: 'InflightBatchsizeExceeded',
} as const

function errorOf(refusal: Refusal, about: About): { readonly status: number; readonly error: object } {
  const { status, code, message } = ERRORS[refusal.kind]
  const limitCode = refusal.limit === undefined ? code : LIMIT_CODES[refusal.limit]
  const ofModel = `The model or endpoint ${refusal.model ?? ''} does not exist or you do not have access to it.`
  const told = refusal.message ?? (refusal.kind === 'model_unavailable' ? ofModel : message)
  return {
    status,
    error: {
      code: refusal.code ?? (refusal.kind === 'rate_limit' ? limitCode : code),
      message: `${told} Request id: ${about.requestId}`,
      param: refusal.param ?? '',
      type: TYPES[status] ?? 'BadRequest',
    },
  }
}

function refuse(refusal: Refusal, about: About): Reply {
  const { status, error } = errorOf(refusal, about)
  return {
    status,
    headers: { 'content-type': JSON_TYPE, ...callHeaders(about) },
    body: JSON.stringify({ error }),
  }
}
