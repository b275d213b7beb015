// What requests would have saved at a target that they did not go to, were it well: what there is to be won by a try.

import { wasSetBack } from './clock.ts'

/** Savings are summed over about so long a time. */
export const LURE_MS = 60_000
/** News of a target is good for about so long, until somebody else would have brought it; longer where it is of a change
 * for good. */
export const HORIZON_MS = 120_000
export const CHANGED_HORIZON_MS = 600_000

export class Lure {
  #sum = 0
  #atMs = Number.NEGATIVE_INFINITY

  /** Of one request, book currency; what is not positive is no loss either: it would not go there. */
  add(saving: number, nowMs: number): void {
    if (!(saving > 0)) return
    this.#sum = this.now(nowMs) + saving
    this.#atMs = nowMs
  }

  /** Of about the last minute's requests. */
  now(nowMs: number): number {
    if (this.#sum === 0 || wasSetBack(this.#atMs, nowMs)) return 0
    return this.#sum * Math.exp(-Math.max(0, nowMs - this.#atMs) / LURE_MS)
  }
}
