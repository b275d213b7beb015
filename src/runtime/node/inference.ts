// Inference on Node's native request and response: no web streams on the path (DESIGN D1).

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Context } from 'hono'
import { GatewayError } from '#core/errors.ts'
import { REQUEST_BODY_MS_MAX } from '#core/limits.ts'
import type { ClientSink } from '#core/ports.ts'
import { CORS_HEADERS } from '#http/cors.ts'
import type { ClientApi, Deps } from '#pipeline/context.ts'
import { handle } from '#pipeline/handle.ts'

/** A body that stops arriving is given up. */
const BODY_IDLE_MS = 60_000

export function nodeInference(
  deps: Deps,
): (context: Context<{ Bindings: HttpBindings }>, api: ClientApi) => Response {
  return (context, api) => {
    const { incoming, outgoing } = context.env
    const request = incoming as IncomingMessage
    const response = outgoing as ServerResponse
    void handle(deps, {
      api,
      authorization: request.headers.authorization ?? null,
      readBody: (bytesMax, take) => readBody(request, response, bytesMax, take),
      sink: new NodeSink(request, response),
    })
    return RESPONSE_ALREADY_SENT
  }
}

class NodeSink implements ClientSink {
  onDrain: (() => void) | null = null
  onClose: (() => void) | null = null
  readonly #response: ServerResponse
  readonly #crossOrigin: boolean

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#response = response
    this.#crossOrigin = request.headers.origin !== undefined
    response.on('drain', () => this.onDrain?.())
    response.on('close', () => {
      if (!response.writableFinished) this.onClose?.()
    })
    // A socket error is followed by `close`, which ends the exchange.
    response.on('error', () => undefined)
  }

  head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(status, this.#crossOrigin ? { ...headers, ...CORS_HEADERS } : headers)
  }

  write(chunk: Uint8Array | string): boolean {
    return this.#response.write(chunk)
  }

  end(chunk?: Uint8Array | string): void {
    this.#response.end(chunk)
  }

  destroy(): void {
    this.#response.destroy()
  }
}

/** @throws GatewayError `request_too_large`, `unsupported_media_type`, `request_timeout`, and what `take` throws */
function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax: number,
  take: (bytes: number) => void,
): Promise<Uint8Array> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    const message = `content-encoding "${encoding}" is not supported; send the body uncompressed`
    return Promise.reject(new GatewayError('unsupported_media_type', message))
  }
  const declared = Number(request.headers['content-length'])
  if (declared > bytesMax) return Promise.reject(tooLarge(response, bytesMax))
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let length = 0
    const startedMs = performance.now()
    const idle = setTimeout(() => late(`stopped arriving for ${BODY_IDLE_MS / 1000} s`), BODY_IDLE_MS)
    const settle = (run: () => void): void => {
      clearTimeout(idle)
      run()
    }
    const refuse = (error: unknown): void => {
      // Node reads the rest away once the answer is out: it must not come here again.
      request.off('data', onData)
      request.pause()
      response.setHeader('connection', 'close')
      settle(() => reject(error))
    }
    const late = (why: string): void => refuse(new GatewayError('request_timeout', `the request body ${why}`))
    const onData = (chunk: Buffer): void => {
      length += chunk.length
      if (length > bytesMax) return refuse(tooLarge(response, bytesMax))
      try {
        take(chunk.length)
      } catch (error) {
        return refuse(error)
      }
      if (parts.length > 0) {
        if (performance.now() - startedMs > REQUEST_BODY_MS_MAX) return late('did not arrive in time')
        idle.refresh()
      }
      parts.push(chunk)
    }
    request.on('data', onData)
    request.on('end', () => {
      const only = parts[0]
      settle(() => resolve(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, length)))
    })
    request.on('error', (cause) => {
      const error = new GatewayError('invalid_request', 'the request body did not arrive whole', { cause })
      settle(() => reject(error))
    })
  })
}

/** The rest of the body is not read: the connection ends with the answer. */
function tooLarge(response: ServerResponse, bytesMax: number): GatewayError {
  response.setHeader('connection', 'close')
  return new GatewayError('request_too_large', `the request body is larger than ${bytesMax} bytes`)
}
