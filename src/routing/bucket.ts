// A mirror of one upstream rate limit, requests or tokens: a bucket that fills at the declared rate. How much it
// holds nobody declares; that, and limits that are not declared at all, are learnt from refusals.

const MINUTE_MS = 60_000
/** Where a limit is declared: the burst that vendors let pass is somewhere between a second and a minute. */
const BURST_MS = 10_000
const BURST_MS_MIN = 1_000
/** A refusal takes this much off what is believed, and time gives it back. */
const SHRINK = 0.75
const GROWTH_PER_MS = Math.log(2) / (8 * MINUTE_MS)
/** Over this time the own rate is measured, to make a limit of it where none is declared. */
const MEASURED_MS = 20_000

export class Bucket {
  /** Per millisecond; Infinity: no limit is known. */
  #rate: number
  readonly #declared: number
  #capacity: number
  #level: number
  #atMs = Number.NaN
  /** Own recent rate, decaying. */
  #recent = 0
  /** The largest single amount that has passed; the bucket holds at least that. */
  #largest = 0

  constructor(perMinute: number | null) {
    this.#declared = perMinute === null ? Number.POSITIVE_INFINITY : perMinute / MINUTE_MS
    this.#rate = this.#declared
    this.#capacity = this.#rate * BURST_MS
    this.#level = this.#capacity
  }

  /** Milliseconds until so much is free; Infinity: more than it holds. */
  waitMs(amount: number, nowMs: number): number {
    if (this.#rate === Number.POSITIVE_INFINITY) return 0
    this.#refill(nowMs)
    if (amount <= this.#level) return 0
    return amount <= this.#capacity ? (amount - this.#level) / this.#rate : Number.POSITIVE_INFINITY
  }

  /** What it can hold at most. */
  get capacity(): number {
    return this.#capacity
  }

  take(amount: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#recent += amount
    if (this.#rate !== Number.POSITIVE_INFINITY) this.#level -= amount
  }

  /** What was taken and not used; negative: used beyond what was taken. */
  giveBack(amount: number): void {
    this.#recent = Math.max(0, this.#recent - amount)
    if (this.#rate !== Number.POSITIVE_INFINITY) this.#level = Math.min(this.#capacity, this.#level + amount)
  }

  passed(amount: number): void {
    if (amount > this.#largest) this.#largest = amount
  }

  /** Share of it that is used, before a request that was refused. */
  usedShare(nowMs: number): number {
    this.#refill(nowMs)
    return this.#rate === Number.POSITIVE_INFINITY ? 0 : 1 - this.#level / this.#capacity
  }

  /** An upstream refused `amount` for this limit. */
  refused(amount: number, nowMs: number): void {
    this.#refill(nowMs)
    if (this.#rate === Number.POSITIVE_INFINITY) {
      const measured = this.#recent / MEASURED_MS
      if (measured <= 0) return
      this.#rate = measured
      this.#capacity = measured * BURST_MS
      this.#level = 0
      return
    }
    // Less was free than believed, and less than was asked for.
    const wasFree = this.#level + amount
    const shrunk = Math.min(this.#capacity * SHRINK, Math.max(this.#capacity - wasFree, this.#capacity * 0.5))
    const floor = Math.max(this.#rate * BURST_MS_MIN, Math.min(this.#largest, this.#capacity * 0.9))
    this.#capacity = Math.max(Math.min(this.#capacity, floor), shrunk)
    this.#level = Math.min(this.#level, 0)
  }

  #refill(nowMs: number): void {
    if (Number.isNaN(this.#atMs)) this.#atMs = nowMs
    const elapsedMs = nowMs - this.#atMs
    if (elapsedMs <= 0) return
    this.#atMs = nowMs
    this.#recent *= Math.exp(-elapsedMs / MEASURED_MS)
    if (this.#rate === Number.POSITIVE_INFINITY) return
    const grown = Math.exp(GROWTH_PER_MS * elapsedMs)
    // A learnt rate grows until it is refused again; a declared one stands.
    if (this.#declared === Number.POSITIVE_INFINITY) this.#rate *= grown
    this.#capacity = Math.min(this.#capacity * grown, Math.max(this.#rate * MINUTE_MS, this.#capacity))
    this.#largest *= Math.exp((-elapsedMs * GROWTH_PER_MS) / 2)
    this.#level = Math.min(this.#capacity, this.#level + this.#rate * elapsedMs)
  }
}
