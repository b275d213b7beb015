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
  /** Rows behind this mark must be told again. */
  readonly onGap: (line: LeaseLine, mark: number) => void
  readonly onLost: (line: LeaseLine, isLost: boolean, error: unknown) => void
}

/** What rows charge, and what becomes of the leases when it is answered. */
export interface Charge {
  readonly ask: ChargeAsk
  readonly heard: (reply: ChargeReply) => void
  reply: ChargeReply | null
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
