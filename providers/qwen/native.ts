// DashScope's native dialect as an upstream format. Requests are written in native-request.ts; here its answers
// become canonical events.

import type { ChatEvent, FinishReason } from '#core/chat.ts'
import type { AnswerDecoder, UpstreamFormat } from '#core/wire-format.ts'
import { decodeUtf8 } from '#wire/bytes.ts'
import { isObject, parseObject } from '#wire/json-object.ts'
import { isErrorBody, readErrorValue, toFailure, wireFailure } from '#wire/openai-chat/failure.ts'
import { readUsage } from '#wire/openai-chat/usage.ts'
import { openSseDecoder } from '#wire/sse-decoder.ts'
import { ERRORS } from './errors.ts'
import { GrowingText, type TextMode } from './growing-text.ts'
import { encodeNative } from './native-request.ts'

type Json = Readonly<Record<string, unknown>>

export const nativeFormat: UpstreamFormat = {
  name: 'dashscope-native',
  encode: encodeNative,
  openStream: openNativeStream,
  decodeAnswer: decodeNativeAnswer,
}

/** Frames look like `id:1`, `event:result`, `:HTTP_STATUS/200`, `data:{…}`; there is no end mark. */
function openNativeStream(): AnswerDecoder {
  const answer = new NativeAnswer()
  return openSseDecoder({
    read(event, data, events) {
      if (answer.failed) return true
      const body = parseObject(data)
      if (body === null) return false
      // The real status is 200; the one that counts stands in a comment.
      const status = event.commentStatus === 0 ? 200 : event.commentStatus
      if (event.isErrorEvent || status >= 400 || isErrorBody(body)) events.push(answer.fail(body, status))
      else answer.read(body, events)
      return true
    },
    giveUp: (kind, vendorMessage) => answer.giveUp(kind, vendorMessage),
    end(events) {
      answer.release(events)
      if (!answer.failed && !answer.finished)
        events.push(answer.giveUp('truncated', 'the stream ended without a finish reason'))
    },
  })
}

function decodeNativeAnswer(bytes: Uint8Array): readonly ChatEvent[] {
  const body = JSON.parse(decodeUtf8(bytes)) as unknown
  if (isErrorBody(body)) {
    return [{ type: 'failure', failure: toFailure(readErrorValue(body), 200, ERRORS, null) }]
  }
  const answer = new NativeAnswer()
  const events: ChatEvent[] = []
  if (!isObject(body) || !isObject(body['output'])) throw new SyntaxError('the answer has no output')
  answer.read(body, events)
  answer.release(events)
  return events
}

interface NativeCall {
  readonly index: number
  readonly arguments: GrowingText
}

interface NativeChoice {
  readonly text: GrowingText
  readonly calls: Map<number, NativeCall>
  finished: boolean
}

/** What is known of one answer; turns each body, a whole one or one of a stream, into events. */
class NativeAnswer {
  failed = false
  readonly #mode: TextMode = { current: 'unknown' }
  readonly #choices = new Map<number, NativeChoice>()
  #started = false

  get finished(): boolean {
    return this.#choices.size > 0 && [...this.#choices.values()].every((choice) => choice.finished)
  }

  fail(body: unknown, status: number): ChatEvent {
    this.failed = true
    return { type: 'failure', failure: toFailure(readErrorValue(body), status, ERRORS, null) }
  }

  giveUp(kind: 'protocol' | 'truncated', vendorMessage: string): ChatEvent {
    this.failed = true
    return { type: 'failure', failure: wireFailure(kind, vendorMessage) }
  }

  read(body: Json, events: ChatEvent[]): void {
    if (!this.#started) {
      this.#started = true
      const id = typeof body['request_id'] === 'string' ? body['request_id'] : null
      events.push({ type: 'start', id, model: null, createdSeconds: null })
    }
    const output = isObject(body['output']) ? body['output'] : {}
    const choices = Array.isArray(output['choices']) ? output['choices'].filter(isObject) : []
    for (const [position, choice] of choices.entries()) {
      const index = typeof choice['index'] === 'number' ? choice['index'] : position
      this.#readChoice(index, isObject(choice['message']) ? choice['message'] : {}, choice, events)
    }
    // `result_format: text` of the oldest models.
    if (choices.length === 0 && typeof output['text'] === 'string') {
      this.#readChoice(0, { content: output['text'] }, output, events)
    }
    const usage = readUsage(body['usage'])
    if (usage !== null) events.push({ type: 'usage', usage })
  }

  /** Text held back while the mode was unknown. */
  release(events: ChatEvent[]): void {
    for (const [index, choice] of this.#choices) this.#releaseChoice(index, choice, events)
  }

  #readChoice(index: number, message: Json, choice: Json, events: ChatEvent[]): void {
    const known = this.#choiceOf(index)
    if (known.finished) return
    // The word "null" stands for null until the end.
    const word = choice['finish_reason']
    const ends = typeof word === 'string' && word !== 'null' && word !== ''
    const reasoning = message['reasoning_content']
    if (typeof reasoning === 'string' && reasoning !== '') {
      // Thinking is only served incrementally: "incremental_output must be true when enable_thinking is true".
      this.#mode.current = 'incremental'
      events.push({ type: 'reasoning-delta', choice: index, text: reasoning })
    }
    pushText(events, index, known.text.add(textOfContent(message['content']), ends))
    this.#readCalls(index, known, message['tool_calls'], ends, events)
    if (!ends) return
    this.#releaseChoice(index, known, events)
    known.finished = true
    events.push({ type: 'finish', choice: index, reason: finishOf(word, known.calls.size > 0) })
  }

  #readCalls(index: number, choice: NativeChoice, sent: unknown, ends: boolean, events: ChatEvent[]): void {
    if (!Array.isArray(sent)) return
    for (const [position, call] of sent.filter(isObject).entries()) {
      const key = typeof call['index'] === 'number' ? call['index'] : position
      const fn = isObject(call['function']) ? call['function'] : {}
      let known = choice.calls.get(key)
      if (known === undefined) {
        known = { index: choice.calls.size, arguments: new GrowingText(this.#mode) }
        choice.calls.set(key, known)
        const id = typeof call['id'] === 'string' && call['id'] !== '' ? call['id'] : `call_${known.index}`
        const name = typeof fn['name'] === 'string' ? fn['name'] : ''
        events.push({ type: 'tool-call-start', choice: index, call: known.index, id, name })
      }
      const text = typeof fn['arguments'] === 'string' ? fn['arguments'] : ''
      pushArguments(events, index, known.index, known.arguments.add(text, ends))
    }
  }

  #releaseChoice(index: number, choice: NativeChoice, events: ChatEvent[]): void {
    pushText(events, index, choice.text.release())
    for (const call of choice.calls.values())
      pushArguments(events, index, call.index, call.arguments.release())
  }

  #choiceOf(index: number): NativeChoice {
    let choice = this.#choices.get(index)
    if (choice === undefined) {
      choice = { text: new GrowingText(this.#mode), calls: new Map(), finished: false }
      this.#choices.set(index, choice)
    }
    return choice
  }
}

function pushText(events: ChatEvent[], choice: number, text: string): void {
  if (text !== '') events.push({ type: 'text-delta', choice, text })
}

function pushArguments(events: ChatEvent[], choice: number, call: number, text: string): void {
  if (text !== '') events.push({ type: 'tool-call-delta', choice, call, arguments: text })
}

/** Multimodal models answer with `[{"text": "…"}]`, `[]` while thinking. */
function textOfContent(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((part) => (isObject(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .join('')
}

const REASONS: Readonly<Record<string, FinishReason>> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool_calls',
  content_filter: 'content_filter',
}

function finishOf(word: unknown, hasCalls: boolean): FinishReason {
  const reason = REASONS[String(word)] ?? 'stop'
  return reason === 'stop' && hasCalls ? 'tool_calls' : reason
}
