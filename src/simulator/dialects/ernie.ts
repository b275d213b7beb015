// ERNIE on Baidu Qianfan (百度千帆), API V2; the old API is in ernie-v1.ts, on the same server.
// https://cloud.baidu.com/doc/qianfan-api/s/3m7of64lb (chat), /s/Om9b4yj3w (errors). Where usage stands in a stream is
// not settled by any capture: `usage_chunk` chooses.

import type { Usage } from '../chat.ts'
import type { ModelConfig } from '../settings.ts'
import { modelField } from './credentials.ts'
import {
  type About,
  type Asked,
  type ChatApi,
  type Desk,
  type Dialect,
  event,
  type Incoming,
  type Refusal,
  type RefusalKind,
  type Reply,
} from './dialect.ts'
import { routeV1 } from './ernie-v1.ts'
import type { Fields, OpenAiBody } from './openai-body.ts'
import { authorises, createChatApi, listModels, type OpenAiLike, plainDelta } from './openai-like.ts'

const JSON_TYPE = 'application/json; charset=utf-8'

const base: OpenAiLike = {
  streamType: 'text/event-stream; charset=utf-8',
  jsonType: JSON_TYPE,
  headAtOnce: false,
  needsKey: true,
  reply,
  streamError: (refusal, about) => [event({ error: errorOf(refusal).error, id: about.requestId })],
  adjust,
  allows,
  headers,
  id: (about) => about.requestId,
  first: { role: 'assistant' },
  choice: (index, delta, finish) => ({
    index,
    delta,
    finish_reason: finish,
    ...(finish === 'content_filter' ? { flag: 3, ban_round: -1 } : {}),
  }),
  wholeChoice: (index, message, finish) => ({
    index,
    message,
    finish_reason: finish,
    ...(finish === 'content_filter' ? { flag: 3, ban_round: -1 } : { flag: 0 }),
  }),
  opening: () => null,
  delta: (piece, about) => {
    const delta = plainDelta(piece, ['reasoning_content'], callId(about, piece.choice, piece.callIndex))
    return piece.kind === 'reasoning' ? { ...delta, content: '' } : delta
  },
  lastDelta: () => ({}),
  message: ({ text, reasoning, calls }) => ({
    role: 'assistant',
    content: text,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }),
  callId,
  usage: usageOf,
  usageChunk: 'finish',
  everyChunk: 'chunk_include_usage',
}

const usageOnFinish = createChatApi(base)
const usageSeparate = createChatApi({ ...base, usageChunk: 'own' })

export const ernie: Dialect = {
  basePath: '/v2',
  makeId: (desk) => `as-${desk.random.unit().toString(36).slice(2).padEnd(10, '0').slice(0, 10)}`,
  route(incoming, desk) {
    const { method, path } = incoming
    if (path === '/v2/chat/completions') {
      return method === 'POST' ? chatApi(desk) : methodNotSupported(ernie.makeId(desk))
    }
    if (path === '/v2/models' && method === 'GET') return models(incoming, desk)
    return routeV1(incoming, desk)
  },
  wrongPath: () => ({
    status: 404,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
    body: '404 page not found\n',
  }),
}

function chatApi(desk: Desk): ChatApi {
  const api = desk.options.usageChunk === 'separate' ? usageSeparate : usageOnFinish
  return { ...api, modelOf: modelField, moderates: () => desk.options.moderatedOutput ?? 'finish' }
}

function methodNotSupported(id: string): Reply {
  const error = {
    code: 'method_not_supported',
    message: 'Only POST requests are accepted',
    type: 'invalid_request_error',
  }
  return { status: 405, headers: { 'content-type': JSON_TYPE }, body: JSON.stringify({ error, id }) }
}

function models(incoming: Incoming, desk: Desk): Reply {
  const about = { requestId: ernie.makeId(desk), createdSeconds: 0, incoming }
  const refusal = authorises(incoming, desk, true)
  return refusal === null
    ? listModels(desk, (id) => ({ id, object: 'model', created: 1_738_000_000, owned_by: 'qianfan' }))
    : reply(refusal, about)
}

/** A bare 32-digit id, without a prefix. */
function callId(about: About, choice: number, index: number): string {
  return Buffer.from(`${about.requestId}${choice}${index}`.padEnd(16, '0').slice(-16)).toString('hex')
}

function headers(about: About, desk: Desk): Readonly<Record<string, string>> {
  const limits = desk.limitsOf(modelField(about.incoming))
  const told = [
    ['X-Ratelimit-Limit-Requests', limits?.rpm],
    ['X-Ratelimit-Limit-Input-Tokens', limits?.tpm],
    ['X-Ratelimit-Limit-Output-Tokens', limits?.tpm],
    ['X-Ratelimit-Remaining-Requests', limits?.requestsLeft],
    ['X-Ratelimit-Remaining-Input-Tokens', limits?.tokensLeft],
    ['X-Ratelimit-Remaining-Output-Tokens', limits?.tokensLeft],
  ].flatMap(([name, value]) => (value === null || value === undefined ? [] : [[name, String(value)]]))
  return { 'X-Baidu-Request-Id': about.requestId, ...Object.fromEntries(told) }
}

function adjust(body: OpenAiBody): OpenAiBody | Refusal {
  const { fields, chat } = body
  const message = messagesProblem(body) ?? stopProblem(chat.stop) ?? thinkingProblem(fields)
  if (message !== null) return { kind: 'invalid_request', ...message }
  const isThinking = fields['enable_thinking']
  return {
    ...body,
    chat: {
      ...chat,
      choices: 1,
      thinking: typeof isThinking === 'boolean' ? isThinking : null,
      // The bound on all output wins where both are set.
      answerTokensMax: chat.totalTokensMax === null ? chat.answerTokensMax : null,
    },
  }
}

interface Problem {
  readonly code: string
  readonly message: string
}

function messagesProblem({ fields, chat }: OpenAiBody): Problem | null {
  const code = 'invalid_messages'
  const { messages } = chat
  const system = messages.findIndex((message, index) => message.role === 'system' && index > 0)
  if (system !== -1) return { code, message: 'system message must be the first message' }
  const unknown = messages.find((message) => !/^(system|user|assistant|tool)$/.test(message.role))
  if (unknown !== undefined) return { code, message: `invalid role: ${unknown.role}` }
  const given = fields['messages'] as readonly Fields[]
  if (given.some((message) => message['content'] === undefined || message['content'] === null)) {
    return { code, message: 'content of messages is empty' }
  }
  const last = messages.at(-1)
  const isBlank = last !== undefined && last.text.trim() === '' && last.images.length === 0
  return isBlank ? { code, message: 'the last message must not be blank' } : null
}

function stopProblem(stop: readonly string[]): Problem | null {
  const fits = stop.length <= 4 && stop.every((word) => word.length <= 20)
  return fits ? null : { code: 'invalid_argument', message: 'stop is invalid' }
}

/** `thinking_budget` is 100 at least; the efforts are a closed list. */
function thinkingProblem(fields: Fields): Problem | null {
  const { thinking_budget: budget = null, reasoning_effort: effort = null } = fields
  if (budget !== null && !(Number.isInteger(budget) && Number(budget) >= 100))
    return { code: 'invalid_argument', message: 'thinking_budget is invalid' }
  const isKnown = effort === null || (typeof effort === 'string' && /^(low|medium|high)$/.test(effort))
  return isKnown ? null : { code: 'invalid_argument', message: 'reasoning_effort is invalid' }
}

function allows(asked: Asked, model: ModelConfig): Refusal | null {
  const hasImage = asked.chat.messages.some((message) => message.images.length > 0)
  if (model.vision === true || !hasImage) return null
  return {
    kind: 'invalid_request',
    code: 'invalid_messages',
    message: 'the model does not support image_url',
  }
}

function usageOf(usage: Usage): object {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    ...(usage.cachedTokens === 0
      ? {}
      : { prompt_tokens_details: { search_tokens: 0, cached_tokens: usage.cachedTokens } }),
    ...(usage.reasoningTokens === 0
      ? {}
      : { completion_tokens_details: { reasoning_tokens: usage.reasoningTokens } }),
  }
}

interface Row extends Problem {
  readonly status: number
  readonly type: string
}

const INVALID = 'invalid_request_error'
const LIMITED = 'rate_limit_exceeded'

const ERRORS: Readonly<Record<RefusalKind, Row>> = {
  auth: { status: 401, code: 'invalid_iam_token', type: INVALID, message: 'invalid_iam_token' },
  rate_limit: {
    status: 429,
    code: 'rpm_rate_limit_exceeded',
    type: LIMITED,
    message: 'Rate limit reached for RPM',
  },
  quota: {
    status: 403,
    code: 'account_overdue',
    type: 'access_denied',
    message: 'Access denied due to overdue account',
  },
  overloaded: {
    status: 429,
    code: 'cluster_rate_limit_exceeded',
    type: LIMITED,
    message: 'request limit by resouce cluster reached',
  },
  context_length: { status: 400, code: 'tokens_too_long', type: INVALID, message: 'Prompt tokens too long' },
  moderation: {
    status: 403,
    code: 'user_setting_unsafe',
    type: 'unsafe_request',
    message: 'the content of user field is invalid',
  },
  moderation_output: {
    status: 403,
    code: 'user_setting_unsafe',
    type: 'unsafe_request',
    message: 'the content of the answer is invalid',
  },
  // A wrong name is a 401 here.
  model_unavailable: {
    status: 401,
    code: 'invalid_model',
    type: INVALID,
    message: 'The model does not exist or you do not have access to it.',
  },
  server: { status: 500, code: 'internal_error', type: 'Internal_error', message: 'Internal error' },
  invalid_request: { status: 400, code: 'invalid_argument', type: INVALID, message: 'Invalid Argument' },
}

const LIMITS = {
  requests: ERRORS.rate_limit,
  tokens: { ...ERRORS.rate_limit, code: 'tpm_rate_limit_exceeded', message: 'Rate limit reached for TPM' },
  concurrency: {
    ...ERRORS.rate_limit,
    code: 'user_rate_limit_exceeded',
    message: 'qps request limit by APP ID reached',
  },
} as const

function errorOf(refusal: Refusal): { readonly status: number; readonly error: object } {
  const row = refusal.limit === undefined ? ERRORS[refusal.kind] : LIMITS[refusal.limit]
  const { status, type } = row
  return { status, error: { code: refusal.code ?? row.code, message: refusal.message ?? row.message, type } }
}

function reply(refusal: Refusal, about: About): Reply {
  const { status, error } = errorOf(refusal)
  return {
    status,
    headers: { 'content-type': JSON_TYPE, 'X-Baidu-Request-Id': about.requestId },
    body: JSON.stringify({ error, id: about.requestId }),
  }
}
