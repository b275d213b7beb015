// What the room that a request takes at a target is worth to others. Its limits turn a later request away, which then
// goes where it suits less; and beside one more request each later one is answered more slowly. No price list says
// so: it is learnt from what the limits turned away, and from what the load costs those that are sent.

/** Averages run over so many of the requests that would have gone there. */
const KEPT = 0.95
/** A limit that turns away this share of them is always full: all that is taken is taken from somebody. */
const FULL_SHARE = 0.25
const FORGOTTEN_MS = 60_000
const CROWDING_RATE = 1 / 30

export class Room {
  /** Of those turned away: what they lost, book currency, and the minutes of the limit that they would have taken. */
  #lost = 0
  #minutes = 0
  #turnedAwayShare = 0
  #turnedAwayAtMs = Number.NEGATIVE_INFINITY
  /** What one more request under way takes from each that is sent beside it. */
  #crowding = 0

  /** A request that would have been better off here by `loss` found no room. */
  turnedAway(loss: number, minutes: number, nowMs: number): void {
    if (!(loss > 0 && minutes > 0)) return
    this.#lost = this.#lost * KEPT + loss
    this.#minutes = this.#minutes * KEPT + minutes
    this.#turnedAwayShare = this.#turnedAwayShare * KEPT + 1 - KEPT
    this.#turnedAwayAtMs = nowMs
  }

  /** A request for which this was the best place found room; one more under way would have cost it `loss`. */
  served(loss: number): void {
    this.#turnedAwayShare *= KEPT
    this.#crowding += (loss - this.#crowding) * CROWDING_RATE
  }

  /** Of so many minutes of the limits, beside so many requests; book currency. */
  priceOf(minutes: number, inFlight: number, nowMs: number): number {
    // As many are sent while one runs as run at once.
    const crowding = this.#crowding * inFlight
    if (this.#minutes === 0) return crowding
    const ageMs = Math.max(0, nowMs - this.#turnedAwayAtMs)
    const share = this.#turnedAwayShare * Math.exp(-ageMs / FORGOTTEN_MS)
    return crowding + (minutes * this.#lost * Math.min(1, share / FULL_SHARE)) / this.#minutes
  }
}
