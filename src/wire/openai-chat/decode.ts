// OpenAI-chat answers → canonical events, for clients of another format and for streams that are collected.

import type { ChatEvent, FinishReason } from '#core/chat.ts'
import type { ErrorRule, Quirks } from '#core/provider.ts'
import type { AnswerDecoder } from '#core/wire-format.ts'
import { decodeUtf8 } from '../bytes.ts'
import { parseObject } from '../json-object.ts'
import { isDone } from '../sse.ts'
import { openSseDecoder } from '../sse-decoder.ts'
import { choicesOf, deltaOf, type MutableJson, repair, usageOf } from './chunk.ts'
import { isErrorBody, readErrorValue, toFailure, wireFailure } from './failure.ts'
import { CallMemory } from './tool-calls.ts'

/** Decoder of a stream; a loose tool-call form is always tolerated here. */
export function openChatDecoder(quirks: Quirks, rules: readonly ErrorRule[]): AnswerDecoder {
  const memory = new CallMemory()
  const tolerant: Quirks = { ...quirks, looseToolCalls: true }
  let started = false
  let ended = false
  let failed = false
  let said = false
  return openSseDecoder({
    read(event, data, events) {
      if (failed) return true
      if (ended) {
        // Nothing but what was used, where it was not said before.
        const usage = said ? null : usageOf(parseObject(data) ?? {})
        if (usage !== null) events.push({ type: 'usage', usage })
        said ||= usage !== null
        return true
      }
      if (isDone(data)) {
        ended = true
        return true
      }
      const body = parseObject(data)
      if (body === null) return false
      if (event.isErrorEvent || isErrorBody(body)) {
        events.push({ type: 'failure', failure: toFailure(readErrorValue(body), 200, rules, null) })
        failed = true
        return true
      }
      if (!started) events.push(startOf(body))
      started = true
      if (!decodeBody(body, tolerant, memory, rules, events)) failed = true
      said ||= events.some((known) => known.type === 'usage')
      return true
    },
    giveUp: (kind, vendorMessage) => ({ type: 'failure', failure: wireFailure(kind, vendorMessage) }),
  })
}

/** Events of an unstreamed answer. @throws SyntaxError when it is not JSON. */
export function decodeChatAnswer(
  body: Uint8Array,
  quirks: Quirks,
  rules: readonly ErrorRule[],
): readonly ChatEvent[] {
  const parsed = JSON.parse(decodeUtf8(body)) as MutableJson
  if (isErrorBody(parsed))
    return [{ type: 'failure', failure: toFailure(readErrorValue(parsed), 200, rules, null) }]
  const events: ChatEvent[] = [startOf(parsed)]
  decodeBody(parsed, { ...quirks, looseToolCalls: true }, new CallMemory(), rules, events)
  return events
}

function startOf(body: MutableJson): ChatEvent {
  return {
    type: 'start',
    id: typeof body['id'] === 'string' ? body['id'] : null,
    model: typeof body['model'] === 'string' ? body['model'] : null,
    createdSeconds: typeof body['created'] === 'number' ? body['created'] : null,
  }
}

/** @returns false when the body ended the answer with a failure. */
function decodeBody(
  body: MutableJson,
  quirks: Quirks,
  memory: CallMemory,
  rules: readonly ErrorRule[],
  events: ChatEvent[],
): boolean {
  const { failedBy } = repair(body, quirks, memory)
  if (failedBy !== null) {
    const words = { code: failedBy, type: null, message: `finish_reason ${failedBy}` }
    events.push({ type: 'failure', failure: toFailure(words, 200, rules, null) })
    return false
  }
  for (const choice of choicesOf(body)) {
    const index = typeof choice['index'] === 'number' ? choice['index'] : 0
    const delta = deltaOf(choice)
    if (delta !== null) decodeDelta(delta, index, events)
    const reason = choice['finish_reason']
    if (typeof reason === 'string' && reason !== '')
      events.push({ type: 'finish', choice: index, reason: finishOf(reason) })
  }
  const usage = usageOf(body)
  if (usage !== null) events.push({ type: 'usage', usage })
  return true
}

function decodeDelta(delta: MutableJson, choice: number, events: ChatEvent[]): void {
  const reasoning = delta['reasoning_content'] ?? delta['reasoning']
  if (typeof reasoning === 'string' && reasoning !== '')
    events.push({ type: 'reasoning-delta', choice, text: reasoning })
  if (typeof delta['refusal'] === 'string' && delta['refusal'] !== '') {
    events.push({ type: 'refusal-delta', choice, text: delta['refusal'] })
  }
  if (typeof delta['content'] === 'string' && delta['content'] !== '') {
    events.push({ type: 'text-delta', choice, text: delta['content'] })
  }
  const calls = delta['tool_calls']
  if (!Array.isArray(calls)) return
  for (const [position, call] of (calls as MutableJson[]).entries()) {
    const fn = (call['function'] ?? {}) as MutableJson
    const at = typeof call['index'] === 'number' ? call['index'] : position
    if (typeof call['id'] === 'string') {
      const name = typeof fn['name'] === 'string' ? fn['name'] : ''
      events.push({ type: 'tool-call-start', choice, call: at, id: call['id'], name })
    }
    const text = fn['arguments']
    if (typeof text === 'string' && text !== '')
      events.push({ type: 'tool-call-delta', choice, call: at, arguments: text })
  }
}

const REASONS: ReadonlyMap<string, FinishReason> = new Map([
  ['stop', 'stop'],
  ['length', 'length'],
  ['tool_calls', 'tool_calls'],
  ['content_filter', 'content_filter'],
  ['function_call', 'function_call'],
])

/** An unknown word counts as a plain stop: the answer is there, only its reason has no name in OpenAI's set. */
function finishOf(reason: string): FinishReason {
  return REASONS.get(reason) ?? 'stop'
}
