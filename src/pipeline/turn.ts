// The chunks of a stream that one turn of the event loop brings, joined to one. A read of the network may
// bring dozens, each in a call of its own; what is done once per chunk is then done once per read.

import { concatBytes } from '#wire/bytes.ts'

/**
 * Waiting for the turn's end costs the client no time: Node writes its socket only behind that. What waits is
 * bounded by what the runtime reads at once.
 */
export class Turn {
  readonly #take: (bytes: Uint8Array) => void
  readonly #onThrown: (cause: unknown) => void
  readonly #end = (): void => this.flush()
  #chunks: Uint8Array[] = []

  /** `onThrown`: above a microtask nobody catches, and one bad stream must not end the others. */
  constructor(take: (bytes: Uint8Array) => void, onThrown: (cause: unknown) => void) {
    this.#take = take
    this.#onThrown = onThrown
  }

  push(chunk: Uint8Array): void {
    if (this.#chunks.push(chunk) === 1) queueMicrotask(this.#end)
  }

  /** Hands on what is there, before the turn's end where something else must come behind it. */
  flush(): void {
    const chunks = this.#chunks
    if (chunks.length === 0) return
    this.#chunks = []
    try {
      this.#take(concatBytes(chunks))
    } catch (cause) {
      this.#onThrown(cause)
    }
  }
}
