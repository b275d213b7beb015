// Running requests by id. A `Map` whose entries come and go is rebuilt again and again; each of its old tables points to
// the next and still holds what ran then. Once one of them is old, the collector keeps all later ones until its next full
// run: without the emptied slots a third of all requests would be moved to old space after their end (measured on Node 24).

import type { LiveRequest } from './live-request.ts'

interface Slot {
  request: LiveRequest | null
}

export class RunningRequests {
  readonly #slots = new Map<string, Slot>()

  get(id: string): LiveRequest | null {
    return this.#slots.get(id)?.request ?? null
  }

  set(id: string, request: LiveRequest): void {
    this.#slots.set(id, { request })
  }

  delete(id: string): void {
    const slot = this.#slots.get(id)
    if (slot === undefined) return
    slot.request = null
    this.#slots.delete(id)
  }

  *values(): Iterable<LiveRequest> {
    for (const { request } of this.#slots.values()) if (request !== null) yield request
  }
}
