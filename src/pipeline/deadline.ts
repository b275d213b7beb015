// The deadlines of one attempt on a single timer: connect, first token, idle, total. The timer is not moved with
// every chunk; when it fires it looks whether its time has really come.

import type { Clock, Timer } from '#core/ports.ts'

/** `drain`: the client has left. */
export type DeadlinePhase = 'connect' | 'first_token' | 'idle' | 'drain' | 'total'

export class AttemptDeadline {
  readonly #clock: Clock
  readonly #onExpired: (phase: DeadlinePhase) => void
  readonly #totalAtMs: number
  #phase: DeadlinePhase
  #phaseAtMs: number
  #timer: Timer | null = null
  #timerAtMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, totalMs: number, connectMs: number, onExpired: (phase: DeadlinePhase) => void) {
    this.#clock = clock
    this.#onExpired = onExpired
    const nowMs = clock.monotonicMs()
    this.#totalAtMs = nowMs + totalMs
    this.#phase = 'connect'
    this.#phaseAtMs = nowMs + connectMs
    this.#arm(nowMs)
  }

  /** Enters a phase that lasts at most `lastsMs`; null: until the total. */
  enter(phase: DeadlinePhase, lastsMs: number | null, nowMs: number): void {
    this.#phase = phase
    this.#phaseAtMs = lastsMs === null ? Number.POSITIVE_INFINITY : nowMs + lastsMs
    if (Math.min(this.#phaseAtMs, this.#totalAtMs) < this.#timerAtMs) this.#arm(nowMs)
  }

  /** Something arrived: the phase's time begins anew. */
  extend(lastsMs: number, nowMs: number): void {
    this.#phaseAtMs = nowMs + lastsMs
  }

  cancel(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  #arm(nowMs: number): void {
    this.#timer?.cancel()
    this.#timerAtMs = Math.min(this.#phaseAtMs, this.#totalAtMs)
    this.#timer = this.#clock.after(Math.max(0, Math.ceil(this.#timerAtMs - nowMs)), () => this.#fire())
  }

  #fire(): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs >= this.#totalAtMs) this.#onExpired('total')
    else if (nowMs >= this.#phaseAtMs) this.#onExpired(this.#phase)
    else this.#arm(nowMs)
  }
}
