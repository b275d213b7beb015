// OpenAI chat → DashScope's native request: `{model, input: {messages}, parameters}`.

import type { ChatMessage, ChatRequest, ContentPart, ThinkingRequest } from '#core/chat.ts'
import { GatewayError } from '#core/errors.ts'
import type { EncodedRequest, EncodeInput } from '#core/wire-format.ts'
import { isObject } from '#wire/json-object.ts'
import { hasThinkingSwitch, isMultimodal } from './models.ts'
import { EFFORT_BUDGETS } from './thinking.ts'

/** Fields with the same name and meaning under `parameters` (dashscope-sdk-python aigc/generation.py). */
const PARAMETERS = [
  'temperature',
  'top_p',
  'top_k',
  'seed',
  'stop',
  'n',
  'presence_penalty',
  'repetition_penalty',
  'logprobs',
  'top_logprobs',
  'response_format',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'enable_search',
  'search_options',
  'preserve_thinking',
  'vl_high_resolution_images',
  'translation_options',
  'asr_options',
] as const

/** Said elsewhere: in the path, the header, `input`, or under another name. */
const ELSEWHERE = new Set([
  'model',
  'messages',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
])

/** Said by `enable_thinking` and `thinking_budget`, where the model has them. */
const THINKING = new Set([
  'enable_thinking',
  'thinking_budget',
  'thinking',
  'reasoning',
  'reasoning_effort',
  'chat_template_kwargs',
])

export function encodeNative(input: EncodeInput): EncodedRequest {
  const { request, model, streaming } = input
  refuseFunctions(request)
  const multimodal = isMultimodal(model) || request.messages.some(hasMedia)
  const messages = request.messages.map((message, index) => encodeMessage(message, index, multimodal))
  const parameters: Record<string, unknown> = { result_format: 'message' }
  if (streaming) parameters['incremental_output'] = canIncrement(input)
  for (const field of PARAMETERS) {
    const value = request[field]
    if (value !== undefined && value !== null) parameters[field] = value
  }
  const length = request['max_completion_tokens'] ?? request['max_tokens']
  if (length !== undefined && length !== null) parameters['max_tokens'] = length
  addThinking(parameters, input)
  const service = multimodal ? 'multimodal-generation' : 'text-generation'
  return {
    path: `/api/v1/services/aigc/${service}/generation`,
    fromOrigin: true,
    headers: streaming ? { 'x-dashscope-sse': 'enable' } : {},
    body: JSON.stringify({ model, input: { messages }, parameters }),
    dropped: droppedFields(input),
  }
}

/** Legacy function calls have no native words, and answers would come back in another shape than asked for. */
function refuseFunctions(request: ChatRequest): void {
  for (const field of ['functions', 'function_call'] as const) {
    if (request[field] !== undefined && request[field] !== null) {
      throw new GatewayError(
        'unsupported_parameter',
        `\`${field}\` is not known to this model; use \`tools\` and \`tool_choice\``,
        { param: field },
      )
    }
  }
}

/**
 * Models before Qwen3 ignore or refuse increments when tools are there (higress ai-proxy qwen.go); they repeat
 * the whole text then. Thinking demands increments.
 */
function canIncrement(input: EncodeInput): boolean {
  const tools = input.request['tools']
  if (!Array.isArray(tools) || tools.length === 0 || input.thinking.enabled === true) return true
  return !/^(qwen1\.5|qwen2|qwen2\.5)-|^qwen-(7b|14b|72b|1\.8b|vl|turbo-\d{4}|plus-\d{4}|max-\d{4})(-|$)/.test(
    input.model,
  )
}

function addThinking(parameters: Record<string, unknown>, input: EncodeInput): void {
  const { thinking, model } = input
  if (!hasThinkingSwitch(model)) return
  const enabled = thinkingSwitch(thinking)
  if (enabled !== null) parameters['enable_thinking'] = enabled
  if (enabled !== true) return
  const budget = thinking.budgetTokens ?? budgetOf(thinking.effort)
  if (budget !== null) parameters['thinking_budget'] = budget
}

function thinkingSwitch(thinking: ThinkingRequest): boolean | null {
  if (thinking.enabled === false) return false
  const said = thinking.enabled !== null || thinking.effort !== null || thinking.budgetTokens !== null
  return said ? true : null
}

function droppedFields({ request, model }: EncodeInput): readonly string[] {
  const known = new Set<string>(PARAMETERS)
  const isSaid = (field: string): boolean =>
    known.has(field) || ELSEWHERE.has(field) || (THINKING.has(field) && hasThinkingSwitch(model))
  return Object.keys(request).filter(
    (field) => !isSaid(field) && request[field] !== undefined && request[field] !== null,
  )
}

function encodeMessage(message: ChatMessage, index: number, multimodal: boolean): Record<string, unknown> {
  const role = message.role === 'developer' ? 'system' : message.role
  const content = multimodal ? partsOf(message, index) : textOf(message)
  return { ...message, role, content }
}

/** Text models take a string; parts that carry more than text (`cache_control`) stay parts. */
function textOf(message: ChatMessage): unknown {
  const { content } = message
  if (content === undefined || content === null) return ''
  if (typeof content === 'string') return content
  const plain = content.every((part) => part.type === 'text' && Object.keys(part).length === 2)
  return plain ? content.map((part) => part.text ?? '').join('') : content
}

function partsOf(message: ChatMessage, index: number): unknown {
  const { content } = message
  if (message.role === 'tool' && typeof content === 'string') return content
  if (content === undefined || content === null || content === '') return []
  if (typeof content === 'string') return [{ text: content }]
  return content.map((part, position) => encodePart(part, `messages[${index}].content[${position}]`))
}

function encodePart(part: ContentPart, path: string): Record<string, unknown> {
  const { type, ...rest } = part
  switch (type) {
    case 'text':
      return rest
    case 'image_url': {
      const { image_url: image, ...siblings } = rest
      return { image: urlOf(image, path), ...siblings }
    }
    case 'video_url': {
      const { video_url: video, ...siblings } = rest
      return { video: urlOf(video, path), ...siblings }
    }
    case 'video':
      return rest
    case 'input_audio':
      return { audio: audioOf(part['input_audio'], path) }
    default:
      throw new GatewayError('unsupported_parameter', `content part \`${type}\` is not known to this model`, {
        param: path,
      })
  }
}

function urlOf(value: unknown, path: string): string {
  const url = typeof value === 'string' ? value : isObject(value) ? value['url'] : undefined
  if (typeof url !== 'string') {
    throw new GatewayError('invalid_request', `\`${path}\` must have a \`url\``, { param: path })
  }
  return url
}

/** `data` may already be a URL or a data URL (DashScope's compatible mode takes both). */
function audioOf(value: unknown, path: string): string {
  const audio = isObject(value) ? value : {}
  const data = audio['data'] ?? audio['url']
  if (typeof data !== 'string') {
    throw new GatewayError('invalid_request', `\`${path}.input_audio\` must have \`data\``, { param: path })
  }
  if (/^(https?|data|oss):/.test(data)) return data
  const format = typeof audio['format'] === 'string' ? audio['format'] : 'wav'
  return `data:audio/${format};base64,${data}`
}

function hasMedia(message: ChatMessage): boolean {
  return (
    Array.isArray(message.content) &&
    (message.content as readonly ContentPart[]).some((part) => part.type !== 'text')
  )
}

function budgetOf(effort: string | null): number | null {
  return effort !== null && Object.hasOwn(EFFORT_BUDGETS, effort) ? (EFFORT_BUDGETS[effort] ?? null) : null
}
