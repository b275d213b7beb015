// One answer on its way out: backpressure honoured, the caller's going away noticed, and the ways to end it badly.

import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

type Headers = Readonly<Record<string, string>>

const PIECE_BYTES = 64 * 1024
const RESET_DELAY_MS = 20

export class Transmission {
  /** Aborted when the caller goes away before the answer is complete. */
  readonly signal: AbortSignal
  readonly #response: ServerResponse

  constructor(response: ServerResponse) {
    const gone = new AbortController()
    this.signal = gone.signal
    this.#response = response
    response.on('error', () => gone.abort())
    response.on('close', () => {
      if (!response.writableFinished) gone.abort()
    })
  }

  get status(): number | null {
    return this.hasHead ? this.#response.statusCode : null
  }

  get hasHead(): boolean {
    return this.#response.headersSent
  }

  head(status: number, headers: Headers): void {
    this.#response.writeHead(status, headers)
    this.#response.flushHeaders()
  }

  /** Resolves when more may be written; false: the caller has gone. */
  async write(text: string): Promise<boolean> {
    if (this.signal.aborted) return false
    if (!this.#response.write(text)) await this.#drained()
    return !this.signal.aborted
  }

  /** A body of `bytes` repeated letters between two texts, never held whole. */
  async writeLong(before: string, bytes: number, after: string): Promise<void> {
    const piece = 'x'.repeat(PIECE_BYTES)
    await this.write(before)
    for (let sent = 0; sent < bytes; sent += PIECE_BYTES) {
      if (!(await this.write(piece.slice(0, bytes - sent)))) return
    }
    await this.write(after)
  }

  end(): void {
    if (!this.signal.aborted) this.#response.end()
  }

  whole(status: number, headers: Headers, body: string): void {
    if (this.signal.aborted) return
    if (!this.hasHead) {
      this.#response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(body)) })
    }
    this.#response.end(body)
  }

  /** The head and the first half of a body that is announced whole. */
  async half(status: number, headers: Headers, body: string): Promise<void> {
    if (!this.hasHead) this.head(status, { ...headers, 'content-length': String(Buffer.byteLength(body)) })
    await this.write(body.slice(0, Math.floor(body.length / 2)))
  }

  /** FIN in the middle of the body: no last chunk, bytes of an announced length missing. */
  cut(): void {
    this.#response.socket?.end()
  }

  /** RST, once what was written has left: a reset throws away what still waits. */
  async reset(): Promise<void> {
    if (await this.sleep(RESET_DELAY_MS)) this.#response.socket?.resetAndDestroy()
  }

  /** false: the caller went away meanwhile. */
  async sleep(ms: number): Promise<boolean> {
    if (ms > 0 && !this.signal.aborted)
      await delay(ms, undefined, { signal: this.signal }).catch(() => undefined)
    return !this.signal.aborted
  }

  /** Until the caller goes away. */
  async gone(): Promise<void> {
    if (this.signal.aborted) return
    await new Promise<void>((resolve) =>
      this.signal.addEventListener('abort', () => resolve(), { once: true }),
    )
  }

  async #drained(): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#response.off('drain', done)
        this.signal.removeEventListener('abort', done)
        resolve()
      }
      this.#response.on('drain', done)
      this.signal.addEventListener('abort', done)
    })
  }
}
