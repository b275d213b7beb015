// OpenAI chat → Qianfan V1: the model in the path, the system text apart, functions in place of tools. How
// messages are made to alternate stands in v1-messages.ts.

import type { ChatRequest } from '#core/chat.ts'
import { GatewayError } from '#core/errors.ts'
import type { EncodedRequest, EncodeInput } from '#core/wire-format.ts'
import { isObject } from '#wire/json-object.ts'
import { encodeMessages } from './v1-messages.ts'
import { suffixOf } from './v1-models.ts'

const CHAT_PATH = '/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/'

/** Fields of the same name and meaning. */
const SAME = [
  'temperature',
  'top_p',
  'penalty_score',
  'disable_search',
  'enable_citation',
  'enable_trace',
  'system_memory_id',
] as const

const ELSEWHERE = new Set([
  'model',
  'messages',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'user',
  'response_format',
  'tools',
  'tool_choice',
  'functions',
  'function_call',
  'parallel_tool_calls',
  'n',
  'logprobs',
  'top_logprobs',
])

export function encodeV1(input: EncodeInput): EncodedRequest {
  const { request } = input
  refuseUnsayable(request)
  const { system, messages } = encodeMessages(request.messages)
  const body: Record<string, unknown> = { messages }
  if (system !== null) body['system'] = system
  if (input.streaming) body['stream'] = true
  for (const field of SAME) set(body, field, request[field])
  set(body, 'max_output_tokens', request['max_completion_tokens'] ?? request['max_tokens'])
  set(body, 'stop', typeof request['stop'] === 'string' ? [request['stop']] : request['stop'])
  set(body, 'user_id', request['user'])
  set(body, 'response_format', responseFormat(request['response_format']))
  const functions = functionsOf(request)
  if (functions.length > 0) body['functions'] = functions
  return {
    path: `${CHAT_PATH}${suffixOf(input.model)}`,
    fromOrigin: true,
    headers: {},
    body: JSON.stringify(body),
    dropped: droppedFields(request),
  }
}

function set(body: Record<string, unknown>, field: string, value: unknown): void {
  if (value !== undefined && value !== null) body[field] = value
}

/** What V1 has no words for and may not be left out. */
function refuseUnsayable(request: ChatRequest): void {
  if (typeof request['n'] === 'number' && request['n'] > 1) throw unsupported('n')
  if (request['logprobs'] === true) throw unsupported('logprobs')
  const choice = request['tool_choice']
  // A named tool is only a hint in V1 ("非强制"), so it would not be forced.
  if (choice === 'required' || isObject(choice)) throw unsupported('tool_choice')
  if (isObject(request['function_call'])) throw unsupported('function_call')
  const format = request['response_format']
  if (isObject(format) && format['type'] === 'json_schema') throw unsupported('response_format')
}

function responseFormat(format: unknown): string | null {
  return isObject(format) && typeof format['type'] === 'string' ? format['type'] : null
}

/** `none` means the same as having no functions. */
function functionsOf(request: ChatRequest): readonly unknown[] {
  if (request['tool_choice'] === 'none' || request['function_call'] === 'none') return []
  const tools = request['tools']
  if (Array.isArray(tools) && tools.length > 0) {
    return tools.map((tool: unknown, index) => {
      const fn = isObject(tool) && tool['type'] === 'function' ? tool['function'] : null
      if (!isObject(fn)) throw unsupported(`tools[${index}]`)
      return withParameters(fn)
    })
  }
  const functions = request['functions']
  return Array.isArray(functions)
    ? functions.map((fn: unknown) => (isObject(fn) ? withParameters(fn) : fn))
    : []
}

/** V1 demands `parameters`; a function without any takes an empty object. */
function withParameters(fn: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { strict: _strict, ...rest } = fn
  return { ...rest, parameters: fn['parameters'] ?? { type: 'object', properties: {} } }
}

function droppedFields(request: ChatRequest): readonly string[] {
  const same = new Set<string>(SAME)
  return Object.keys(request).filter(
    (field) =>
      !same.has(field) && !ELSEWHERE.has(field) && request[field] !== undefined && request[field] !== null,
  )
}

function unsupported(param: string): GatewayError {
  return new GatewayError('unsupported_parameter', `\`${param}\` cannot be said to this model`, { param })
}
