// V1 wants an odd number of messages, user (or function) and assistant in turn, the system text apart. Violations
// are 336006, whose text is often wrong about the cause (bce-qianfan-sdk#866), so they are mended or named here.

import type { ChatMessage, ToolCall } from '#core/chat.ts'
import { GatewayError } from '#core/errors.ts'
import { textOf } from '#wire/openai-chat/adapt.ts'

export interface V1Messages {
  readonly system: string | null
  readonly messages: readonly V1Message[]
}

interface V1Message {
  readonly role: 'user' | 'assistant' | 'function'
  readonly content: string
  readonly name?: string
  readonly function_call?: { readonly name: string; readonly arguments: string; readonly thoughts?: string }
}

/**
 * Neighbouring turns of one role are joined with a line break: the texts and their order stay, only the border
 * between two turns of the same speaker is lost, which the dialect cannot say. Whatever else breaks the rule is
 * the caller's to mend.
 * @throws GatewayError `invalid_request` with `param: 'messages'`.
 */
export function encodeMessages(sent: readonly ChatMessage[]): V1Messages {
  const system: string[] = []
  const messages: V1Message[] = []
  const rest = new Set<ChatMessage>()
  for (const [index, message] of sent.entries()) {
    refuseMedia(message, index)
    if (message.role === 'system' || message.role === 'developer') system.push(textOf(message.content))
    else if (message.role === 'tool' && rest.has(message)) continue
    else if (message.role === 'assistant' && hasCalls(message))
      addCalls(messages, message, sent.slice(index + 1), rest)
    else add(messages, plain(message, index))
  }
  check(messages)
  return { system: system.length === 0 ? null : system.join('\n'), messages }
}

function plain(message: ChatMessage, index: number): V1Message {
  const content = textOf(message.content)
  switch (message.role) {
    case 'user':
      return { role: 'user', content }
    case 'function':
      return { role: 'function', name: message.name ?? '', content }
    case 'assistant':
      return assistant(message, content)
    case 'tool':
      throw invalid(`messages[${index}] answers a tool call that no message before it makes`)
    default:
      throw invalid(`messages[${index}].role ${JSON.stringify(message.role)} is not known to this model`)
  }
}

/** Legacy `function_call` turns are V1's own form; the blank names that some clients send are refused there. */
function assistant(message: ChatMessage, content: string): V1Message {
  const call = message['function_call']
  if (typeof call !== 'object' || call === null) return { role: 'assistant', content }
  const { name, arguments: text } = call as { readonly name?: unknown; readonly arguments?: unknown }
  if (typeof name !== 'string' || name === '') return { role: 'assistant', content }
  return {
    role: 'assistant',
    content,
    function_call: { name, arguments: typeof text === 'string' ? text : '{}' },
  }
}

/**
 * V1 has one call a turn, answered by the next message: calls made together are told one after the other, each
 * followed by its own result.
 */
function addCalls(
  messages: V1Message[],
  message: ChatMessage,
  later: readonly ChatMessage[],
  used: Set<ChatMessage>,
): void {
  const thoughts = typeof message.reasoning_content === 'string' ? message.reasoning_content : ''
  for (const [position, call] of (message.tool_calls ?? []).entries()) {
    const name = call.function?.name ?? ''
    const result = later.find((candidate) => isResultOf(candidate, call) && !used.has(candidate))
    if (result === undefined) throw invalid(`the tool call ${JSON.stringify(call.id ?? name)} has no result`)
    used.add(result)
    const isFirst = position === 0
    add(messages, {
      role: 'assistant',
      content: isFirst ? textOf(message.content) : '',
      function_call: {
        name,
        arguments: call.function?.arguments ?? '{}',
        ...(isFirst && thoughts !== '' ? { thoughts } : {}),
      },
    })
    add(messages, { role: 'function', name, content: textOf(result.content) })
  }
}

function isResultOf(message: ChatMessage, call: ToolCall): boolean {
  return message.role === 'tool' && message.tool_call_id === call.id
}

function add(messages: V1Message[], next: V1Message): void {
  const last = messages.at(-1)
  const joins =
    last !== undefined &&
    last.role === next.role &&
    last.role !== 'function' &&
    last.function_call === undefined &&
    next.function_call === undefined
  if (joins) messages[messages.length - 1] = { role: last.role, content: `${last.content}\n${next.content}` }
  else messages.push(next)
}

function check(messages: readonly V1Message[]): void {
  for (const [index, message] of messages.entries()) {
    const fromUser = message.role !== 'assistant'
    if (fromUser !== (index % 2 === 0)) {
      throw invalid(
        'this model takes user and assistant messages in turn, beginning with a user message; ' +
          `turn ${index + 1} is of role ${message.role}`,
      )
    }
  }
  const last = messages.at(-1)
  if (last === undefined || last.role === 'assistant') throw invalid('the last message must be from the user')
  if (last.role === 'user' && last.content.trim() === '') throw invalid('the last message is empty')
}

function refuseMedia(message: ChatMessage, index: number): void {
  if (!Array.isArray(message.content)) return
  for (const part of message.content as readonly { readonly type: string }[]) {
    if (part.type === 'text') continue
    const param = `messages[${index}].content`
    throw new GatewayError(
      'unsupported_parameter',
      `content part \`${part.type}\` is not known to this model`,
      { param },
    )
  }
}

function hasCalls(message: ChatMessage): boolean {
  return Array.isArray(message.tool_calls) && message.tool_calls.length > 0
}

function invalid(message: string): GatewayError {
  return new GatewayError('invalid_request', message, { param: 'messages' })
}
