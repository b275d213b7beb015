// The identity path: OpenAI chat on both sides. Events pass as the bytes they came in; they are parsed only
// until the first content, and later where a cheap look finds usage, a finish, an error or a quirk.

import { type AnswerTransform, newAnswerState, noteUsage } from '#core/answer.ts'
import { SSE_EVENT_BYTES_MAX } from '#core/limits.ts'
import type { ErrorRule, Quirks } from '#core/provider.ts'
import type { TokenUsage } from '#core/usage.ts'
import { concatBytes, decodeUtf8, encodeUtf8 } from '../bytes.ts'
import { isObject, parseObject } from '../json-object.ts'
import { isDone, looksLikeObject, type SseEvent, SseSplitter } from '../sse.ts'
import { ChoiceEnds } from './choices.ts'
import { choicesOf, deltaOf, dropRepeated, learn, type MutableJson, repair, usageOf } from './chunk.ts'
import { isErrorBody, readErrorValue, toFailure, wireFailure } from './failure.ts'
import { PlainEvents } from './plain-events.ts'
import { CallMemory } from './tool-calls.ts'
import { writeUsage } from './usage.ts'

export interface PassOptions {
  readonly quirks: Quirks
  readonly rules: readonly ErrorRule[]
  /** The client sent `stream_options.include_usage`. */
  readonly wantsUsage: boolean
  /** Choices asked for. */
  readonly choices: number
  /** Cost of the request so far in book currency, for `usage.cost`; null when unpriced. */
  readonly costOf: (usage: TokenUsage, responseModel: string | null) => string | null
  readonly out: (bytes: Uint8Array) => void
}

/** A stream passing through. `state.failure` set means: give the upstream up. */
export function passStream(options: PassOptions): AnswerTransform {
  const state = newAnswerState()
  const splitter = new SseSplitter(SSE_EVENT_BYTES_MAX)
  const memory = new CallMemory()
  const ends = new ChoiceEnds(state, options.choices)
  // Plain events are not parsed, so they do not tell which choice they belong to.
  const plain = options.choices === 1 ? new PlainEvents(state, options.quirks) : null
  const run = new Run(options.out)
  let usageShown = false
  let lastChunk: MutableJson | null = null

  /** The usual chunk is plain as a whole: it is handed on as it is, and nothing is made for its events. */
  function skipPlain(bytes: Uint8Array, from: number): number {
    if (plain === null || !state.content || state.done || state.failure !== null) return from
    const end = plain.end(bytes, from)
    if (end > from) run.add(end - from === bytes.length ? bytes : bytes.subarray(from, end))
    return end
  }

  function onEvent(event: SseEvent): void {
    if (state.failure !== null) return
    if (state.done) return learnLate(event)
    const { data } = event
    if (data === null) {
      run.add(event.raw)
    } else if (isDone(data)) {
      state.done = true
      ends.endMark()
    } else if (!looksLikeObject(data)) {
      state.droppedEvents++
    } else if (plain !== null && state.content && plain.take(event, data)) {
      run.add(event.raw)
    } else {
      onParsed(event, data)
    }
  }

  /** Behind the end mark nothing is for the client, but what was used is for the books. */
  function learnLate({ data }: SseEvent): void {
    if (state.usage !== null || data === null || !looksLikeObject(data)) return
    const body = parseObject(data)
    const usage = body === null ? null : usageOf(body)
    if (usage !== null) noteUsage(state, usage)
  }

  function onParsed(event: SseEvent, data: Uint8Array): void {
    let body: MutableJson
    try {
      body = JSON.parse(decodeUtf8(data)) as MutableJson
    } catch {
      state.droppedEvents++
      return
    }
    if (event.isErrorEvent || isErrorBody(body)) {
      state.failure = toFailure(readErrorValue(body), 200, options.rules, null)
      return
    }
    const isRepeated = dropRepeated(body, state.content)
    const before = state.outputBytes
    learn(state, body, ends)
    if (plain !== null && state.outputBytes > before)
      plain.framingBytes = data.length - (state.outputBytes - before)
    const { changed: isRepaired, failedBy } = repair(body, options.quirks, memory)
    const changed = isRepaired || isRepeated
    if (failedBy !== null) {
      state.failure = toFailure(
        { code: failedBy, type: null, message: `finish_reason ${failedBy}` },
        200,
        options.rules,
        null,
      )
      return
    }
    lastChunk = body
    const usage = usageOf(body)
    // An object that counts nothing (MiniMax has one on every chunk) is no usage, but not asked for either.
    const isEmpty = usage === null && body['usage'] !== null && typeof body['usage'] === 'object'
    if (isEmpty && !options.wantsUsage) delete body['usage']
    if (usage !== null) emitWithUsage(event, body, usage, changed)
    else if (changed || (isEmpty && !options.wantsUsage)) run.put(encodeEvent(body))
    else run.add(event.raw)
  }

  function emitWithUsage(event: SseEvent, body: MutableJson, usage: TokenUsage, changed: boolean): void {
    if (!options.wantsUsage) {
      if (choicesOf(body).length === 0) return
      delete body['usage']
      for (const choice of choicesOf(body)) delete choice['usage']
      run.put(encodeEvent(body))
      return
    }
    const shown = body['usage']
    const cost = options.costOf(usage, state.responseModel)
    if (isObject(shown)) {
      usageShown = true
      const isForeign = renameCost(shown)
      if (cost !== null) shown['cost'] = cost
      if (cost !== null || isForeign) return run.put(encodeEvent(body))
    }
    if (changed) run.put(encodeEvent(body))
    else run.add(event.raw)
  }

  return {
    state,
    push(chunk) {
      const isBounded = splitter.push(chunk, onEvent, skipPlain)
      if (!isBounded && !state.done) state.failure ??= wireFailure('protocol', 'an event without end')
      run.flush()
    },
    end() {
      // What follows must not run into an event that the upstream did not end.
      splitter.end((event) => onEvent({ ...event, raw: concatBytes([event.raw, BLANK_LINE]) }))
      // A client that asked for usage gets it in OpenAI's place even where the vendor only has another one.
      if (
        options.wantsUsage &&
        !usageShown &&
        state.usage !== null &&
        state.finished &&
        state.failure === null
      ) {
        run.put(
          encodeEvent(usageChunk(lastChunk, state.usage, options.costOf(state.usage, state.responseModel))),
        )
      }
      run.flush()
    },
  }
}

const BLANK_LINE = encodeUtf8('\n\n')

/** `usage.cost` is ours, in book currency; an upstream's own (OpenRouter) is kept under a name of its own. */
function renameCost(usage: MutableJson): boolean {
  if (usage['cost'] === undefined) return false
  usage['upstream_cost'] = usage['cost']
  delete usage['cost']
  return true
}

function usageChunk(last: MutableJson | null, usage: TokenUsage, cost: string | null): MutableJson {
  const { id, created, model } = last ?? {}
  return {
    id,
    object: 'chat.completion.chunk',
    created,
    model,
    choices: [],
    usage: { ...writeUsage(usage), ...(cost === null ? {} : { cost }) },
  }
}

function encodeEvent(body: MutableJson): Uint8Array {
  return encodeUtf8(`data: ${JSON.stringify(body)}\n\n`)
}

/** Joins neighbouring events of one chunk, so that a chunk that passes whole is one write and no copy. */
class Run {
  readonly #out: (bytes: Uint8Array) => void
  #current: Uint8Array | null = null

  constructor(out: (bytes: Uint8Array) => void) {
    this.#out = out
  }

  add(raw: Uint8Array): void {
    const current = this.#current
    if (current === null) {
      this.#current = raw
    } else if (current.buffer === raw.buffer && current.byteOffset + current.length === raw.byteOffset) {
      this.#current = new Uint8Array(current.buffer, current.byteOffset, current.length + raw.length)
    } else {
      this.#out(current)
      this.#current = raw
    }
  }

  put(bytes: Uint8Array): void {
    this.flush()
    this.#out(bytes)
  }

  flush(): void {
    if (this.#current !== null) this.#out(this.#current)
    this.#current = null
  }
}

/** An unstreamed answer. Bytes are the upstream's own unless a quirk needed repair. */
export function passAnswer(
  body: Uint8Array,
  options: Pick<PassOptions, 'quirks' | 'rules'>,
): { readonly state: AnswerTransform['state']; readonly bytes: Uint8Array } {
  const state = newAnswerState()
  let parsed: MutableJson
  try {
    parsed = JSON.parse(decodeUtf8(body)) as MutableJson
  } catch {
    state.failure = wireFailure('protocol', 'the answer is not JSON')
    return { state, bytes: body }
  }
  if (isErrorBody(parsed)) {
    state.failure = toFailure(readErrorValue(parsed), 200, options.rules, null)
    return { state, bytes: body }
  }
  // SDKs read `choices[0].message` without looking.
  if (!choicesOf(parsed).some((choice) => deltaOf(choice) !== null || typeof choice['text'] === 'string')) {
    state.failure = wireFailure('protocol', 'the answer has no choices')
    return { state, bytes: body }
  }
  learn(state, parsed, new ChoiceEnds(state, 1))
  const { changed, failedBy } = repair(parsed, options.quirks, new CallMemory())
  if (failedBy !== null) {
    state.failure = toFailure(
      { code: failedBy, type: null, message: `finish_reason ${failedBy}` },
      200,
      options.rules,
      null,
    )
  }
  const isForeignCost = isObject(parsed['usage']) && renameCost(parsed['usage'])
  return { state, bytes: changed || isForeignCost ? encodeUtf8(JSON.stringify(parsed)) : body }
}
