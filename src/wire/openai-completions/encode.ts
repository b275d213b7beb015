// Canonical events → legacy `text_completion`, streamed and whole. Reasoning has no place in this shape and is
// left out; it stays in the usage.

import type { ChatEvent } from '#core/chat.ts'
import type { TokenUsage } from '#core/usage.ts'
import { collect } from '../openai-chat/collect.ts'
import {
  type AnswerEncoder,
  type EncodeOptions,
  type Identity,
  identify,
  shownUsage,
} from '../openai-chat/encode.ts'
import { writeUsage } from '../openai-chat/usage.ts'

export function openCompletionsEncoder(options: EncodeOptions): AnswerEncoder {
  const identity: Identity = {
    id: options.fallbackId,
    model: options.fallbackModel,
    created: options.nowSeconds,
  }
  let usage: TokenUsage | null = null

  function chunk(choices: readonly unknown[], shown?: unknown): string {
    const body = {
      id: identity.id,
      object: 'text_completion',
      created: identity.created,
      model: identity.model,
      choices,
      ...(options.wantsUsage ? { usage: shown ?? null } : {}),
    }
    return `data: ${JSON.stringify(body)}\n\n`
  }

  return {
    encode(event: ChatEvent) {
      if (event.type === 'start') identify(identity, event)
      else if (event.type === 'usage') usage = event.usage
      else if (event.type === 'text-delta') {
        return chunk([{ index: event.choice, text: event.text, logprobs: null, finish_reason: null }])
      } else if (event.type === 'finish') {
        return chunk([
          { index: event.choice, text: '', logprobs: null, finish_reason: legacyReason(event.reason) },
        ])
      }
      return ''
    },
    end() {
      return options.wantsUsage && usage !== null ? chunk([], shownUsage(usage, identity.model, options)) : ''
    },
  }
}

export function encodeCompletionsAnswer(events: readonly ChatEvent[], options: EncodeOptions): string {
  const { identity, choices, usage } = collect(events, options)
  return JSON.stringify({
    id: identity.id,
    object: 'text_completion',
    created: identity.created,
    model: identity.model,
    choices: choices.map((choice) => ({
      index: choice.index,
      text: choice.text,
      logprobs: null,
      finish_reason: legacyReason(choice.finish ?? 'stop'),
    })),
    ...(usage === null ? {} : { usage: writeUsage(usage) }),
  })
}

function legacyReason(reason: string): string {
  return reason === 'length' || reason === 'content_filter' ? reason : 'stop'
}
