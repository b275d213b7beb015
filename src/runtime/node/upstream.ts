// The upstream port over undici's dispatch. Deadlines are the pipeline's; undici's own are off.

import { lookup as dnsLookup } from 'node:dns'
import { isIP } from 'node:net'
import { Agent, type Dispatcher, errors } from 'undici'
import type {
  Headers,
  TransportFault,
  Upstream,
  UpstreamCall,
  UpstreamHandler,
  UpstreamRequest,
} from '#core/ports.ts'
import { isPrivateAddress } from './addresses.ts'
import { Turn } from './turn.ts'
import { atTurnEnd } from './turn-end.ts'

/** A connect that takes longer is dead; a policy's own deadline is usually shorter. */
const CONNECT_TIMEOUT_MS = 30_000
/** An upstream that closes idle connections sooner says so in its `keep-alive` header. */
const KEEP_ALIVE_MS = 15_000
const HEADER_BYTES_MAX = 64 * 1024

export interface NodeUpstream extends Upstream {
  close(): Promise<void>
}

export function createNodeUpstream(): NodeUpstream {
  const common: Agent.Options = {
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
    pipelining: 1,
  }
  const open = new Agent({ ...common, connect: { timeout: CONNECT_TIMEOUT_MS } })
  const guarded = new Agent({ ...common, connect: { timeout: CONNECT_TIMEOUT_MS, lookup: publicLookup } })
  return {
    send(request, handler) {
      if (!request.allowPrivate && isPrivateLiteral(request.url)) return refuse(handler)
      return send(request.allowPrivate ? open : guarded, request, handler)
    },
    async close() {
      await Promise.all([open.destroy(), guarded.destroy()])
    },
  }
}

function send(agent: Agent, request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
  const call = new AgentCall(handler)
  const { origin, path } = placeOf(request.url)
  agent.dispatch(
    {
      origin,
      path,
      method: request.method,
      headers: request.headers as Record<string, string>,
      body: request.body,
    },
    call,
  )
  return call
}

interface Place {
  readonly origin: string
  readonly path: string
}

/** Addresses are made once for each target and not changed; their parts are put together at each reading. */
const places = new WeakMap<URL, Place>()

function placeOf(url: URL): Place {
  let place = places.get(url)
  if (place === undefined) {
    place = { origin: url.origin, path: url.pathname + url.search }
    places.set(url, place)
  }
  return place
}

/** undici's handler and the pipeline's call in one. */
class AgentCall implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #handler: UpstreamHandler
  #controller: Dispatcher.DispatchController | null = null
  #aborted = false
  readonly #turn = new Turn(
    (bytes) => {
      if (!this.#aborted) this.#handler.onBytes(bytes)
    },
    (cause) => this.#handler.onFault('reset', cause),
  )

  constructor(handler: UpstreamHandler) {
    this.#handler = handler
  }

  pause(): void {
    this.#controller?.pause()
  }

  resume(): void {
    this.#controller?.resume()
  }

  abort(): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#controller?.abort(new Error('given up'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // A call that was given up while it was still connecting must not be written.
    if (this.#aborted) controller.abort(new Error('given up'))
    else this.#handler.onConnected()
  }

  onResponseStart(_controller: unknown, status: number, headers: IncomingHeaders): void {
    // 1xx answers are no heads.
    if (!this.#aborted && status >= 200) this.#handler.onHead(status, flatten(headers))
  }

  onResponseData(_controller: unknown, chunk: Uint8Array): void {
    if (!this.#aborted) this.#turn.push(chunk)
  }

  onResponseEnd(): void {
    atTurnEnd('answer', () => this.#end())
  }

  #end(): void {
    this.#turn.flush()
    try {
      if (!this.#aborted) this.#handler.onEnd()
    } catch (error) {
      this.#handler.onFault('reset', error)
    }
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#turn.flush()
    if (!this.#aborted) this.#handler.onFault(faultOf(error), error)
  }
}

type IncomingHeaders = Readonly<Record<string, string | string[] | undefined>>

function flatten(headers: IncomingHeaders): Headers {
  const flat: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return flat
}

function refuse(handler: UpstreamHandler): UpstreamCall {
  let aborted = false
  queueMicrotask(() => {
    if (!aborted) handler.onFault('refused_address', new Error('private addresses need allow_private'))
  })
  return {
    pause() {},
    resume() {},
    abort() {
      aborted = true
    },
  }
}

function isPrivateLiteral(url: URL): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return isIP(host) !== 0 && isPrivateAddress(host)
}

class RefusedAddressError extends Error {
  readonly code = 'SLUICE_REFUSED_ADDRESS'
}

/** Refuses names that resolve to private addresses, at the socket, so that no redirect or rebinding goes round it. */
const publicLookup: typeof dnsLookup = ((hostname: string, options: object, callback: LookupCallback) => {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, [])
    const bad = addresses.find(({ address }) => isPrivateAddress(address))
    if (bad !== undefined)
      return callback(new RefusedAddressError('the name resolves to a private address'), [])
    if ((options as { all?: boolean }).all === true) callback(null, addresses)
    else callback(null, addresses[0]?.address ?? '', addresses[0]?.family)
  })
}) as typeof dnsLookup

type LookupCallback = (error: Error | null, address: unknown, family?: number) => void

const FAULTS: Readonly<Record<string, TransportFault>> = {
  SLUICE_REFUSED_ADDRESS: 'refused_address',
  UND_ERR_CONNECT_TIMEOUT: 'connect',
  ECONNREFUSED: 'connect',
  ENOTFOUND: 'connect',
  EAI_AGAIN: 'connect',
  EHOSTUNREACH: 'connect',
  ENETUNREACH: 'connect',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  ETIMEDOUT: 'timeout',
  UND_ERR_HEADERS_OVERFLOW: 'protocol',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'reset',
}

function faultOf(error: Error): TransportFault {
  // Its code is undefined for some of what the parser finds (undici 8.12.4).
  if (error instanceof errors.HTTPParserError) return 'protocol'
  const code = (error as { code?: unknown }).code
  return (typeof code === 'string' ? FAULTS[code] : undefined) ?? 'reset'
}
