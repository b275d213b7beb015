// The last observations of something, as many and as old as allowed.

/** Fewer say nothing of a quantile. */
const QUANTILE_SAMPLES_MIN = 5

export class MovingWindow {
  readonly #sizeMax: number
  readonly #ageMsMax: number
  #values: number[] = []
  #instants: number[] = []

  constructor(sizeMax: number, ageMsMax: number) {
    this.#sizeMax = sizeMax
    this.#ageMsMax = ageMsMax
  }

  add(value: number, at: number): void {
    this.#values.push(value)
    this.#instants.push(at)
    if (this.#values.length > this.#sizeMax) {
      this.#values.shift()
      this.#instants.shift()
    }
  }

  /** undefined when empty. */
  mean(at: number): number | undefined {
    this.#forget(at)
    if (this.#values.length === 0) return undefined
    return this.#values.reduce((sum, value) => sum + value, 0) / this.#values.length
  }

  /** undefined with too few. */
  quantile(share: number, at: number): number | undefined {
    this.#forget(at)
    if (this.#values.length < QUANTILE_SAMPLES_MIN) return undefined
    const sorted = [...this.#values].sort((left, right) => left - right)
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
  }

  #forget(at: number): void {
    let old = 0
    while (old < this.#instants.length && at - (this.#instants[old] ?? 0) > this.#ageMsMax) old += 1
    if (old === 0) return
    this.#values = this.#values.slice(old)
    this.#instants = this.#instants.slice(old)
  }
}
