// Observed time to first token of one target: a window of recent samples and its 90th percentile.

import { TTFT_SAMPLE_AGE_MS_MAX, TTFT_SAMPLES_MAX } from '#core/limits.ts'

/** The percentile is computed at most this often: it moves slowly, and plans are made thousands of times a second. */
const P90_AGE_MS_MAX = 100

const NO_SAMPLES = new Float64Array(0)

export class LatencyWindow {
  /** Made for the first sample: most targets that clients invent have none. */
  #ttftMs = NO_SAMPLES
  #atMs = NO_SAMPLES
  #next = 0
  #count = 0
  #p90Ms: number | null = null
  #fresh = 0
  #computedAtMs = Number.NEGATIVE_INFINITY

  add(ttftMs: number, nowMs: number): void {
    if (this.#count === 0) {
      this.#ttftMs = new Float64Array(TTFT_SAMPLES_MAX)
      this.#atMs = new Float64Array(TTFT_SAMPLES_MAX)
    }
    this.#ttftMs[this.#next] = ttftMs
    this.#atMs[this.#next] = nowMs
    this.#next = (this.#next + 1) % TTFT_SAMPLES_MAX
    if (this.#count < TTFT_SAMPLES_MAX) this.#count++
    if (this.#count < 16) this.#computedAtMs = Number.NEGATIVE_INFINITY
  }

  /** null: nothing recent is known, and the target counts as unobserved. */
  p90Ms(nowMs: number): number | null {
    this.#refresh(nowMs)
    return this.#p90Ms
  }

  /** Samples that are recent enough to count. */
  samples(nowMs: number): number {
    this.#refresh(nowMs)
    return this.#fresh
  }

  #refresh(nowMs: number): void {
    if (nowMs >= this.#computedAtMs && nowMs - this.#computedAtMs < P90_AGE_MS_MAX) return
    this.#computedAtMs = nowMs
    const recent: number[] = []
    for (let index = 0; index < this.#count; index++) {
      if (nowMs - (this.#atMs[index] ?? 0) <= TTFT_SAMPLE_AGE_MS_MAX) recent.push(this.#ttftMs[index] ?? 0)
    }
    recent.sort((a, b) => a - b)
    this.#fresh = recent.length
    this.#p90Ms = recent.length === 0 ? null : (recent[Math.ceil(recent.length * 0.9) - 1] ?? null)
  }
}
