// A mirror of one upstream rate limit, requests or tokens: a bucket that drains at the declared rate. How much it
// holds nobody declares; that, and limits that are not declared at all, are learnt from what passes and what does not.

import { wasSetBack } from './clock.ts'

const MINUTE_MS = 60_000
/** Where a limit is declared: the burst that vendors let pass is somewhere between a second and a minute. */
const BURST_MS = 10_000
const BURST_MS_MIN = 1_000
/** What is believed to fit grows until it is refused; what has been seen to pass is forgotten. */
const GROWTH_PER_MS = Math.log(2) / (60 * MINUTE_MS)
const FORGOTTEN_PER_MS = Math.log(2) / (20 * MINUTE_MS)
/** Over this time the own rate is measured, to make a limit of it where none is declared. */
const MEASURED_MS = 20_000
/** A refusal below what has passed before is no word on the limit. */
const PROVEN_SHARE = 0.97
/** Nor is one of a bucket that is nearly empty. */
const LIKELY_SHARE = 0.15
/** A refusal that the limit does not explain casts doubt on those of this time before. */
const DOUBT_MS = 120_000

export class Bucket {
  /** Per millisecond; Infinity: no limit is known. */
  #rate: number
  readonly #isDeclared: boolean
  #capacity: number
  #used = 0
  #atMs = Number.NaN
  /** The fullest it has been with a request let through. */
  #proven = 0
  #capacityBefore = 0
  #shrunkAtMs = Number.NEGATIVE_INFINITY
  /** Own recent amount, decaying over MEASURED_MS. */
  #recent = 0

  constructor(perMinute: number | null) {
    this.#isDeclared = perMinute !== null
    this.#rate = perMinute === null ? Number.POSITIVE_INFINITY : perMinute / MINUTE_MS
    // Whatever the rate, one request at a time passes.
    this.#capacity = Math.max(1, this.#rate * BURST_MS)
  }

  get isLimited(): boolean {
    return this.#rate !== Number.POSITIVE_INFINITY
  }

  /** Milliseconds until so much more fits; Infinity: more than it holds. */
  waitMs(amount: number, nowMs: number): number {
    if (!this.isLimited) return 0
    this.#drain(nowMs)
    if (this.#used + amount <= this.#capacity) return 0
    if (amount > this.#capacity) return Number.POSITIVE_INFINITY
    return (this.#used + amount - this.#capacity) / this.#rate
  }

  /** What was taken of late. */
  recent(nowMs: number): number {
    this.#drain(nowMs)
    return this.#recent
  }

  /** Share of the bucket that so much alone would fill. */
  shareOf(amount: number): number {
    return this.isLimited ? amount / this.#capacity : 0
  }

  /** Minutes of the rate that so much takes. */
  minutesOf(amount: number): number {
    return amount / (this.#rate * MINUTE_MS)
  }

  /** Returns how full it is then, for `passed`. */
  take(amount: number, nowMs: number): number {
    this.#drain(nowMs)
    this.#used += amount
    this.#recent += amount
    return this.#used
  }

  giveBack(amount: number): void {
    this.#used = Math.max(0, this.#used - amount)
    this.#recent = Math.max(0, this.#recent - amount)
  }

  /** What was sent when it was so full was let through. */
  passed(fullness: number): void {
    if (fullness <= this.#proven) return
    this.#proven = fullness
    if (fullness > this.#capacity) this.#capacity = fullness
  }

  /** How far beyond what has been let through `amount` more would go, as a share of it; 0: not at all. */
  excess(amount: number, nowMs: number): number {
    this.#drain(nowMs)
    const fullness = this.#used + amount
    if (fullness <= this.#proven * PROVEN_SHARE) return 0
    if (this.isLimited && fullness <= this.#capacity * LIKELY_SHARE) return 0
    return this.isLimited ? fullness / this.#capacity : Number.MIN_VALUE
  }

  /** So much more was refused, and this limit is to blame. */
  refused(amount: number, nowMs: number): void {
    this.#drain(nowMs)
    if (!this.isLimited) {
      const measured = this.#recent / MEASURED_MS
      if (measured <= 0) return
      this.#rate = measured
      this.#capacity = Math.max(measured * BURST_MS, this.#proven)
      this.#used = this.#capacity
      return
    }
    if (nowMs - this.#shrunkAtMs > DOUBT_MS) this.#capacityBefore = this.#capacity
    this.#shrunkAtMs = nowMs
    const holdsLessThan = this.#used + amount
    const least = Math.max(this.#proven, this.#rate * BURST_MS_MIN)
    this.#capacity = Math.max(least, Math.min(this.#capacity, holdsLessThan) * PROVEN_SHARE)
    // It is full enough for a request of this size to be refused.
    this.#used = Math.max(this.#used, this.#capacity - amount * PROVEN_SHARE)
  }

  /** Something else refuses: what refusals had taught of late was no word on the limit. */
  doubt(nowMs: number): void {
    this.#drain(nowMs)
    if (nowMs - this.#shrunkAtMs > DOUBT_MS) return
    this.#capacity = Math.max(this.#capacity, this.#capacityBefore)
    this.#shrunkAtMs = Number.NEGATIVE_INFINITY
  }

  #drain(nowMs: number): void {
    if (Number.isNaN(this.#atMs)) this.#atMs = nowMs
    if (wasSetBack(this.#atMs, nowMs)) this.#atMs = nowMs
    const elapsedMs = nowMs - this.#atMs
    if (elapsedMs <= 0) return
    this.#atMs = nowMs
    this.#recent *= Math.exp(-elapsedMs / MEASURED_MS)
    this.#proven *= Math.exp(-FORGOTTEN_PER_MS * elapsedMs)
    if (!this.isLimited) {
      this.#used *= Math.exp(-elapsedMs / BURST_MS)
      return
    }
    const grown = Math.exp(GROWTH_PER_MS * elapsedMs)
    // A learnt rate grows until it is refused again; a declared one stands.
    if (!this.#isDeclared) this.#rate *= grown
    this.#capacity = Math.min(this.#capacity * grown, Math.max(this.#rate * MINUTE_MS, this.#capacity))
    this.#used = Math.max(0, this.#used - this.#rate * elapsedMs)
  }
}
