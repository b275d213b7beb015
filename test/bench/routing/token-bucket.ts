// A vendor's rate limit: what is taken flows back at a steady rate, up to a burst.

export class TokenBucket {
  readonly burst: number
  readonly #perMs: number
  #level: number
  #at: number

  constructor(perMinute: number, burstSeconds: number, at: number) {
    this.burst = (perMinute / 60) * burstSeconds
    this.#perMs = perMinute / 60_000
    this.#level = this.burst
    this.#at = at
  }

  has(amount: number, at: number): boolean {
    return this.#levelAt(at) >= amount
  }

  /** May go below nothing: what an answer turned out to need is owed. */
  take(amount: number, at: number): void {
    this.#level = this.#levelAt(at) - amount
    this.#at = at
  }

  /** Until `has(amount)`: Infinity when it never will. */
  waitMs(amount: number, at: number): number {
    if (amount > this.burst) return Number.POSITIVE_INFINITY
    return Math.max(0, (amount - this.#levelAt(at)) / this.#perMs)
  }

  #levelAt(at: number): number {
    return Math.min(this.burst, this.#level + (at - this.#at) * this.#perMs)
  }
}
