// All that the pipeline asks of the world. Runtimes give the real ones.

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall clock, epoch ms. */
  nowMs(): number
  /** Monotonic, ms with fractions; for durations only. */
  monotonicMs(): number
  after(delayMs: number, run: () => void): Timer
}

export interface Random {
  /** In [0, 1). */
  unit(): number
  /** A new request id, unique and unguessable enough for a URL. */
  requestId(): string
}

/** Response headers in lower case; several values of one name are joined as HTTP allows. */
export type Headers = Readonly<Record<string, string>>

export interface UpstreamRequest {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string | null
  /** Loopback and private addresses are refused at the socket unless this is set. */
  readonly allowPrivate: boolean
}

/** Faults below HTTP. `refused_address`: the address policy forbids the host. */
export type TransportFault = 'connect' | 'reset' | 'timeout' | 'refused_address' | 'protocol'

/** Calls come in order: onConnected?, onHead, onBytes*, then one of onEnd and onFault. */
export interface UpstreamHandler {
  /** The request is being written. */
  onConnected(): void
  onHead(status: number, headers: Headers): void
  /** All that came at once: what is done for each call is done once per read of the network. */
  onBytes(chunk: Uint8Array): void
  onEnd(): void
  onFault(fault: TransportFault, cause: unknown): void
}

export interface UpstreamCall {
  pause(): void
  resume(): void
  /** Stops the call; nothing is called after it. */
  abort(): void
}

/** Push-based on purpose: a fetch() on the path costs four fifths of the throughput (DESIGN D1). */
export interface Upstream {
  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall
}

/** Where the answer goes. One per request; written by the pipeline only. */
export interface ClientSink {
  head(status: number, headers: Readonly<Record<string, string>>): void
  /** False: the client reads slowly; wait for `onDrain`. */
  write(chunk: Uint8Array | string): boolean
  end(chunk?: Uint8Array | string): void
  /** Breaks the connection where an error cannot be said any more. */
  destroy(): void
  onDrain: (() => void) | null
  /** The client has gone before the end. */
  onClose: (() => void) | null
}
