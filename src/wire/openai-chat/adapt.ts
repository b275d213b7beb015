// Adapts a chat body to an OpenAI-chat upstream by editing members of its bytes: the model, our own fields,
// the thinking switch, and what the vendor's quirks ask for. Everything else passes as it came.

import { type ChatMessage, type ChatRequest, OWN_FIELDS, type ThinkingRequest } from '#core/chat.ts'
import type { Quirks } from '#core/provider.ts'
import { THINKING_FIELDS, writeThinking } from './thinking.ts'

export interface Adaptation {
  /** JSON texts to set, null to remove; for spliceMembers. */
  readonly edits: ReadonlyMap<string, string | null>
  /** Request fields that were not passed on. */
  readonly dropped: readonly string[]
}

export interface AdaptOptions {
  readonly model: string
  readonly quirks: Quirks
  /** The upstream is asked to stream (also where the client did not, for stream-only models). */
  readonly streaming: boolean
}

export function adaptRequest(
  request: ChatRequest,
  thinking: ThinkingRequest,
  options: AdaptOptions,
): Adaptation {
  const { quirks } = options
  const edits = new Map<string, string | null>()
  const dropped: string[] = []
  edits.set('model', JSON.stringify(options.model))
  for (const field of OWN_FIELDS) {
    if (request[field] !== undefined) edits.set(field, null)
  }
  adaptThinking(request, thinking, quirks, edits, dropped)
  adaptLengths(request, quirks, edits)
  adaptStreaming(request, options, edits)
  const messages = adaptMessages(request.messages, quirks)
  if (messages !== request.messages) edits.set('messages', JSON.stringify(messages))
  for (const field of quirks.drops ?? []) {
    if (request[field] === undefined || edits.get(field) === null) continue
    edits.set(field, null)
    dropped.push(field)
  }
  adaptTools(request, quirks, edits)
  for (const [field, name] of Object.entries(quirks.renames ?? {})) {
    if (request[field] === undefined) continue
    edits.set(field, null)
    if (request[name] === undefined) edits.set(name, JSON.stringify(request[field]))
  }
  return { edits, dropped }
}

/** Forms of `stop` and `tool_choice` that some servers do not know. */
function adaptTools(request: ChatRequest, quirks: Quirks, edits: Map<string, string | null>): void {
  if (quirks.stopAsList === true && typeof request['stop'] === 'string') {
    edits.set('stop', JSON.stringify([request['stop']]))
  }
  if (quirks.noToolsForNone !== true || request['tool_choice'] !== 'none') return
  for (const field of ['tools', 'tool_choice']) if (request[field] !== undefined) edits.set(field, null)
}

function adaptThinking(
  request: ChatRequest,
  thinking: ThinkingRequest,
  quirks: Quirks,
  edits: Map<string, string | null>,
  dropped: string[],
): void {
  // Where the request says nothing, it is the gateway that says no.
  if (thinking.enabled === null && !THINKING_FIELDS.some((field) => request[field] !== undefined)) return
  const edit = writeThinking(request, thinking, quirks)
  for (const field of edit.remove) edits.set(field, null)
  for (const [field, value] of edit.set) edits.set(field, JSON.stringify(value))
  dropped.push(...edit.dropped)
}

/** `max_completion_tokens` wins over `max_tokens`; the one that the upstream knows is sent. */
function adaptLengths(request: ChatRequest, quirks: Quirks, edits: Map<string, string | null>): void {
  const completion = request['max_completion_tokens']
  const plain = request['max_tokens']
  const hasCompletion = completion !== undefined && completion !== null
  const hasPlain = plain !== undefined && plain !== null
  if (!hasCompletion && !hasPlain) return
  const known = quirks.maxTokens ?? 'both'
  if (known === 'both') {
    if (hasCompletion && plain !== undefined) edits.set('max_tokens', null)
    return
  }
  const value = hasCompletion ? completion : plain
  const other = known === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens'
  if (request[other] !== undefined) edits.set(other, null)
  if (request[known] !== value) edits.set(known, JSON.stringify(value))
}

/** Usage is always asked for: what was used must be billed, whether or not the client wants to see it. */
function adaptStreaming(
  request: ChatRequest,
  options: AdaptOptions,
  edits: Map<string, string | null>,
): void {
  const sent = request['stream_options'] as Readonly<Record<string, unknown>> | null | undefined
  if (!options.streaming) {
    if (request['stream_options'] !== undefined) edits.set('stream_options', null)
    return
  }
  if (request.stream !== true) edits.set('stream', 'true')
  if (options.quirks.streamUsage === 'always') {
    if (sent !== undefined) edits.set('stream_options', null)
  } else if (sent?.['include_usage'] !== true) {
    edits.set('stream_options', JSON.stringify({ ...sent, include_usage: true }))
  }
}

/** Returns the same array when nothing needs changing, so that its bytes can pass. */
export function adaptMessages(messages: readonly ChatMessage[], quirks: Quirks): readonly ChatMessage[] {
  let changed = false
  const adapted = messages.map((message) => {
    const next = adaptMessage(message, quirks)
    if (next !== message) changed = true
    return next
  })
  const ordered = quirks.systemFirst === true ? joinSystem(adapted) : adapted
  return changed || ordered !== adapted ? ordered : messages
}

function adaptMessage(message: ChatMessage, quirks: Quirks): ChatMessage {
  let next = message
  if (message.role === 'developer' && quirks.developerToSystem !== false) next = { ...next, role: 'system' }
  if (quirks.flattenText === true && Array.isArray(message.content)) {
    const parts = message.content as readonly { readonly type: string; readonly text?: string }[]
    if (parts.every((part) => part.type === 'text')) {
      next = { ...next, content: parts.map((part) => part.text ?? '').join('') }
    }
  }
  if (message.role !== 'assistant') return next
  const hasCalls = Array.isArray(message.tool_calls) && message.tool_calls.length > 0
  if (hasCalls && quirks.emptyAssistantContent !== undefined && isEmpty(next.content)) {
    if (next.content !== quirks.emptyAssistantContent)
      next = { ...next, content: quirks.emptyAssistantContent }
  }
  return adaptReasoning(next, quirks, hasCalls)
}

/** History reasoning under the names that the upstream reads. */
function adaptReasoning(message: ChatMessage, quirks: Quirks, hasCalls: boolean): ChatMessage {
  const names = quirks.reasoningReplay ?? ['reasoning_content']
  const said = message.reasoning_content ?? (message['reasoning'] as string | undefined)
  const text = said ?? (hasCalls && quirks.reasoningRequired === true ? '' : undefined)
  if (text === undefined || text === null) return message
  const right =
    names.every((name) => message[name] === text) &&
    ['reasoning_content', 'reasoning'].every((name) => names.includes(name) || message[name] === undefined)
  if (right) return message
  const {
    reasoning_content: _content,
    reasoning: _reasoning,
    ...rest
  } = message as ChatMessage & { reasoning?: unknown }
  const next: Record<string, unknown> = { ...rest }
  for (const name of names) next[name] = text
  return next as ChatMessage
}

function isEmpty(content: ChatMessage['content']): boolean {
  return content === undefined || content === null || content === ''
}

function joinSystem(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const system = messages.filter((message) => message.role === 'system')
  const first = messages[0]
  if (system.length === 0 || (system.length === 1 && first === system[0])) return messages
  const text = system.map((message) => textOf(message.content)).join('\n\n')
  return [
    { ...system[0], role: 'system', content: text },
    ...messages.filter((message) => message.role !== 'system'),
  ]
}

/** The text of a content, whatever its form. */
export function textOf(content: ChatMessage['content']): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return (content as readonly { readonly text?: unknown }[])
    .map((part) => (typeof part.text === 'string' ? part.text : ''))
    .join('')
}
