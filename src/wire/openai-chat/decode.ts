// OpenAI-chat answers → canonical events, for clients of another format and for streams that are collected.

import type { ChatEvent, FinishReason, LogprobsDelta } from '#core/chat.ts'
import type { ErrorRule, Quirks } from '#core/provider.ts'
import type { AnswerDecoder } from '#core/wire-format.ts'
import { decodeUtf8 } from '../bytes.ts'
import { isObject, parseObject } from '../json-object.ts'
import { isDone } from '../sse.ts'
import { openSseDecoder } from '../sse-decoder.ts'
import { choicesOf, deltaOf, dropRepeated, indexOf, type MutableJson, repair, usageOf } from './chunk.ts'
import { isErrorBody, readErrorValue, toFailure, wireFailure } from './failure.ts'
import { CallMemory } from './tool-calls.ts'

/** Decoder of a stream; a loose tool-call form is always tolerated here. */
export function openChatDecoder(quirks: Quirks, rules: readonly ErrorRule[]): AnswerDecoder {
  const memory = new CallMemory()
  const tolerant: Quirks = { ...quirks, looseToolCalls: true }
  let started = false
  let ended = false
  let hasContent = false
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
      dropRepeated(body, hasContent)
      const before = events.length
      if (!decodeBody(body, tolerant, memory, rules, events)) failed = true
      hasContent ||= events.some((event, at) => at >= before && CONTENT.has(event.type))
      said ||= events.some((event) => event.type === 'usage')
      return true
    },
    hasEnded: () => ended,
    giveUp: (kind, vendorMessage) => ({ type: 'failure', failure: wireFailure(kind, vendorMessage) }),
  })
}

const CONTENT: ReadonlySet<ChatEvent['type']> = new Set(['text-delta', 'reasoning-delta', 'tool-call-start'])

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
    const index = indexOf(choice)
    const delta = deltaOf(choice)
    if (delta !== null) decodeDelta(delta, index, events)
    const logprobs = logprobsOf(choice['logprobs'])
    if (logprobs !== null) events.push({ type: 'logprobs-delta', choice: index, logprobs })
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
  const { audio, function_call: oldCall, tool_calls: calls } = delta
  if (isObject(audio)) events.push({ type: 'audio-delta', choice, audio })
  if (isObject(oldCall)) {
    events.push({
      type: 'function-call-delta',
      choice,
      name: textOf(oldCall['name']),
      arguments: textOf(oldCall['arguments']),
    })
  }
  if (!Array.isArray(calls)) return
  for (const [position, call] of (calls as MutableJson[]).entries()) {
    const fn = (call['function'] ?? {}) as MutableJson
    const at = typeof call['index'] === 'number' ? call['index'] : position
    const name = textOf(fn['name'])
    if (typeof call['id'] === 'string')
      events.push({ type: 'tool-call-start', choice, call: at, id: call['id'], name })
    else if (name !== '') events.push({ type: 'tool-call-name', choice, call: at, name })
    const text = fn['arguments']
    if (typeof text === 'string' && text !== '')
      events.push({ type: 'tool-call-delta', choice, call: at, arguments: text })
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** null where there are none. */
function logprobsOf(value: unknown): LogprobsDelta | null {
  if (!isObject(value)) return null
  const { content, refusal } = value
  const lists = {
    content: Array.isArray(content) ? content : null,
    refusal: Array.isArray(refusal) ? refusal : null,
  }
  return lists.content === null && lists.refusal === null ? null : lists
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
