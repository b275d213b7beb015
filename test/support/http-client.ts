// A client that knows nothing of ours: requests as bytes, answers as bytes, and the moment of each piece.

import { type Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'

export interface AskOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Text and bytes go as they are, anything else as JSON. */
  readonly body?: unknown
  /** Sent as a bearer token. */
  readonly key?: string
  readonly agent?: Agent
  /** Leaves when it is aborted, at whatever moment that is. */
  readonly signal?: AbortSignal
  /** It leaves by a reset, which is seen at once; an end might be half a one. */
  readonly resets?: boolean
}

export interface ClientAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  readonly json: Record<string, unknown>
  /** Of an error body. */
  readonly error: {
    readonly message: string
    readonly type: string
    readonly code: string
    readonly param: unknown
  }
}

/** @throws when the connection breaks before the end of the answer */
export async function ask(url: string, options: AskOptions = {}): Promise<ClientAnswer> {
  const stream = await openStream(url, options)
  await stream.ended
  return {
    status: stream.status,
    headers: stream.headers,
    text: stream.text(),
    get json() {
      return JSON.parse(stream.text()) as Record<string, unknown>
    },
    get error() {
      return (JSON.parse(stream.text()) as { error: ClientAnswer['error'] }).error
    },
  }
}

export interface ClientStream {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** What has come so far. */
  readonly text: () => string
  /** Waits until so much has come. @throws when the stream ends without it */
  readonly until: (mark: string) => Promise<void>
  /** The end of the answer; rejects when the connection broke before it. */
  readonly ended: Promise<void>
  readonly pause: () => void
  readonly resume: () => void
  /** Leaves without a word. */
  readonly abort: () => void
}

export function openStream(url: string, options: AskOptions = {}): Promise<ClientStream> {
  return new Promise((resolve, reject) => {
    const request = send(url, options)
    request.once('error', reject)
    request.once('response', (response) => resolve(readStream(request, response)))
  })
}

/** Sends a request and leaves after it was written, before any answer. */
export async function askAndLeave(url: string, options: AskOptions, when: Promise<unknown>): Promise<void> {
  const request = send(url, options)
  const closed = new Promise<void>((resolve) => request.once('close', () => resolve()))
  request.on('error', () => undefined)
  await when
  request.destroy()
  await closed
}

function send(url: string, options: AskOptions): ClientRequest {
  const body = bytesOf(options.body)
  const isChunked = options.headers?.['transfer-encoding'] !== undefined
  const request = httpRequest(url, {
    method: options.method ?? (body === null ? 'GET' : 'POST'),
    agent: options.agent ?? false,
    ...(options.signal === undefined || options.resets === true ? {} : { signal: options.signal }),
    headers: {
      ...(body === null ? {} : { 'content-type': 'application/json' }),
      ...(body === null || isChunked ? {} : { 'content-length': String(body.length) }),
      ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
      ...options.headers,
    },
  })
  if (options.resets === true) options.signal?.addEventListener('abort', () => reset(request))
  request.end(body)
  return request
}

function reset(request: ClientRequest): void {
  if (request.socket === null) request.destroy()
  else request.socket.resetAndDestroy()
}

function bytesOf(body: unknown): Uint8Array | null {
  if (body === undefined) return null
  if (body instanceof Uint8Array) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

function readStream(request: ClientRequest, response: IncomingMessage): ClientStream {
  const parts: Buffer[] = []
  const text = (): string => Buffer.concat(parts).toString('utf8')
  const ended = new Promise<void>((resolve, reject) => {
    response.once('end', resolve)
    response.once('error', reject)
    response.once('close', () => reject(new Error(`the connection broke after ${text().length} characters`)))
  })
  ended.catch(() => undefined)
  response.on('data', (part: Buffer) => parts.push(part))
  request.on('error', () => undefined)
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  )
  return {
    status: response.statusCode ?? 0,
    headers,
    text,
    until: (mark) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (text().includes(mark)) resolve()
        }
        look()
        response.on('data', look)
        ended.then(
          () => reject(new Error(`ended without ${mark}: ${text()}`)),
          (error: unknown) => reject(error),
        )
      }),
    ended,
    pause: () => response.pause(),
    resume: () => response.resume(),
    abort: () => request.destroy(),
  }
}

/** The data of each event of a stream, in order; `[DONE]` among them. */
export function eventsOf(text: string): string[] {
  return text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice('data: '.length))
}

/** Text of all content deltas. */
export function contentOf(text: string): string {
  return eventsOf(text)
    .filter((data) => data.startsWith('{'))
    .map((data) => JSON.parse(data) as { choices?: { delta?: { content?: string } }[] })
    .map((chunk) => chunk.choices?.[0]?.delta?.content ?? '')
    .join('')
}

export interface RawExchange {
  /** All that came back until the other side closed or `forMs` had passed. */
  readonly text: string
  readonly closed: boolean
}

/**
 * Writes bytes to a port as they are. `endAfter`: our side ends then, and still reads. `drip`: what is written behind
 * them, piece by piece.
 */
export function exchangeBytes(
  port: number,
  bytes: string | readonly string[],
  options: {
    readonly endAfter?: Promise<unknown>
    readonly drip?: readonly (() => Promise<string>)[]
    readonly untilText?: RegExp
    readonly forMs?: number
  } = {},
): Promise<RawExchange> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    let text = ''
    const finish = (closed: boolean): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ text, closed })
    }
    const timer = setTimeout(() => finish(false), options.forMs ?? 20_000)
    socket.on('data', (data) => {
      text += data.toString('latin1')
      if (options.untilText?.test(text) === true) finish(false)
    })
    socket.on('end', () => finish(true))
    socket.on('error', () => finish(true))
    for (const part of typeof bytes === 'string' ? [bytes] : bytes) socket.write(part, 'latin1')
    void options.endAfter?.then(() => socket.end())
    void drip(socket, options.drip ?? [])
  })
}

async function drip(socket: Socket, pieces: readonly (() => Promise<string>)[]): Promise<void> {
  for (const piece of pieces) {
    const text = await piece()
    if (!socket.writable) return
    socket.write(text, 'latin1')
  }
}
