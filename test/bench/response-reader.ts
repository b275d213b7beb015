// Reads HTTP/1.1 responses off one connection as cheaply as can be done without losing correctness: heads by
// byte search, bodies skipped by length or chunk, events of streams counted by their blank lines.

const HEAD_END = Buffer.from('\r\n\r\n', 'latin1')
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i
const CHUNKED = /\r\ntransfer-encoding: *chunked/i
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SEMICOLON = 0x3b
const CLOSING_BRACKET = 0x5d
const NOT_A_DIGIT = 255
const HEX_DIGITS = new Uint8Array(256).fill(NOT_A_DIGIT)
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  HEX_DIGITS[digit.charCodeAt(0)] = value
  HEX_DIGITS[digit.toUpperCase().charCodeAt(0)] = value
}
const END_MARK = 'data: [DONE]\n\n'
const SAMPLE_CHARACTERS = 300

export interface ResponseSummary {
  readonly status: number
  /** Streamed events; 0 where the body was not `text/event-stream`. */
  readonly events: number
  readonly hasEndMark: boolean
}

export interface ResponseListener {
  /** Blank lines seen in this read. */
  onEvents(count: number): void
  onResponse(summary: ResponseSummary): void
  /** The connection cannot be read any further. */
  onProtocolError(message: string): void
}

type Phase = 'head' | 'body' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer' | 'broken'

export class ResponseReader {
  /** The beginning of the latest response, for the report of an error. */
  sample = ''
  #phase: Phase = 'head'
  #line = ''
  #remainingBytes = 0
  #status = 0
  #isEventStream = false
  #events = 0
  #isInExtension = false
  #endsWithLineFeed = false
  #tail = ''
  readonly #listener: ResponseListener

  constructor(listener: ResponseListener) {
    this.#listener = listener
  }

  /** Takes the first `length` bytes of `bytes`, which may be overwritten afterwards. */
  push(bytes: Buffer, length: number): void {
    const eventsBefore = this.#events
    let eventsEnded = 0
    let position = 0
    while (position < length) {
      const events = this.#events
      position = this.#step(bytes, position, length)
      // A response that has ended starts the count anew.
      if (this.#events < events) eventsEnded += events
    }
    const seen = eventsEnded + this.#events - eventsBefore
    if (seen > 0) this.#listener.onEvents(seen)
  }

  #step(bytes: Buffer, position: number, length: number): number {
    switch (this.#phase) {
      case 'head':
        return this.#readHead(bytes, position, length)
      case 'body': {
        const taken = Math.min(this.#remainingBytes, length - position)
        this.#remainingBytes -= taken
        if (this.#remainingBytes === 0) this.#finish()
        return position + taken
      }
      case 'chunk-data': {
        const taken = Math.min(this.#remainingBytes, length - position)
        if (this.#isEventStream) this.#countEvents(bytes, position, position + taken)
        this.#remainingBytes -= taken
        if (this.#remainingBytes === 0) this.#phase = 'chunk-end'
        return position + taken
      }
      case 'chunk-size':
        return this.#readChunkSize(bytes, position, length)
      case 'chunk-end':
        return this.#skipChunkEnd(bytes, position, length)
      case 'trailer':
        return this.#readTrailer(bytes, position, length)
      case 'broken':
        return length
    }
  }

  #readHead(bytes: Buffer, position: number, length: number): number {
    let end = bytes.indexOf(HEAD_END, position)
    if (end === -1 || end + HEAD_END.length > length || this.#line !== '') {
      // Split over reads: rare, so it may cost a string. The mark itself may be split too.
      const known = this.#line.length
      this.#line += bytes.toString('latin1', position, length)
      const found = this.#line.indexOf('\r\n\r\n')
      if (found === -1) return length
      end = position + found - known
      this.#openBody(this.#line.slice(0, found))
    } else this.#openBody(bytes.toString('latin1', position, end))
    if (this.#phase !== 'head' && this.#status !== 200)
      this.sample += ` … ${bytes.toString('latin1', end, Math.min(length, end + SAMPLE_CHARACTERS)).trim()}`
    return end + HEAD_END.length
  }

  #openBody(head: string): void {
    this.#line = ''
    this.#status = Number(head.slice(9, 12))
    if (this.#status !== 200) this.sample = head.slice(0, SAMPLE_CHARACTERS)
    this.#isEventStream = head.includes('text/event-stream')
    const contentLength = CONTENT_LENGTH.exec(head)
    if (contentLength !== null) {
      this.#remainingBytes = Number(contentLength[1])
      this.#phase = 'body'
      if (this.#remainingBytes === 0) this.#finish()
    } else if (CHUNKED.test(head)) {
      this.#remainingBytes = 0
      this.#phase = 'chunk-size'
    } else this.#break(`neither content-length nor chunked: ${head.slice(0, SAMPLE_CHARACTERS)}`)
  }

  /** Hexadecimal digits up to the end of the line; extensions after `;` are skipped. */
  #readChunkSize(bytes: Buffer, position: number, length: number): number {
    for (let index = position; index < length; index += 1) {
      const byte = bytes[index] ?? 0
      if (byte === LINE_FEED) {
        this.#phase = this.#remainingBytes === 0 ? 'trailer' : 'chunk-data'
        this.#isInExtension = false
        return index + 1
      }
      if (byte === SEMICOLON || byte === CARRIAGE_RETURN) this.#isInExtension = true
      else if (!this.#isInExtension) {
        const digit = HEX_DIGITS[byte] ?? NOT_A_DIGIT
        if (digit === NOT_A_DIGIT) {
          this.#break(
            `no chunk size: ${bytes.toString('latin1', position, Math.min(length, position + SAMPLE_CHARACTERS))}`,
          )
          return length
        }
        this.#remainingBytes = this.#remainingBytes * 16 + digit
      }
    }
    return length
  }

  #skipChunkEnd(bytes: Buffer, position: number, length: number): number {
    for (let index = position; index < length; index += 1) {
      if (bytes[index] !== LINE_FEED) continue
      this.#phase = 'chunk-size'
      return index + 1
    }
    return length
  }

  #readTrailer(bytes: Buffer, position: number, length: number): number {
    const found = bytes.indexOf(LINE_FEED, position)
    const end = found === -1 || found >= length ? length : found + 1
    this.#line += bytes.toString('latin1', position, end)
    if (!this.#line.endsWith('\n')) return end
    const isLast = this.#line.trimEnd() === ''
    this.#line = ''
    if (isLast) this.#finish()
    return end
  }

  #countEvents(bytes: Buffer, start: number, end: number): void {
    let position = start
    if (this.#endsWithLineFeed && bytes[start] === LINE_FEED) {
      this.#events += 1
      position += 1
    }
    for (;;) {
      const found = bytes.indexOf(LINE_FEED, position)
      if (found === -1 || found + 1 >= end) break
      if (bytes[found + 1] === LINE_FEED) this.#events += 1
      position = found + 2
    }
    // A line feed that already ended an event begins no other one.
    this.#endsWithLineFeed = position < end && bytes[end - 1] === LINE_FEED
    // Only what may be part of the end mark costs a string.
    if (end - start >= END_MARK.length) {
      const mayEnd = bytes[end - 3] === CLOSING_BRACKET || bytes[end - 1] !== LINE_FEED
      this.#tail = mayEnd ? bytes.toString('latin1', end - END_MARK.length, end) : ''
    } else this.#tail = (this.#tail + bytes.toString('latin1', start, end)).slice(-END_MARK.length)
  }

  #finish(): void {
    const summary = {
      status: this.#status,
      events: this.#events,
      hasEndMark: this.#tail === END_MARK,
    }
    this.#phase = 'head'
    this.#events = 0
    this.#tail = ''
    this.#endsWithLineFeed = false
    this.#listener.onResponse(summary)
  }

  #break(message: string): void {
    this.#phase = 'broken'
    this.#listener.onProtocolError(message)
  }
}
