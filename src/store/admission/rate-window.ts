// Requests or tokens of the last 60 seconds. No window of 60 seconds ever holds more than was admitted here: what is
// forgotten is at least that old.

/** The clocks of two ends differ a little; without this a window measured elsewhere could hold one more. */
const MARGIN_MS = 250
const WINDOW_MS = 60_000 + MARGIN_MS
/** Entries are gathered in buckets of this width; a bucket leaves when its youngest entry may. */
const BUCKET_MS = 100
/** Forgotten buckets are cut off when they are so many. */
const COMPACT_AT = 256

export class RateWindow {
  #starts: number[] = []
  #amounts: number[] = []
  #head = 0
  #used = 0
  #lastMs = Number.NEGATIVE_INFINITY

  /** Sum of the window. A clock that steps back makes no room. */
  used(nowMs: number): number {
    this.#forget(this.#steady(nowMs))
    return this.#used
  }

  /** Returns the bucket, for `correct`. */
  add(amount: number, nowMs: number): number {
    const atMs = this.#steady(nowMs)
    this.#forget(atMs)
    const bucket = Math.floor(atMs / BUCKET_MS) * BUCKET_MS
    const last = this.#starts.length - 1
    if (last >= this.#head && this.#starts[last] === bucket)
      this.#amounts[last] = (this.#amounts[last] ?? 0) + amount
    else {
      this.#starts.push(bucket)
      this.#amounts.push(amount)
    }
    this.#used += amount
    return bucket
  }

  /** Changes what was added to a bucket; without effect once the bucket has left. */
  correct(bucket: number, difference: number): void {
    const index = this.#find(bucket)
    if (index === -1) return
    this.#amounts[index] = (this.#amounts[index] ?? 0) + difference
    this.#used += difference
  }

  /** Milliseconds until `amount` fits under `limit`; null: it never does. */
  waitMs(amount: number, limit: number, nowMs: number): number | null {
    if (amount > limit) return null
    const atMs = this.#steady(nowMs)
    this.#forget(atMs)
    let used = this.#used
    for (let index = this.#head; used + amount > limit && index < this.#starts.length; index++) {
      used -= this.#amounts[index] ?? 0
      if (used + amount <= limit) return this.#leavesAtMs(index) - atMs
    }
    return 0
  }

  /** Milliseconds until the window is empty. */
  emptyMs(nowMs: number): number {
    const atMs = this.#steady(nowMs)
    this.#forget(atMs)
    const last = this.#starts.length - 1
    return last < this.#head ? 0 : this.#leavesAtMs(last) - atMs
  }

  #leavesAtMs(index: number): number {
    return (this.#starts[index] ?? 0) + BUCKET_MS + WINDOW_MS
  }

  #steady(nowMs: number): number {
    this.#lastMs = Math.max(this.#lastMs, nowMs)
    return this.#lastMs
  }

  #forget(nowMs: number): void {
    while (this.#head < this.#starts.length && this.#leavesAtMs(this.#head) <= nowMs) {
      this.#used -= this.#amounts[this.#head] ?? 0
      this.#head++
    }
    if (this.#head < COMPACT_AT) return
    this.#starts = this.#starts.slice(this.#head)
    this.#amounts = this.#amounts.slice(this.#head)
    this.#head = 0
  }

  /** Buckets are in order. */
  #find(bucket: number): number {
    let low = this.#head
    let high = this.#starts.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const start = this.#starts[middle] ?? 0
      if (start === bucket) return middle
      if (start < bucket) low = middle + 1
      else high = middle - 1
    }
    return -1
  }
}
