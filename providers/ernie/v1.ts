// Qianfan V1 (wenxinworkshop) as an upstream format: its answers become canonical events. Requests are written
// in v1-request.ts.

import type { ChatEvent, FinishReason } from '#core/chat.ts'
import type { AnswerDecoder, UpstreamFormat } from '#core/wire-format.ts'
import { decodeUtf8 } from '#wire/bytes.ts'
import { isObject, parseObject } from '#wire/json-object.ts'
import { isErrorBody, readErrorValue, toFailure, wireFailure } from '#wire/openai-chat/failure.ts'
import { readUsage } from '#wire/openai-chat/usage.ts'
import { openSseDecoder } from '#wire/sse-decoder.ts'
import { V1_ORIGIN } from './credential.ts'
import { ERRORS } from './errors.ts'
import { encodeV1 } from './v1-request.ts'

type Json = Readonly<Record<string, unknown>>

export const v1Format: UpstreamFormat = {
  name: 'ernie-v1',
  // A named tool is only a hint there, and there is no word for the rest.
  cannot: ['n', 'logprobs', 'tool_choice', 'json_schema'],
  baseUrl: V1_ORIGIN,
  // `disable_search` is false by default; what a search finds is input (`search_tokens`).
  searchesUnless: 'disable_search',
  encode: encodeV1,
  openStream: openV1Stream,
  decodeAnswer: decodeV1Answer,
}

/**
 * `data: {…}` with text in `result`, usage so far on every event, `is_end: true` on the last one and no end mark.
 * An error is one flat JSON body under HTTP 200, also where a stream was asked for.
 */
function openV1Stream(): AnswerDecoder {
  const answer = new V1Answer()
  return openSseDecoder({
    read(_event, data, events) {
      if (answer.closed) return true
      const body = parseObject(data)
      if (body === null) return false
      answer.read(body, events)
      return true
    },
    giveUp: (kind, vendorMessage) => answer.giveUp(kind, vendorMessage),
    end(events) {
      if (!answer.closed) events.push(answer.giveUp('truncated', 'the stream ended before `is_end`'))
    },
  })
}

function decodeV1Answer(bytes: Uint8Array): readonly ChatEvent[] {
  const body = JSON.parse(decodeUtf8(bytes)) as unknown
  if (!isObject(body)) throw new SyntaxError('the answer is not an object')
  if (!isErrorBody(body) && typeof body['result'] !== 'string' && !isObject(body['function_call'])) {
    throw new SyntaxError('the answer has no result')
  }
  const events: ChatEvent[] = []
  new V1Answer().read(body, events)
  return events
}

class V1Answer {
  /** Finished or failed: nothing that follows counts. */
  closed = false
  #started = false
  #callArguments: string | null = null

  giveUp(kind: 'protocol' | 'truncated', vendorMessage: string): ChatEvent {
    this.closed = true
    return { type: 'failure', failure: wireFailure(kind, vendorMessage) }
  }

  read(body: Json, events: ChatEvent[]): void {
    if (isErrorBody(body)) {
      this.closed = true
      events.push({ type: 'failure', failure: toFailure(readErrorValue(body), 200, ERRORS, null) })
      return
    }
    const id = typeof body['id'] === 'string' ? body['id'] : null
    if (!this.#started) {
      this.#started = true
      const created = typeof body['created'] === 'number' ? body['created'] : null
      events.push({ type: 'start', id, model: null, createdSeconds: created })
    }
    if (isObject(body['function_call'])) this.#readCall(body['function_call'], id, events)
    const text = body['result']
    if (typeof text === 'string' && text !== '') events.push({ type: 'text-delta', choice: 0, text })
    // Every event says `finish_reason: "normal"`; only the last one, or a whole answer, means it.
    if (body['is_end'] !== false) {
      this.closed = true
      events.push({ type: 'finish', choice: 0, reason: finishOf(body, this.#callArguments !== null) })
    }
    const usage = readUsage(body['usage'])
    if (usage !== null) events.push({ type: 'usage', usage })
  }

  /** V1 gives calls no id; clients need one to answer with, so it is made of the answer's own. */
  #readCall(call: Json, id: string | null, events: ChatEvent[]): void {
    const thoughts = call['thoughts']
    if (typeof thoughts === 'string' && thoughts !== '') {
      events.push({ type: 'reasoning-delta', choice: 0, text: thoughts })
    }
    if (this.#callArguments === null) {
      this.#callArguments = ''
      const name = typeof call['name'] === 'string' ? call['name'] : ''
      events.push({ type: 'tool-call-start', choice: 0, call: 0, id: `call_${id ?? '0'}`, name })
    }
    const text = typeof call['arguments'] === 'string' ? call['arguments'] : ''
    if (text === '' || text === this.#callArguments) return
    this.#callArguments += text
    events.push({ type: 'tool-call-delta', choice: 0, call: 0, arguments: text })
  }
}

const REASONS: Readonly<Record<string, FinishReason>> = {
  length: 'length',
  content_filter: 'content_filter',
  function_call: 'tool_calls',
}

function finishOf(body: Json, hasCall: boolean): FinishReason {
  const reason = REASONS[String(body['finish_reason'])]
  if (reason !== undefined) return reason
  // The safety check fired; the text is a refusal and the history must not be used again.
  if (body['need_clear_history'] === true) return 'content_filter'
  if (hasCall) return 'tool_calls'
  return body['is_truncated'] === true ? 'length' : 'stop'
}
