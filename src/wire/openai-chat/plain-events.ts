// Finds the events of a stream that concern nobody but the client, without parsing them. The rest is
// for pass.ts.

import type { AnswerState } from '#core/answer.ts'
import type { Quirks } from '#core/provider.ts'
import { indexOfAscii } from '../bytes.ts'
import type { SseEvent } from '../sse.ts'
import { needsRepair } from './chunk.ts'
import { type EventShape, readShape, shapeEnd } from './event-shape.ts'

/** Shapes read on trial: a stream whose events are never alike is worth no more. A hit earns one back. */
const TRIALS_MAX = 4

/** One per stream, asked from its first content on. */
export class PlainEvents {
  /** Bytes around the text of the last event that was parsed: what a plain one has beyond them is text. */
  framingBytes = 0
  readonly #state: AnswerState
  readonly #marks: readonly string[]
  #shape: EventShape | null = null
  #trialsLeft = TRIALS_MAX

  constructor(state: AnswerState, quirks: Quirks) {
    this.#state = state
    this.#marks = quirkMarks(quirks)
  }

  /**
   * Index behind the plain events at `from`, where an event begins. Stops at the first that needs a closer
   * look, plain or not.
   */
  end(bytes: Uint8Array, from: number): number {
    const shape = this.#shape
    let at = from
    while (shape !== null && at < bytes.length) {
      const end = shapeEnd(shape, bytes, at)
      if (end === -1) break
      this.#countShaped(shape, end - at)
      this.#earn()
      at = end
    }
    return at
  }

  /** True when nothing in this event concerns us. Its data looks like an object. */
  take(event: SseEvent, data: Uint8Array): boolean {
    const { raw } = event
    const known = this.#shape
    if (known !== null && shapeEnd(known, raw, 0) === raw.length) {
      this.#earn()
      this.#countShaped(known, raw.length)
      return true
    }
    if (event.isErrorEvent || !this.#isPlain(data)) return false
    const learned = this.#learn(raw, data)
    if (learned === null) this.#count(data.length)
    else this.#countShaped(learned, raw.length)
    return true
  }

  /** Exactly the text, where the shape says what is none. */
  #countShaped(shape: EventShape, bytes: number): void {
    if (shape.fixedBytes === null) this.#count(bytes - shape.frameBytes)
    else this.#state.outputBytes += bytes - shape.fixedBytes
  }

  #count(dataBytes: number): void {
    this.#state.outputBytes += Math.max(0, dataBytes - this.framingBytes)
  }

  #earn(): void {
    if (this.#trialsLeft < TRIALS_MAX) this.#trialsLeft++
  }

  #learn(raw: Uint8Array, data: Uint8Array): EventShape | null {
    if (this.#trialsLeft === 0) return null
    this.#trialsLeft--
    this.#shape = readShape(raw, data)
    return this.#shape
  }

  #isPlain(data: Uint8Array): boolean {
    // Without choices it is an error of some shape, or nothing that we know.
    if (!hasValue(data, '"choices"', isBracket)) return false
    if (hasValue(data, '"usage"', isBrace)) return false
    if (hasValue(data, '"finish_reason"', isQuote)) return false
    if (hasValue(data, '"error"', isNotNull)) return false
    for (const mark of this.#marks) {
      if (indexOfAscii(data, mark, 0) !== -1) return false
    }
    return true
  }
}

const isBracket = (byte: number): boolean => byte === 91
const isBrace = (byte: number): boolean => byte === 123
const isQuote = (byte: number): boolean => byte === 34
/** Not the `n` of null. */
const isNotNull = (byte: number): boolean => byte !== 110

/**
 * Has some member of this name a value that begins so? Inside strings quotes are escaped, so a hit is a key
 * or a whole string; only a key has a colon behind it.
 */
function hasValue(data: Uint8Array, key: string, begins: (byte: number) => boolean): boolean {
  let at = indexOfAscii(data, key, 0)
  while (at !== -1) {
    const colon = skipSpace(data, at + key.length)
    if (data[colon] === 58 && begins(data[skipSpace(data, colon + 1)] ?? 0)) return true
    at = indexOfAscii(data, key, at + key.length)
  }
  return false
}

function skipSpace(data: Uint8Array, from: number): number {
  let at = from
  while (data[at] === 32 || data[at] === 9 || data[at] === 10 || data[at] === 13) at++
  return at
}

/** Byte marks of events that this vendor's quirks must look into. */
function quirkMarks(quirks: Quirks): readonly string[] {
  if (!needsRepair(quirks)) return []
  const marks: string[] = []
  if (quirks.reasoningField !== undefined) marks.push('"reasoning"')
  if (quirks.looseToolCalls === true) marks.push('"tool_calls"')
  if (quirks.emptyWords === true) marks.push('"role":""', '"finish_reason":""')
  return marks
}
