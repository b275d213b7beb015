// Clients that have ended their side of the connection. One that half-closes still waits for its answer, one that closes
// does not, and both say the same: FIN. What is written to the second comes back as a reset, and the next write breaks the
// connection; so where the answer itself does not write soon, a little is written that no answer is made of.

import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { PING_INTERVAL_MS } from '#core/limits.ts'

/** Pauses before each probe. Answers that are there soon are preceded by nothing; it takes two to tell who has gone. */
const PROBES_MS = [250, 50, 500, 1_000, 2_000, 4_000, 8_000]

/** The answers that a connection's client has asked for and not had yet: several where it pipelines. */
const waiting = new WeakMap<Socket, Set<WaitingAnswer>>()

export function keepHalfClosed(server: Server): void {
  // Without it Node ends its side as soon as the client ends its own. Of a body that is not whole by then it makes an error.
  ;(server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true
  server.on('connection', (socket) => {
    const answers = new Set<WaitingAnswer>()
    waiting.set(socket, answers)
    socket.once('end', () => {
      for (const answer of answers) answer.clientEnded()
    })
  })
}

/** One answer on its way to a client that may end its side meanwhile. */
export class WaitingAnswer {
  readonly #response: ServerResponse
  readonly #answers: Set<WaitingAnswer> | undefined
  #probes = 0
  #timer: NodeJS.Timeout | null = null
  #isStream = false

  constructor(socket: Socket, response: ServerResponse) {
    this.#response = response
    this.#answers = waiting.get(socket)
    this.#answers?.add(this)
    if (socket.readableEnded) this.clientEnded()
  }

  /** Its head goes out. */
  begins(contentType: string | undefined): void {
    this.#isStream = contentType?.startsWith('text/event-stream') === true
  }

  /** It is over, or its connection is. */
  ends(): void {
    this.#answers?.delete(this)
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  /** The client has ended its side: from time to time it is asked whether it is there. */
  clientEnded(): void {
    const pauseMs = PROBES_MS[this.#probes++] ?? PING_INTERVAL_MS
    this.#timer = setTimeout(() => {
      this.#probe()
      this.clientEnded()
    }, pauseMs).unref()
  }

  #probe(): void {
    const response = this.#response
    // Behind another one on its connection it cannot be written yet, and what has not left says enough by itself.
    if (response.socket === null || response.writableEnded || response.writableNeedDrain) return
    if (this.#isStream) response.write(PING)
    // RFC 9110, 15.2: any client of HTTP/1.1 must read over it, one of HTTP/1.0 must not be sent it.
    else if (!response.headersSent && response.req.httpVersion === '1.1') response.writeContinue()
  }
}

/** A comment, between two events. */
const PING = ': ping\n\n'
