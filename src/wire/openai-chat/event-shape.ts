// The shape of an event: its bytes without the text that changes from one event of a stream to the next.
// Another event of the same shape has the same members with the same values, but for that text.

import { encodeUtf8, hasBytesAt } from '../bytes.ts'

/** OpenAI pads its events to hide the length of tokens. */
const PADDING = encodeUtf8('"obfuscation"')
/** Members whose text changes with every event. All else is compared, a `role` or an `id` too. */
const TEXT_MEMBERS: readonly Uint8Array[] = [
  'content',
  'reasoning_content',
  'reasoning',
  'refusal',
  'text',
  'arguments',
]
  .map((name) => encodeUtf8(`"${name}"`))
  .concat(PADDING)

const LF = 10
const SPACE = 32
const QUOTE = 34
const COLON = 58
const BACKSLASH = 92

export interface EventShape {
  /** What stands before, between and behind the texts, their quotes and the closing blank line included. */
  readonly pieces: readonly Uint8Array[]
  /** Bytes of an event that are not data: field name and line ends. */
  readonly frameBytes: number
  /** Bytes that are no text; null: some of its texts say nothing (padding), so that the rest is not all said. */
  readonly fixedBytes: number | null
}

/** Reads it from one event; null when it has no text, or its data is no part of its bytes. */
export function readShape(raw: Uint8Array, data: Uint8Array): EventShape | null {
  // An event that ends in CR may yet have the LF of a CR LF behind it.
  if (!isPartOf(data, raw) || raw[raw.length - 1] !== LF) return null
  const pieces: Uint8Array[] = []
  // A copy, or the shape would hold all of a network read for as long as the stream lasts.
  const kept = new Uint8Array(raw)
  const dataEnd = data.byteOffset - raw.byteOffset + data.length
  let at = dataEnd - data.length
  let pieceStart = 0
  let keyStart = 0
  let isPadded = false
  while (at < dataEnd) {
    if (raw[at] !== QUOTE) {
      at++
      continue
    }
    const close = stringEnd(raw, at + 1)
    if (close === -1) return null
    if (!isValue(raw, at)) keyStart = at
    else if (TEXT_MEMBERS.some((name) => hasBytesAt(raw, keyStart, name))) {
      pieces.push(kept.subarray(pieceStart, at + 1))
      isPadded ||= hasBytesAt(raw, keyStart, PADDING)
      pieceStart = close
    }
    at = close + 1
  }
  if (pieces.length === 0) return null
  pieces.push(kept.subarray(pieceStart))
  const fixedBytes = isPadded ? null : pieces.reduce((sum, piece) => sum + piece.length, 0)
  return { pieces, frameBytes: raw.length - data.length, fixedBytes }
}

/** Index behind the event of this shape that begins at `from`, -1 when there is none. */
export function shapeEnd(shape: EventShape, bytes: Uint8Array, from: number): number {
  const { pieces } = shape
  let at = from
  for (let index = 0; index < pieces.length; index++) {
    if (index > 0) at = stringEnd(bytes, at)
    const piece = pieces[index] as Uint8Array
    if (at === -1 || !hasBytesAt(bytes, at, piece)) return -1
    at += piece.length
  }
  return at
}

/** Index of the quote that closes the string around `from`; -1 when none does before the line ends. */
function stringEnd(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at++
    if ((bytes[at] ?? 0) < SPACE) return -1
  }
  return -1
}

/** Data that came in several lines is a copy, and so is an event that was given its end. */
function isPartOf(data: Uint8Array, raw: Uint8Array): boolean {
  const from = data.byteOffset - raw.byteOffset
  return data.buffer === raw.buffer && from >= 0 && from + data.length <= raw.length
}

/** Is the string whose quote stands at `open` a member's value? */
function isValue(raw: Uint8Array, open: number): boolean {
  let at = open - 1
  while (raw[at] === SPACE) at--
  return raw[at] === COLON
}
