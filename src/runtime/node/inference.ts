// Inference on Node's native request and response: no web streams on the path (DESIGN D1).

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Context } from 'hono'
import { GatewayError } from '#core/errors.ts'
import type { ClientSink } from '#core/ports.ts'
import { CORS_HEADERS } from '#http/cors.ts'
import type { Peer } from '#pipeline/client-address.ts'
import type { BodyBounds, ClientApi, Deps } from '#pipeline/context.ts'
import { handle } from '#pipeline/handle.ts'
import { WaitingAnswer } from './half-closed.ts'
import { atTurnEnd } from './turn-end.ts'

/** For requests that reach Hono's handlers after all. */
export function nodeInference(
  deps: Deps,
): (context: Context<{ Bindings: HttpBindings }>, api: ClientApi) => Response {
  return (context, api) => {
    const { incoming, outgoing } = context.env
    serveInference(deps, incoming as IncomingMessage, outgoing as ServerResponse, api)
    return RESPONSE_ALREADY_SENT
  }
}

export function serveInference(
  deps: Deps,
  request: IncomingMessage,
  response: ServerResponse,
  api: ClientApi,
): void {
  void handle(deps, {
    api,
    header: (name) => headerOf(request, name),
    authorization: request.headers.authorization ?? null,
    peer: () => peerOf(request),
    readBody: (bounds, take) => readBody(request, response, bounds, take),
    sink: new NodeSink(request, response),
  })
}

function headerOf(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name]
  return value === undefined ? null : String(value)
}

export function peerOf(request: IncomingMessage): Peer {
  const forwarded = request.headers['x-forwarded-for']
  return {
    address: request.socket.remoteAddress ?? null,
    // Node joins several by itself; its types know that of few.
    forwardedFor: forwarded === undefined ? null : String(forwarded),
  }
}

class NodeSink implements ClientSink {
  onDrain: (() => void) | null = null
  onClose: (() => void) | null = null
  readonly #response: ServerResponse
  readonly #crossOrigin: boolean
  readonly #waiting: WaitingAnswer
  #waitsForDrain = false

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#response = response
    this.#crossOrigin = request.headers.origin !== undefined
    this.#waiting = new WaitingAnswer(request.socket, response)
    response.on('close', () => {
      this.#waiting.ends()
      if (!response.writableFinished) this.onClose?.()
    })
    // A socket error is followed by `close`, which ends the exchange.
    response.on('error', ignore)
  }

  head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#waiting.begins(headers['content-type'])
    this.#response.writeHead(status, this.#crossOrigin ? { ...headers, ...CORS_HEADERS } : headers)
  }

  write(chunk: Uint8Array | string): boolean {
    const isFree = this.#response.write(chunk)
    if (!isFree && !this.#waitsForDrain) {
      this.#waitsForDrain = true
      this.#response.once('drain', () => {
        this.#waitsForDrain = false
        this.onDrain?.()
      })
    }
    return isFree
  }

  end(chunk?: Uint8Array | string): void {
    this.#response.end(chunk)
  }

  destroy(): void {
    this.#response.destroy()
  }
}

function ignore(): void {
  // Nothing to do.
}

/** @throws GatewayError `request_too_large`, `unsupported_media_type`, `request_timeout`, and what `take` throws */
function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  bounds: BodyBounds,
  take: (bytes: number) => void,
): Promise<Uint8Array> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    const message = `content-encoding "${encoding}" is not supported; send the body uncompressed`
    return Promise.reject(new GatewayError('unsupported_media_type', message))
  }
  const declared = Number(request.headers['content-length'])
  if (declared > bounds.bodyBytesMax) return Promise.reject(tooLarge(response, bounds.bodyBytesMax))
  return new Promise((resolve, reject) => {
    const body = new ArrivingBody(request, response, bounds, take, resolve, reject)
    request.on('data', body.onData)
    request.on('end', body.onEnd)
    request.on('error', body.onError)
  })
}

/** One body on its way in. All of them are watched by one timer: most arrive in one piece, and need none. */
class ArrivingBody {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #bounds: BodyBounds
  readonly #take: (bytes: number) => void
  readonly #resolve: (bytes: Uint8Array) => void
  readonly #reject: (error: unknown) => void
  readonly #startedMs = performance.now()
  /** When it was last seen to have grown, and to what. */
  #grownMs = this.#startedMs
  #grownTo = 0
  #place = arriving.length
  #length = 0
  #first: Buffer | null = null
  #more: Buffer[] | null = null

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    bounds: BodyBounds,
    take: (bytes: number) => void,
    resolve: (bytes: Uint8Array) => void,
    reject: (error: unknown) => void,
  ) {
    this.#request = request
    this.#response = response
    this.#bounds = bounds
    this.#take = take
    this.#resolve = resolve
    this.#reject = reject
    arriving.push(this)
    watchBodies()
  }

  readonly onData = (chunk: Buffer): void => {
    this.#length += chunk.length
    const { bodyBytesMax } = this.#bounds
    if (this.#length > bodyBytesMax) return this.#refuse(tooLarge(this.#response, bodyBytesMax))
    try {
      this.#take(chunk.length)
    } catch (error) {
      return this.#refuse(error)
    }
    if (this.#first === null) this.#first = chunk
    else {
      this.#more ??= [this.#first]
      this.#more.push(chunk)
    }
  }

  readonly onEnd = (): void => {
    this.#leave()
    atTurnEnd('request', this.#onWhole)
  }

  readonly #onWhole = (): void => {
    this.#resolve(this.#more === null ? (this.#first ?? NO_BYTES) : Buffer.concat(this.#more, this.#length))
  }

  readonly onError = (cause: unknown): void => {
    this.#leave()
    this.#reject(new GatewayError('invalid_request', 'the request body did not arrive whole', { cause }))
  }

  check(nowMs: number): void {
    const { bodyIdleMs, bodyMsMax } = this.#bounds
    if (this.#length > this.#grownTo) {
      this.#grownTo = this.#length
      this.#grownMs = nowMs
    }
    if (nowMs - this.#grownMs > bodyIdleMs) this.#late(`stopped arriving for ${bodyIdleMs / 1000} s`)
    else if (nowMs - this.#startedMs > bodyMsMax)
      this.#late(`did not arrive whole within ${bodyMsMax / 1000} s`)
  }

  /** An array, the last taking the place of the one that leaves: a Set that turns over keeps the gone alive. */
  #leave(): void {
    const place = this.#place
    if (place < 0) return
    this.#place = -1
    const last = arriving.pop()
    if (last === undefined || last === this) return
    arriving[place] = last
    last.#place = place
  }

  #late(why: string): void {
    this.#refuse(new GatewayError('request_timeout', `the request body ${why}`))
  }

  #refuse(error: unknown): void {
    this.#leave()
    // Node reads the rest away once the answer is out: it must not come here again.
    this.#request.off('data', this.onData)
    this.#request.pause()
    this.#response.setHeader('connection', 'close')
    this.#reject(error)
  }
}

const NO_BYTES = new Uint8Array(0)
const WATCH_MS = 500
const arriving: ArrivingBody[] = []
let watch: NodeJS.Timeout | null = null

function watchBodies(): void {
  watch ??= setInterval(() => {
    const nowMs = performance.now()
    for (const body of arriving.slice()) body.check(nowMs)
    if (arriving.length > 0 || watch === null) return
    clearInterval(watch)
    watch = null
  }, WATCH_MS).unref()
}

/** The rest of the body is not read: the connection ends with the answer. */
function tooLarge(response: ServerResponse, bytesMax: number): GatewayError {
  response.setHeader('connection', 'close')
  return new GatewayError('request_too_large', `the request body is larger than ${bytesMax} bytes`)
}
