// The mock upstream: a chat API on a raw socket that costs as little as Node allows. One process; it prints
// `{"port":N}` and takes `{"chunksPerSecond":N|null}` lines. It parses only what it must and keeps no log.
//
// Each chunk of a stream is one write on a socket without Nagle's delay, so it leaves as a segment of its own.
// A reader that falls behind still finds several in one read, as with a real upstream; the paced mode spreads
// them so that it does not.

import { createServer, Socket } from 'node:net'
import { answerLines, writeLine } from './line-protocol.ts'
import { streamedAnswer, unstreamedAnswer } from './mock-answers.ts'

const HEAD_END = Buffer.from('\r\n\r\n', 'latin1')
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i
const LENGTH_REQUIRED = 'HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'
/** Flags are looked for this near to both ends of each piece of a body: they never stand inside a message. */
const EDGE_BYTES = 512
const READ_BYTES = 64 * 1024
/** Writes to one stream before the event loop turns. */
const WRITES_PER_TURN = 4
/** A stall longer than this is not made up for by a burst. */
const PACING_DEBT_MS_MAX = 5

const ANSWER = unstreamedAnswer()
const STREAM = streamedAnswer(false)
const STREAM_WITH_USAGE = streamedAnswer(true)

interface Stream {
  readonly socket: Socket
  readonly writes: readonly Buffer[]
  next: number
  isBlocked: boolean
}

let streams: Stream[] = []
let chunksPerSecond: number | null = null
let isTurning = false

/** Finds the ends of requests on one connection; a client that pipelines is not served. */
class RequestReader {
  #pending: Buffer | null = null
  /** -1: the head is not complete. */
  #remainingBytes = -1
  #edges = ''

  /** `chunk` may be overwritten afterwards. Returns text near the ends of the body once it is complete; null
   * before; undefined when the length is missing. */
  push(chunk: Buffer): string | null | undefined {
    let piece = chunk
    if (this.#remainingBytes === -1) {
      const data = this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk])
      const end = data.indexOf(HEAD_END)
      // The caller's buffer is used again, so what waits is a copy.
      this.#pending = end === -1 ? Buffer.from(data) : null
      if (end === -1) return null
      const length = CONTENT_LENGTH.exec(data.toString('latin1', 0, end))
      if (length === null) return undefined
      this.#remainingBytes = Number(length[1])
      piece = data.subarray(end + HEAD_END.length)
    }
    this.#remainingBytes -= piece.length
    this.#edges +=
      piece.length <= 2 * EDGE_BYTES
        ? piece.toString('latin1')
        : piece.toString('latin1', 0, EDGE_BYTES) + piece.toString('latin1', piece.length - EDGE_BYTES)
    if (this.#remainingBytes > 0) return null
    const edges = this.#edges
    this.#remainingBytes = -1
    this.#edges = ''
    return edges
  }
}

function serve(accepted: Socket): void {
  const reader = new RequestReader()
  const socket = readInto(Buffer.allocUnsafeSlow(READ_BYTES), accepted, (chunk) => {
    const body = reader.push(chunk)
    if (body === null) return
    if (body === undefined) socket.end(LENGTH_REQUIRED)
    else if (!body.includes('"stream":true')) socket.write(ANSWER)
    else startStream(socket, body.includes('include_usage') ? STREAM_WITH_USAGE : STREAM)
  })
  // A client that goes away is part of the measurement, not an error; its stream ends at the next turn.
  socket.on('error', () => socket.destroy())
  socket.resume()
}

/**
 * Reads into one buffer per connection. Node allows that to clients only (`onread`); given the accepted handle
 * it does it for servers too, which halves the cost of a 32 KB request (25 to 11 µs). Where there is no such
 * handle the ordinary way is taken.
 */
function readInto(buffer: Buffer, accepted: Socket, onBytes: (chunk: Buffer) => void): Socket {
  const { _handle: handle } = accepted as unknown as { _handle?: object }
  if (handle === undefined) return accepted.on('data', onBytes)
  const callback = (length: number): boolean => {
    onBytes(buffer.subarray(0, length))
    return true
  }
  return new Socket({ handle, onread: { buffer, callback } } as object)
}

function startStream(socket: Socket, writes: readonly Buffer[]): void {
  const [head] = writes
  if (head === undefined) return
  socket.write(head)
  streams.push({ socket, writes, next: 1, isBlocked: false })
  if (chunksPerSecond === null && !isTurning) {
    isTurning = true
    setImmediate(turn)
  }
}

/** False: the stream is over. */
function writeNext(stream: Stream): boolean {
  const bytes = stream.writes[stream.next]
  if (bytes === undefined || stream.socket.destroyed) return false
  stream.next += 1
  if (!stream.socket.write(bytes)) {
    stream.isBlocked = true
    stream.socket.once('drain', () => {
      stream.isBlocked = false
    })
  }
  return stream.next < stream.writes.length
}

function turn(): void {
  streams = streams.filter((stream) => {
    for (let count = 0; count < WRITES_PER_TURN; count += 1) {
      if (stream.isBlocked) return !stream.socket.destroyed
      if (!writeNext(stream)) return false
    }
    return true
  })
  isTurning = streams.length > 0 && chunksPerSecond === null
  if (isTurning) setImmediate(turn)
}

let owedChunks = 0
let pacedAtMs = performance.now()

/** Streams take turns, so that two chunks of one stream are as far apart as the rate allows. */
function pace(): void {
  const nowMs = performance.now()
  const elapsedMs = Math.min(nowMs - pacedAtMs, PACING_DEBT_MS_MAX)
  pacedAtMs = nowMs
  if (chunksPerSecond === null) return
  owedChunks += (elapsedMs * chunksPerSecond) / 1000
  for (; owedChunks >= 1; owedChunks -= 1) {
    const stream = streams.shift()
    if (stream === undefined) break
    if (stream.isBlocked ? !stream.socket.destroyed : writeNext(stream)) streams.push(stream)
  }
  owedChunks %= 1
}

let pacer: NodeJS.Timeout | undefined

function setPace(command: unknown): object {
  const { chunksPerSecond: wanted } = command as { chunksPerSecond: number | null }
  chunksPerSecond = wanted
  clearInterval(pacer)
  pacer = wanted === null ? undefined : setInterval(pace, 1)
  return { chunksPerSecond }
}

const server = createServer({ noDelay: true, pauseOnConnect: true }, serve)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  writeLine({ port: typeof address === 'object' ? address?.port : null })
  answerLines(setPace)
})
