// Canonical events → OpenAI chat, streamed. The order of chunks is the one that clients rely on:
// role, reasoning, content, tool calls, finish, usage (iff asked); the end mark is written at settlement.

import type { ChatEvent, LogprobsDelta } from '#core/chat.ts'
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
    logprobs: LogprobsDelta | null = null,
  ): string {
    const text = chunk([{ index: choice, delta: value, logprobs, finish_reason: reason }])
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
      case 'tool-call-name':
        return delta(event.choice, {
          tool_calls: [{ index: event.call, function: { name: event.name, arguments: '' } }],
        })
      case 'function-call-delta': {
        const name = event.name === '' ? {} : { name: event.name }
        return delta(event.choice, { function_call: { ...name, arguments: event.arguments } })
      }
      case 'audio-delta':
        return delta(event.choice, { audio: event.audio })
      case 'logprobs-delta':
        return delta(event.choice, {}, null, event.logprobs)
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
