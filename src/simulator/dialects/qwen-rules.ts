// The rules by which DashScope refuses requests, in its words.
// https://help.aliyun.com/zh/model-studio/error-code

import type { ChatRequest } from '../chat.ts'
import type { ModelConfig } from '../settings.ts'
import type { Refusal } from './dialect.ts'
import type { Fields } from './openai-body.ts'

/** On parameters alone. */
export function refusedParameter(parameters: Fields, chat: ChatRequest): string | null {
  const ranges: readonly (readonly [string, (value: number) => boolean, string])[] = [
    ['temperature', (value) => value >= 0 && value < 2, 'Temperature should be in [0.0, 2.0)'],
    ['top_p', (value) => value > 0 && value <= 1, 'Range of top_p should be (0.0, 1.0]'],
    ['presence_penalty', (value) => value >= -2 && value <= 2, 'Presence_penalty should be in [-2.0, 2.0]'],
    ['n', (value) => value >= 1 && value <= 4, 'Range of n should be [1, 4]'],
  ]
  for (const [name, fits, message] of ranges) {
    const value = parameters[name]
    if (typeof value === 'number' && !fits(value)) return message
  }
  const budget = parameters['thinking_budget'] ?? null
  if (budget !== null && !(Number.isInteger(budget) && Number(budget) > 0)) {
    return 'The thinking_budget parameter must be a positive integer and not greater than 38912'
  }
  const { messages } = chat
  const unknown = messages.find((message) => !/^(system|assistant|user|tool|function)$/.test(message.role))
  if (unknown !== undefined) {
    return `${unknown.role} is not one of ['system', 'assistant', 'user', 'tool', 'function'] - 'messages.0.role'`
  }
  if (messages.some((message, index) => message.role === 'tool' && !followsCall(messages, index))) {
    return 'messages with role "tool" must be a response to a preceeding message with "tool_calls".'
  }
  if (chat.tools.some((tool) => tool.name === 'search')) return 'Tool names are not allowed to be [search]'
  const saysJson = messages.some((message) => /json/i.test(message.text))
  if (chat.format.kind === 'json' && chat.format.schema === null && !saysJson) {
    return "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
  }
  return null
}

function followsCall(messages: ChatRequest['messages'], index: number): boolean {
  const asking = messages.slice(0, index).findLast((message) => message.role !== 'tool')
  return asking !== undefined && asking.calls.length > 0
}

/** On what this model can do. */
export function refusedByModel(chat: ChatRequest, model: ModelConfig, inputTokens: number): Refusal | null {
  const message = reasonOf(chat, model)
  if (message !== null) return { kind: 'invalid_request', message }
  const max = model.contextWindow ?? Number.POSITIVE_INFINITY
  return inputTokens >= max
    ? { kind: 'context_length', tokens: { max, input: inputTokens, output: 0 } }
    : null
}

function reasonOf(chat: ChatRequest, model: ModelConfig): string | null {
  const thinks =
    model.thinking === 'always' || (model.thinking !== 'never' && (chat.thinking ?? model.thinking === 'on'))
  if (model.streamOnly === true && !chat.isStreaming) {
    return 'This model only support stream mode, please enable the stream parameter to access the model. '
  }
  if (model.thinking === 'always' && chat.thinking === false) {
    return 'The value of the enable_thinking parameter is restricted to True.'
  }
  if (model.open === true && thinks && !chat.isStreaming) {
    return 'parameter.enable_thinking must be set to false for non-streaming calls'
  }
  if (thinks && chat.format.kind === 'json') {
    return 'Json mode response is not supported when enable_thinking is true'
  }
  if (thinks && chat.toolChoice !== 'auto' && chat.toolChoice !== 'none') {
    return 'The tool_choice parameter does not support being set to required or object in thinking mode'
  }
  if (chat.toolChoice === 'required') {
    return 'tool_choice is one of the strings that should be ["none", "auto"]'
  }
  const hasMedia = chat.messages.some((message) => message.images.length > 0)
  if (hasMedia && model.vision !== true) return 'input content must be a string.'
  const outputMax = model.outputMax ?? Number.POSITIVE_INFINITY
  return (chat.answerTokensMax ?? 0) > outputMax ? `Range of max_tokens should be [1, ${outputMax}]` : null
}
