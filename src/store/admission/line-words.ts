// What a line is made of, and who waits for it.

import type { Scope } from '#core/admission.ts'
import type { Clock, Timer } from '#core/ports.ts'
import type { LeaseLine } from './lease-line.ts'
import type { ChargeAsk, ChargeReply, PursePort } from './lease-words.ts'

export interface LineOptions {
  readonly tag: string
  readonly session: string
  readonly port: PursePort
  readonly clock: Clock
  /** What is lent comes free when this instance says nothing for so long. */
  readonly keptMs: () => number
  readonly denies: () => boolean
  /** Former epochs of this instance are over, and their rows are told. */
  readonly succeeds: () => boolean
  /** Somebody must say what was spent in this tag, of these too where the configuration does not have them yet. False: it cannot be said for now. */
  readonly found: (tag: string, scopes: readonly Scope[]) => Promise<boolean>
  /** Rows behind its mark must be told again. */
  readonly onGap: (line: LeaseLine) => void
  readonly onLost: (line: LeaseLine, isLost: boolean, error: unknown) => void
}

/** What rows charge, and what becomes of the leases when it is answered. */
export interface Charge {
  readonly ask: ChargeAsk
  readonly heard: (reply: ChargeReply) => void
  reply: ChargeReply | null
}

const GRACE_MS = 10
const GRACES_MAX = 5

/**
 * A deadline for an answer: where the event loop was busy, what has come meanwhile is read first. A late timer says
 * nothing of the other side.
 */
export function afterBusy(clock: Clock, delayMs: number, run: () => void): Timer {
  let dueMs = clock.monotonicMs() + delayMs - GRACE_MS
  let graces = 0
  let timer = clock.after(delayMs - GRACE_MS, look)
  function look(): void {
    const lateMs = clock.monotonicMs() - dueMs
    const isDone = graces > 0 && (lateMs < GRACE_MS || graces >= GRACES_MAX)
    if (isDone) return run()
    graces += 1
    dueMs = clock.monotonicMs() + GRACE_MS
    timer = clock.after(GRACE_MS, look)
  }
  return { cancel: () => timer.cancel() }
}

/** Requests that wait for one call. */
export class Waiters {
  readonly #waiting = Promise.withResolvers<void>()
  timer: Timer | null = null

  get promise(): Promise<void> {
    return this.#waiting.promise
  }

  resolve(): void {
    this.timer?.cancel()
    this.#waiting.resolve()
  }
}
