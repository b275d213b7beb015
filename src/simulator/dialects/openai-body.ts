// Reads the request body that nearly all vendors share, as OpenAI's reference has it. What a vendor adds or forbids
// is its dialect's.

import type { ChatRequest, Message, Tool } from '../chat.ts'
import type { Refusal } from './dialect.ts'

export type Fields = Readonly<Record<string, unknown>>

export interface OpenAiBody {
  readonly fields: Fields
  readonly chat: ChatRequest
  /** `stream_options`, {} where there is none. */
  readonly streamOptions: Fields
}

const CHOICES_MAX = 16

export function readOpenAiBody(body: unknown): OpenAiBody | Refusal {
  if (!isFields(body)) return invalid('the body is no JSON object')
  const { model, messages } = body
  if (typeof model !== 'string' || model === '') return invalid('model is missing', 'model')
  if (!Array.isArray(messages) || messages.length === 0) return invalid('messages is missing', 'messages')
  const read: Message[] = []
  for (const message of messages as readonly unknown[]) {
    if (!isFields(message) || typeof message['role'] !== 'string')
      return invalid('a message has no role', 'messages')
    read.push(readMessage(message['role'], message))
  }
  return {
    fields: body,
    chat: readChat(model, read, body),
    streamOptions: isFields(body['stream_options']) ? body['stream_options'] : {},
  }
}

function readChat(model: string, messages: readonly Message[], body: Fields): ChatRequest {
  const tools = Array.isArray(body['tools']) ? body['tools'] : body['functions']
  return {
    model,
    messages,
    tools: readTools(tools),
    toolChoice: readToolChoice(body['tool_choice'] ?? body['function_call']),
    parallelToolCalls: body['parallel_tool_calls'] !== false,
    isStreaming: body['stream'] === true,
    answerTokensMax: countOf(body['max_tokens']),
    totalTokensMax: countOf(body['max_completion_tokens']),
    stop: readStop(body['stop']),
    choices: Math.min(Math.max(countOf(body['n']) ?? 1, 1), CHOICES_MAX),
    thinking: null,
    reasoningTokensMax: countOf(body['thinking_budget']),
    effort: typeof body['reasoning_effort'] === 'string' ? body['reasoning_effort'] : null,
    format: readFormat(body['response_format']),
  }
}

export function readMessage(role: string, message: Fields): Message {
  const { content } = message
  const parts = Array.isArray(content) ? (content as readonly unknown[]).filter(isFields) : []
  const text =
    typeof content === 'string'
      ? content
      : parts.map((part) => (typeof part['text'] === 'string' ? part['text'] : '')).join('')
  return {
    role,
    text: typeof message['reasoning_content'] === 'string' ? message['reasoning_content'] + text : text,
    images: parts.filter((part) => typeof part['text'] !== 'string').map(mediaOf),
    calls: readCalls(message['tool_calls']),
    isList: Array.isArray(content),
    hasReasoning: typeof message['reasoning_content'] === 'string',
    isCacheMark: parts.some((part) => isFields(part['cache_control'])),
  }
}

/** The address of an image or another medium, in OpenAI's parts and in DashScope's. */
function mediaOf(part: Fields): string {
  for (const name of ['image_url', 'video_url', 'input_audio', 'image', 'video', 'audio']) {
    const value = part[name]
    if (typeof value === 'string') return value
    if (isFields(value)) return String(value['url'] ?? value['data'] ?? name)
    if (Array.isArray(value)) return value.join(' ')
  }
  return 'unknown'
}

function readCalls(value: unknown): Message['calls'] {
  if (!Array.isArray(value)) return []
  return (value as readonly unknown[]).filter(isFields).map((call) => {
    const made = isFields(call['function']) ? call['function'] : {}
    return { name: String(made['name'] ?? ''), arguments: String(made['arguments'] ?? '') }
  })
}

export function readTools(value: unknown): readonly Tool[] {
  if (!Array.isArray(value)) return []
  return (value as readonly unknown[])
    .filter(isFields)
    .map((tool) => (isFields(tool['function']) ? tool['function'] : tool))
    .filter((tool) => typeof tool['name'] === 'string')
    .map((tool) => ({
      name: String(tool['name']),
      description: typeof tool['description'] === 'string' ? tool['description'] : '',
      parameters: tool['parameters'],
    }))
}

export function readToolChoice(value: unknown): ChatRequest['toolChoice'] {
  if (value === 'none' || value === 'auto' || value === 'required') return value
  if (!isFields(value)) return 'auto'
  const named = isFields(value['function']) ? value['function'] : value
  return typeof named['name'] === 'string' ? { name: named['name'] } : 'auto'
}

export function readStop(value: unknown): readonly string[] {
  const words = Array.isArray(value) ? (value as readonly unknown[]) : [value]
  return words.filter((word) => typeof word === 'string')
}

export function readFormat(value: unknown): ChatRequest['format'] {
  if (!isFields(value)) return { kind: 'text', schema: null }
  if (value['type'] === 'json_object') return { kind: 'json', schema: value['schema'] ?? null }
  if (value['type'] !== 'json_schema') return { kind: 'text', schema: null }
  const described = isFields(value['json_schema']) ? value['json_schema'] : {}
  return { kind: 'json', schema: described['schema'] ?? null }
}

export function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : null
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(message: string, param?: string): Refusal {
  return { kind: 'invalid_request', message, ...(param === undefined ? {} : { param }) }
}

export function isBody(value: OpenAiBody | Refusal): value is OpenAiBody {
  return 'chat' in value
}

/** Tool calls of a whole answer, in order. */
export function wholeCalls(
  pieces: readonly { readonly kind: string; readonly text: string; readonly callIndex: number }[],
): readonly { readonly name: string; readonly arguments: string }[] {
  const calls: { name: string; arguments: string }[] = []
  for (const piece of pieces) {
    if (piece.kind === 'call') calls[piece.callIndex] = { name: piece.text, arguments: '' }
    const open = calls[piece.callIndex]
    if (piece.kind === 'arguments' && open !== undefined) open.arguments += piece.text
  }
  return calls
}

/** The text of one kind in a whole answer. */
export function wholeText(
  pieces: readonly { readonly kind: string; readonly text: string }[],
  kind: 'text' | 'reasoning',
): string {
  return pieces
    .filter((piece) => piece.kind === kind)
    .map((piece) => piece.text)
    .join('')
}
