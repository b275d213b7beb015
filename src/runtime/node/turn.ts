// The chunks of a stream that one turn of the event loop brings, joined to one. A read of the network may
// bring dozens, each in a call of its own; what is done once per chunk is then done once per read.

import { concatBytes } from '#wire/bytes.ts'
import { atTurnEnd } from './turn-end.ts'

/** A reader that falls far behind is handed what there is: one turn may bring megabytes. */
const WAITING_BYTES_MAX = 64 * 1024

/** Waiting for the turn's end costs the client no time: what is written to it then leaves at once. */
export class Turn {
  readonly #take: (bytes: Uint8Array) => void
  readonly #onThrown: (cause: unknown) => void
  readonly #end = (): void => this.flush()
  #chunks: Uint8Array[] = []
  #bytes = 0

  /** `onThrown`: at the turn's end nobody catches, and one bad stream must not end the others. */
  constructor(take: (bytes: Uint8Array) => void, onThrown: (cause: unknown) => void) {
    this.#take = take
    this.#onThrown = onThrown
  }

  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length
    const isFirst = this.#chunks.push(chunk) === 1
    if (this.#bytes > WAITING_BYTES_MAX) this.flush()
    else if (isFirst) atTurnEnd('answer', this.#end)
  }

  /** Hands on what is there, before the turn's end where something else must come behind it. */
  flush(): void {
    const chunks = this.#chunks
    if (chunks.length === 0) return
    this.#chunks = []
    this.#bytes = 0
    try {
      this.#take(concatBytes(chunks))
    } catch (cause) {
      this.#onThrown(cause)
    }
  }
}
