// Reads and repairs parsed OpenAI-chat objects: chunks of a stream and whole answers (a `message` where a chunk
// has a `delta`). Repairs are the vendor quirks that official SDKs would stumble over.

import { type AnswerState, noteUsage } from '#core/answer.ts'
import type { Quirks } from '#core/provider.ts'
import type { TokenUsage } from '#core/usage.ts'
import { utf8Length } from '../bytes.ts'
import { isObject } from '../json-object.ts'
import type { ChoiceEnds } from './choices.ts'
import { type CallMemory, callLength, repairCalls } from './tool-calls.ts'
import { readUsage } from './usage.ts'

export type MutableJson = Record<string, unknown>

export function choicesOf(body: MutableJson): readonly MutableJson[] {
  const choices = body['choices']
  return Array.isArray(choices) ? choices.filter(isObject) : []
}

export function indexOf(choice: MutableJson): number {
  return typeof choice['index'] === 'number' ? choice['index'] : 0
}

/**
 * Some vendors close a stream with a chunk that tells the whole answer again in a `message` (MiniMax: open.md 5). It is
 * no content; returns whether there was one.
 */
export function dropRepeated(body: MutableJson, hasContent: boolean): boolean {
  let dropped = false
  for (const choice of choicesOf(body)) {
    if (!hasContent || choice['message'] === undefined) continue
    delete choice['message']
    choice['delta'] ??= {}
    dropped = true
  }
  return dropped
}

/** The delta of a chunk's choice, or the message of a whole answer's. */
export function deltaOf(choice: MutableJson): MutableJson | null {
  const delta = choice['delta'] ?? choice['message']
  return isObject(delta) ? delta : null
}

/** Fills the state from one chunk or answer; what is already known stays unless it is newer. */
export function learn(state: AnswerState, body: MutableJson, ends: ChoiceEnds): void {
  if (state.upstreamId === null && typeof body['id'] === 'string' && body['id'] !== '')
    state.upstreamId = body['id']
  if (typeof body['model'] === 'string' && body['model'] !== '') state.responseModel = body['model']
  const usage = usageOf(body)
  for (const choice of choicesOf(body)) {
    const delta = deltaOf(choice)
    if (delta !== null) {
      // Where the upstream counts for itself nobody asks for our count.
      const bytes = contentLength(delta, usage === null)
      state.outputBytes += bytes
      if (bytes > 0) state.content = true
    }
    if (typeof choice['text'] === 'string' && choice['text'] !== '') {
      state.content = true
      state.outputBytes += utf8Length(choice['text'])
    }
    const reason = choice['finish_reason']
    ends.note(indexOf(choice), typeof reason === 'string' && reason !== '')
  }
  if (usage !== null) noteUsage(state, usage)
}

/** Usage from wherever the vendor puts it: the top (OpenAI), or a choice (Kimi's finish chunk). */
export function usageOf(body: MutableJson): TokenUsage | null {
  const top = readUsage(body['usage'], body['service_tier'])
  if (top !== null) return top
  for (const choice of choicesOf(body)) {
    const nested = readUsage(choice['usage'], body['service_tier'])
    if (nested !== null) return nested
  }
  return null
}

/** Bytes of everything in a delta that counts as content, or about; 0: none. */
function contentLength(delta: MutableJson, isExact: boolean): number {
  let length = 0
  for (const field of ['content', 'reasoning_content', 'reasoning', 'refusal'] as const) {
    const value = delta[field]
    if (typeof value === 'string') length += isExact ? utf8Length(value) : value.length
    else if (Array.isArray(value) && value.length > 0) length += JSON.stringify(value).length
  }
  const calls = delta['tool_calls']
  for (const call of Array.isArray(calls) ? calls : isObject(calls) ? [calls] : []) length += callLength(call)
  const old = delta['function_call']
  if (isObject(old)) length += JSON.stringify(old).length
  if (isObject(delta['audio'])) length += JSON.stringify(delta['audio']).length
  return length
}

/** Whether this vendor's objects may need repair at all. */
export function needsRepair(quirks: Quirks): boolean {
  return (
    quirks.reasoningField !== undefined ||
    quirks.looseToolCalls === true ||
    quirks.emptyWords === true ||
    quirks.finishReasons !== undefined
  )
}

export interface Repair {
  readonly changed: boolean
  /** A finish reason that is the vendor's word for a failure. */
  readonly failedBy: string | null
}

const UNCHANGED: Repair = Object.freeze({ changed: false, failedBy: null })

/** Repairs in place. */
export function repair(body: MutableJson, quirks: Quirks, memory: CallMemory): Repair {
  if (!needsRepair(quirks)) return UNCHANGED
  let changed = false
  let failedBy: string | null = null
  for (const choice of choicesOf(body)) {
    const delta = deltaOf(choice)
    if (delta !== null && quirks.reasoningField !== undefined) changed = renameReasoning(delta) || changed
    if (delta !== null && quirks.looseToolCalls === true) {
      const whole = choice['message'] === delta
      changed = repairCalls(delta, whole ? null : memory.of(choice['index'])) || changed
    }
    if (quirks.emptyWords === true) changed = dropEmptyWords(choice, delta) || changed
    if (quirks.toolCallsEndInStop === true) changed = endInToolCalls(choice, delta, memory) || changed
    const reason = choice['finish_reason']
    const mapped = typeof reason === 'string' ? quirks.finishReasons?.[reason] : undefined
    if (mapped === 'error') failedBy = String(reason)
    else if (mapped !== undefined) {
      choice['native_finish_reason'] = reason
      choice['finish_reason'] = mapped
      changed = true
    }
  }
  return { changed, failedBy }
}

function dropEmptyWords(choice: MutableJson, delta: MutableJson | null): boolean {
  const isEmptyReason = choice['finish_reason'] === ''
  const isEmptyRole = delta?.['role'] === ''
  if (isEmptyReason) choice['finish_reason'] = null
  if (isEmptyRole) delete delta['role']
  return isEmptyReason || isEmptyRole
}

function endInToolCalls(choice: MutableJson, delta: MutableJson | null, memory: CallMemory): boolean {
  if (choice['finish_reason'] !== 'stop') return false
  const calls = delta?.['tool_calls']
  const hasCalled = (Array.isArray(calls) && calls.length > 0) || memory.of(choice['index']).count > 0
  if (hasCalled) choice['finish_reason'] = 'tool_calls'
  return hasCalled
}

function renameReasoning(delta: MutableJson): boolean {
  if (delta['reasoning'] === undefined) return false
  if (delta['reasoning_content'] === undefined) delta['reasoning_content'] = delta['reasoning']
  delete delta['reasoning']
  return true
}
