// Limits as vendors have them: requests and tokens in any 60 seconds, and requests at once.

import type { Limits } from './settings.ts'

const WINDOW_MS = 60_000
/** More would be a load test's, where the oldest may go early. */
const MARKS_MAX = 100_000

export class RateWindow {
  readonly #limits: Limits
  #marks: { readonly atMs: number; tokens: number }[] = []
  #inFlight = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Which limit stands in the way; null: none. */
  exceeded(inputTokens: number, nowMs: number): 'requests' | 'tokens' | 'concurrency' | null {
    const { concurrency, rpm, tpm } = this.#limits
    this.#marks = this.#marks.filter((mark) => mark.atMs > nowMs - WINDOW_MS)
    if (concurrency !== undefined && this.#inFlight >= concurrency) return 'concurrency'
    if (rpm !== undefined && this.#marks.length >= rpm) return 'requests'
    const tokens = this.#marks.reduce((sum, mark) => sum + mark.tokens, 0)
    return tpm !== undefined && tokens + inputTokens > tpm ? 'tokens' : null
  }

  /** Counts a request; the function that is returned counts its output and ends it. */
  enter(inputTokens: number, nowMs: number): (outputTokens: number) => void {
    const mark = { atMs: nowMs, tokens: inputTokens }
    if (this.#limits.rpm !== undefined || this.#limits.tpm !== undefined) this.#marks.push(mark)
    if (this.#marks.length > MARKS_MAX) this.#marks.shift()
    this.#inFlight++
    return (outputTokens) => {
      mark.tokens += outputTokens
      this.#inFlight--
    }
  }

  /** What is left, for vendors that tell. */
  remaining(nowMs: number): { readonly requests: number | null; readonly tokens: number | null } {
    const marks = this.#marks.filter((mark) => mark.atMs > nowMs - WINDOW_MS)
    const used = marks.reduce((sum, mark) => sum + mark.tokens, 0)
    const { rpm, tpm } = this.#limits
    return {
      requests: rpm === undefined ? null : Math.max(0, rpm - marks.length),
      tokens: tpm === undefined ? null : Math.max(0, tpm - used),
    }
  }
}
