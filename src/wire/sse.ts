// Splits a byte stream into server-sent events, whole ones only. Bytes of an event are handed on as they came,
// so that a stream can pass untouched; the data is found, not decoded.
// Grammar: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

const LF = 10
const CR = 13
const COLON = 58
const SPACE = 32
const OPEN_BRACE = 123

export interface SseEvent {
  /** All bytes of the event, its closing blank line included. */
  readonly raw: Uint8Array
  /** The data without field name and framing; null for comments, lone ids and names. */
  readonly data: Uint8Array | null
  /** True for `event: error`. */
  readonly isErrorEvent: boolean
  /** DashScope's native dialect says the status in a comment: `:HTTP_STATUS/400`. 0 where there is none. */
  readonly commentStatus: number
}

/** Index behind the events at `from` that are dealt with; `from` when there are none. */
export type SkipEvents = (bytes: Uint8Array, from: number) => number

/** One splitter per answer. */
export class SseSplitter {
  readonly #bytesMax: number
  #held: Uint8Array = EMPTY
  #heldLength = 0
  #started = false

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /**
   * Hands over every event that is whole with this chunk. `skip` is asked where an event begins, and answers
   * where the next one begins that it has not dealt with itself.
   * @returns false when an event outgrew the bound; the stream must be given up.
   */
  push(chunk: Uint8Array, onEvent: (event: SseEvent) => void, skip: SkipEvents = skipNone): boolean {
    let bytes = chunk
    let searchFrom = 0
    // An event that grows is not offered again with every piece of it.
    let isOffered = true
    if (this.#heldLength > 0) {
      isOffered = false
      searchFrom = Math.max(0, this.#heldLength - 3)
      bytes = this.#append(chunk)
    }
    let start = 0
    if (!this.#started && bytes.length >= 3) {
      this.#started = true
      if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) start = 3
    }
    let hasCr: boolean | null = null
    for (;;) {
      if (isOffered) start = skip(bytes, start)
      if (start === bytes.length) break
      searchFrom = Math.max(start, searchFrom)
      hasCr ??= bytes.indexOf(CR, searchFrom) !== -1
      const end = hasCr ? endOfEvent(bytes, searchFrom) : endOfLfEvent(bytes, searchFrom)
      if (end === -1) break
      onEvent(readEvent(bytes.subarray(start, end)))
      start = end
      isOffered = true
    }
    return this.#hold(bytes, start)
  }

  /** What stood behind the last blank line when the stream closed; some servers leave the blank line out. */
  end(onEvent: (event: SseEvent) => void): void {
    if (this.#heldLength === 0) return
    const raw = this.#held.subarray(0, this.#heldLength)
    this.#held = EMPTY
    this.#heldLength = 0
    const event = readEvent(raw)
    if (event.data !== null) onEvent(event)
  }

  #append(chunk: Uint8Array): Uint8Array {
    const length = this.#heldLength + chunk.length
    if (length > this.#held.length) {
      const grown = new Uint8Array(Math.max(length, this.#held.length * 2, 1024))
      grown.set(this.#held.subarray(0, this.#heldLength))
      this.#held = grown
    }
    this.#held.set(chunk, this.#heldLength)
    this.#heldLength = length
    return this.#held.subarray(0, length)
  }

  #hold(bytes: Uint8Array, start: number): boolean {
    const rest = bytes.length - start
    if (rest > this.#bytesMax) return false
    if (rest === 0) {
      this.#held = EMPTY
      this.#heldLength = 0
    } else if (bytes.buffer !== this.#held.buffer || start > 0) {
      // A new buffer, because events handed out still point into the old one.
      this.#held = bytes.slice(start)
      this.#heldLength = rest
    }
    return true
  }
}

const EMPTY = new Uint8Array(0)

const skipNone: SkipEvents = (_bytes, from) => from

/** Index behind the blank line that ends the event, for streams without CR. */
function endOfLfEvent(bytes: Uint8Array, from: number): number {
  let at = bytes.indexOf(LF, from)
  while (at !== -1) {
    if (bytes[at + 1] === LF) return at + 2
    at = bytes.indexOf(LF, at + 1)
  }
  return -1
}

/** The same where lines end in CRLF, CR or a mixture. A CR as last byte waits for what follows. */
function endOfEvent(bytes: Uint8Array, from: number): number {
  let at = from
  while (at < bytes.length) {
    const first = lineEnd(bytes, at)
    if (first === 0) {
      at++
      continue
    }
    const second = lineEnd(bytes, at + first)
    if (second > 0) {
      const end = at + first + second
      const waitsForLf = bytes[end - 1] === CR && end === bytes.length
      return waitsForLf ? -1 : end
    }
    at += first
  }
  return -1
}

/** Length of the line ending at `at`: 0, 1 or 2. */
function lineEnd(bytes: Uint8Array, at: number): number {
  if (bytes[at] === LF) return 1
  if (bytes[at] !== CR) return 0
  return bytes[at + 1] === LF ? 2 : 1
}

/** Reads the fields of one event. The usual event, one data line, costs no copy. */
function readEvent(raw: Uint8Array): SseEvent {
  let data: Uint8Array | null = null
  let isErrorEvent = false
  let commentStatus = 0
  let at = 0
  while (at < raw.length) {
    let end = raw.indexOf(LF, at)
    if (end === -1) end = raw.length
    let stop = end
    const cr = raw.indexOf(CR, at)
    if (cr !== -1 && cr < stop) {
      stop = cr
      if (raw[cr + 1] !== LF) end = cr
    }
    if (stop > at) {
      if (startsWith(raw, at, 'data:')) {
        const from = raw[at + 5] === SPACE ? at + 6 : at + 5
        data = data === null ? raw.subarray(from, stop) : joinLines(data, raw.subarray(from, stop))
      } else if (raw[at] === OPEN_BRACE && data === null) {
        // Qianfan may write a bare JSON error line (bce-qianfan-sdk openapi_requestor.py).
        data = raw.subarray(at, stop)
      } else if (startsWith(raw, at, 'event:')) {
        isErrorEvent = ascii(raw, at + 6, stop).trim() === 'error'
      } else if (raw[at] === COLON && startsWith(raw, at, ':HTTP_STATUS/')) {
        commentStatus = Number.parseInt(ascii(raw, at + 13, stop), 10) || 0
      }
    }
    at = end + 1
  }
  return { raw, data, isErrorEvent, commentStatus }
}

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false
  }
  return true
}

function ascii(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, Math.min(to, from + 64)))
}

function joinLines(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + 1 + second.length)
  joined.set(first)
  joined[first.length] = LF
  joined.set(second, first.length + 1)
  return joined
}

/** Answers `[DONE]`, the end mark of OpenAI streams. */
export function isDone(data: Uint8Array): boolean {
  return data.length >= 6 && data.length <= 8 && startsWith(data, 0, '[DONE]')
}

/** Cheap look at the ends: can this be a JSON object? */
export function looksLikeObject(data: Uint8Array): boolean {
  let start = 0
  let end = data.length - 1
  while (start < end && isSpace(data[start])) start++
  while (end > start && isSpace(data[end])) end--
  return data[start] === OPEN_BRACE && data[end] === 125
}

function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === 9 || byte === LF || byte === CR
}
