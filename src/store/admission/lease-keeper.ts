// All lines of one instance: their turns, and a word now and then where there is nothing else to say, so that the fleet
// knows who is there and how far its rows are told.

import type { Clock, Timer } from '#core/ports.ts'
import { LeaseLine } from './lease-line.ts'
import type { LineOptions } from './line-words.ts'

const TURN_MS = 200
/** Each line says something as often; who is not heard for half a minute is not counted. */
const WORD_MS = 10_000

export type KeeperOptions = Omit<LineOptions, 'tag'> & {
  readonly clock: Clock
}

export class LeaseKeeper {
  readonly #options: KeeperOptions
  readonly #lines = new Map<string, LeaseLine>()
  /** Lines that are still to say a word in this round. */
  #round: LeaseLine[] = []
  #roundEndsMs = 0
  #timer: Timer | null = null

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  get lines(): Iterable<LeaseLine> {
    return this.#lines.values()
  }

  lineOf(tag: string): LeaseLine {
    let line = this.#lines.get(tag)
    if (line === undefined) {
      line = new LeaseLine({ ...this.#options, tag })
      this.#lines.set(tag, line)
    }
    return line
  }

  start(): void {
    this.#timer = this.#options.clock.after(TURN_MS, () => {
      for (const line of this.#lines.values()) line.turn()
      this.#sayWords()
      this.start()
    })
  }

  /** Forgets lines of tags that have no scopes any more. */
  keep(tags: ReadonlySet<string>): void {
    for (const [tag, line] of this.#lines) {
      if (tags.has(tag) || line.isActive) continue
      this.#lines.delete(tag)
      void line.leave(TURN_MS)
    }
  }

  /** All that was lent goes back. */
  async close(timeoutMs: number): Promise<void> {
    this.#timer?.cancel()
    await Promise.all(Array.from(this.#lines.values(), (line) => line.leave(timeoutMs)))
  }

  /** A few lines at each turn, so that a thousand tenants do not speak at once. */
  #sayWords(): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (this.#round.length === 0) {
      if (nowMs < this.#roundEndsMs) return
      this.#round = [...this.#lines.values()]
      this.#roundEndsMs = nowMs + WORD_MS
    }
    const turnsLeft = Math.max(1, Math.floor((this.#roundEndsMs - nowMs) / TURN_MS / 2))
    const few = this.#round.splice(0, Math.ceil(this.#round.length / turnsLeft))
    for (const line of few) void line.say()
  }
}
