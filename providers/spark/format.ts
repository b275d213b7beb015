// Spark as an upstream format: OpenAI chat, but answers name neither model nor finish reason, so that the end mark
// has to stand for the finish. Each family of models has its own address.

import type { ChatEvent } from '#core/chat.ts'
import { SSE_EVENT_BYTES_MAX } from '#core/limits.ts'
import type { Quirks } from '#core/provider.ts'
import type { AnswerDecoder, EncodedRequest, EncodeInput, UpstreamFormat } from '#core/wire-format.ts'
import { adaptRequest } from '#wire/openai-chat/adapt.ts'
import { decodeChatAnswer, openChatDecoder } from '#wire/openai-chat/decode.ts'
import { wireFailure } from '#wire/openai-chat/failure.ts'
import { isDone, SseSplitter } from '#wire/sse.ts'
import { ERRORS } from './errors.ts'

export interface SparkFamily {
  readonly name: string
  readonly baseUrl: string
  readonly quirks: Quirks
  /** Tool calls are text unless `tool_calls_switch` asks for OpenAI's array. */
  readonly asksForCalls: boolean
}

export function sparkFormat(family: SparkFamily): UpstreamFormat {
  return {
    name: family.name,
    baseUrl: family.baseUrl,
    encode: (input) => encode(input, family),
    openStream: () => openStream(family.quirks),
    decodeAnswer(body) {
      const events = [...decodeChatAnswer(body, family.quirks, ERRORS)]
      const finish = missingFinish(events)
      return finish === null ? events : [...events, finish]
    },
  }
}

function encode(input: EncodeInput, family: SparkFamily): EncodedRequest {
  const { request, model, streaming, thinking } = input
  const { quirks } = family
  const options = { model, quirks, streaming }
  const { edits, dropped } = adaptRequest(request, thinking, options)
  const body: Record<string, unknown> = { ...request }
  for (const [field, text] of edits) {
    if (text === null) delete body[field]
    else body[field] = JSON.parse(text)
  }
  if (family.asksForCalls && Array.isArray(body['tools']) && body['tool_calls_switch'] === undefined)
    body['tool_calls_switch'] = true
  return { path: '/chat/completions', headers: {}, body: JSON.stringify(body), dropped }
}

function openStream(quirks: Quirks): AnswerDecoder {
  const splitter = new SseSplitter(SSE_EVENT_BYTES_MAX)
  const decoder = openChatDecoder(quirks, ERRORS)
  /** The first event of each type: enough to tell at the end what came. */
  const seen: ChatEvent[] = []
  let fresh: ChatEvent[] = []
  let done = false

  function take(events: readonly ChatEvent[]): void {
    for (const event of events) {
      if (!seen.some(({ type }) => type === event.type)) seen.push(event)
      fresh.push(event)
    }
  }

  function onEvent(event: { readonly raw: Uint8Array; readonly data: Uint8Array | null }): void {
    if (done) return
    if (event.data === null || !isDone(event.data)) return take(decoder.push(event.raw))
    done = true
    const finish = missingFinish(seen)
    if (finish !== null) take([finish])
  }

  return {
    push(chunk) {
      fresh = []
      if (!splitter.push(chunk, onEvent)) {
        take([{ type: 'failure', failure: wireFailure('protocol', 'an event without end') }])
      }
      return fresh
    },
    end() {
      fresh = []
      splitter.end(onEvent)
      if (!done) take(decoder.end())
      return fresh
    },
    get dropped() {
      return decoder.dropped
    },
  }
}

/** The finish that the answer does not name; null where it does, or where there is no answer. */
function missingFinish(events: readonly ChatEvent[]): ChatEvent | null {
  const has = (type: ChatEvent['type']): boolean => events.some((event) => event.type === type)
  if (has('failure') || has('finish')) return null
  if (has('tool-call-start')) return { type: 'finish', choice: 0, reason: 'tool_calls' }
  return has('text-delta') || has('reasoning-delta') ? { type: 'finish', choice: 0, reason: 'stop' } : null
}
