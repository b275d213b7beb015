// Canonical events → OpenAI chat, streamed and whole. The order of chunks is the one that clients rely on:
// role, reasoning, content, tool calls, finish, usage (iff asked); the end mark is written at settlement.

import type { ChatEvent } from '#core/chat.ts'
import type { TokenUsage } from '#core/usage.ts'
import { writeUsage } from './usage.ts'

export interface EncodeOptions {
  readonly wantsUsage: boolean
  /** Stand-ins where the upstream names none. */
  readonly fallbackId: string
  readonly fallbackModel: string
  readonly nowSeconds: number
  /** Book-currency cost for `usage.cost`; null when unpriced. */
  readonly costOf: (usage: TokenUsage, responseModel: string | null) => string | null
}

/** Encodes events one by one into the text of SSE events. */
export interface AnswerEncoder {
  encode(event: ChatEvent): string
  /** What stands before the end mark. */
  end(): string
}

export interface Identity {
  id: string
  model: string
  created: number
}

/** Takes the names of the answer from its start event. */
export function identify(identity: Identity, event: ChatEvent & { type: 'start' }): void {
  if (event.id !== null) identity.id = event.id
  if (event.model !== null) identity.model = event.model
  if (event.createdSeconds !== null) identity.created = event.createdSeconds
}

export function openChatEncoder(options: EncodeOptions): AnswerEncoder {
  const identity: Identity = {
    id: options.fallbackId,
    model: options.fallbackModel,
    created: options.nowSeconds,
  }
  const opened = new Set<number>()
  let usage: TokenUsage | null = null

  function chunk(choices: readonly unknown[], shownUsage?: unknown): string {
    const body = {
      id: identity.id,
      object: 'chat.completion.chunk',
      created: identity.created,
      model: identity.model,
      choices,
      ...(options.wantsUsage ? { usage: shownUsage ?? null } : {}),
    }
    return `data: ${JSON.stringify(body)}\n\n`
  }

  function delta(
    choice: number,
    value: Readonly<Record<string, unknown>>,
    reason: string | null = null,
  ): string {
    const text = chunk([{ index: choice, delta: value, logprobs: null, finish_reason: reason }])
    if (opened.has(choice)) return text
    opened.add(choice)
    const role = {
      index: choice,
      delta: { role: 'assistant', content: '' },
      logprobs: null,
      finish_reason: null,
    }
    return chunk([role]) + text
  }

  function encode(event: ChatEvent): string {
    switch (event.type) {
      case 'start':
        identify(identity, event)
        return ''
      case 'text-delta':
        return delta(event.choice, { content: event.text })
      case 'reasoning-delta':
        return delta(event.choice, { reasoning_content: event.text })
      case 'refusal-delta':
        return delta(event.choice, { refusal: event.text })
      case 'tool-call-start': {
        const call = {
          index: event.call,
          id: event.id,
          type: 'function',
          function: { name: event.name, arguments: '' },
        }
        return delta(event.choice, { tool_calls: [call] })
      }
      case 'tool-call-delta':
        return delta(event.choice, {
          tool_calls: [{ index: event.call, function: { arguments: event.arguments } }],
        })
      case 'finish':
        return delta(event.choice, {}, event.reason)
      case 'usage':
        usage = event.usage
        return ''
      case 'failure':
        return ''
    }
  }

  return {
    encode,
    end() {
      return options.wantsUsage && usage !== null ? chunk([], shownUsage(usage, identity.model, options)) : ''
    },
  }
}

export function shownUsage(
  usage: TokenUsage,
  model: string,
  options: EncodeOptions,
): Record<string, unknown> {
  const cost = options.costOf(usage, model)
  return { ...writeUsage(usage), ...(cost === null ? {} : { cost }) }
}

interface CollectedChoice {
  text: string
  reasoning: string
  refusal: string
  finish: string | null
  readonly calls: Map<number, { id: string; name: string; arguments: string }>
}

/** A whole answer gathered from events. */
export interface CollectedAnswer {
  readonly identity: Identity
  readonly choices: readonly (CollectedChoice & { readonly index: number })[]
  readonly usage: TokenUsage | null
}

export function collect(events: readonly ChatEvent[], options: EncodeOptions): CollectedAnswer {
  const identity: Identity = {
    id: options.fallbackId,
    model: options.fallbackModel,
    created: options.nowSeconds,
  }
  const choices = new Map<number, CollectedChoice & { index: number }>()
  let usage: TokenUsage | null = null
  const choiceOf = (index: number): CollectedChoice => {
    let choice = choices.get(index)
    if (choice === undefined) {
      choice = { index, text: '', reasoning: '', refusal: '', finish: null, calls: new Map() }
      choices.set(index, choice)
    }
    return choice
  }
  for (const event of events) {
    if (event.type === 'start') identify(identity, event)
    else if (event.type === 'usage') usage = event.usage
    else if (event.type !== 'failure') gather(choiceOf(event.choice), event)
  }
  return { identity, choices: [...choices.values()].sort((a, b) => a.index - b.index), usage }
}

function gather(
  choice: CollectedChoice,
  event: Exclude<ChatEvent, { type: 'start' | 'usage' | 'failure' }>,
): void {
  switch (event.type) {
    case 'text-delta':
      choice.text += event.text
      break
    case 'reasoning-delta':
      choice.reasoning += event.text
      break
    case 'refusal-delta':
      choice.refusal += event.text
      break
    case 'tool-call-start':
      choice.calls.set(event.call, { id: event.id, name: event.name, arguments: '' })
      break
    case 'tool-call-delta': {
      const call = choice.calls.get(event.call)
      if (call !== undefined) call.arguments += event.arguments
      break
    }
    case 'finish':
      choice.finish = event.reason
  }
}

/** The JSON text of a whole `chat.completion`. */
export function encodeChatAnswer(events: readonly ChatEvent[], options: EncodeOptions): string {
  const { identity, choices, usage } = collect(events, options)
  return JSON.stringify({
    id: identity.id,
    object: 'chat.completion',
    created: identity.created,
    model: identity.model,
    choices: choices.map((choice) => ({
      index: choice.index,
      message: messageOf(choice),
      logprobs: null,
      finish_reason: choice.finish ?? 'stop',
    })),
    ...(usage === null ? {} : { usage: writeUsage(usage) }),
  })
}

function messageOf(choice: CollectedChoice): Record<string, unknown> {
  const inOrder = [...choice.calls].sort(([a], [b]) => a - b)
  const calls = inOrder.map(([, call]) => ({
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  }))
  return {
    role: 'assistant',
    content: choice.text === '' && (calls.length > 0 || choice.refusal !== '') ? null : choice.text,
    refusal: choice.refusal === '' ? null : choice.refusal,
    ...(choice.reasoning === '' ? {} : { reasoning_content: choice.reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}
