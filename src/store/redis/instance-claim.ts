// The right to write under the name of an instance. A journal's folder can be copied, and two processes would then ship
// different rows under one name: one of them waits. Asked by the shipper before each batch and while nothing waits, so
// that it needs no timer of its own.

import type { Clock } from '#core/ports.ts'
import type { RedisConnection } from './connection.ts'
import { KEYS } from './keys.ts'

const CLAIM_MS = 8_000
/** How long it is believed before Redis is asked again; also between two questions of one that waits. */
const ASK_MS = 2_000
/** An end does not wait long for a Redis that is away. */
const RELEASE_MS = 500

/** Whoever has the name, where it is not this process. */
export interface OtherHolder {
  readonly label: string
  /** Until it runs out, when the other one is gone. */
  readonly leftMs: number
}

export interface InstanceClaimOptions {
  readonly connection: RedisConnection
  readonly instance: string
  readonly epoch: number
  /** The same for a process and its successor on the same files, and for nobody else. */
  readonly owner: string
  /** Where it runs, for the operator of another one. */
  readonly label: string
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** Called with each answer of Redis; null: it is held. */
  readonly onAnswer: (other: OtherHolder | null) => void
}

export interface InstanceClaim {
  /** @throws StoreUnavailableError when it has to ask and Redis does not answer */
  readonly mayShip: () => Promise<boolean>
  /** For an orderly end: the next one need not wait. Never throws; what is not given back runs out. */
  readonly release: () => Promise<void>
}

export function createInstanceClaim(options: InstanceClaimOptions): InstanceClaim {
  const { connection, instance, owner, clock } = options
  const keys = [KEYS.instance(instance)]
  const values = [owner, options.epoch, options.label, CLAIM_MS]
  let isHeld = false
  let askedAtMs = Number.NEGATIVE_INFINITY

  return {
    async mayShip() {
      const nowMs = clock.monotonicMs()
      if (nowMs - askedAtMs < ASK_MS) return isHeld
      const answer = (await connection.script('claim-1', keys, values)) as readonly unknown[]
      isHeld = answer[0] === 'held'
      askedAtMs = nowMs
      options.onAnswer(isHeld ? null : { label: String(answer[1]), leftMs: Number(answer[2]) })
      return isHeld
    },
    async release() {
      if (!isHeld) return
      isHeld = false
      try {
        await connection.script('release-1', keys, [owner], RELEASE_MS)
      } catch {
        // Redis is away; the claim runs out.
      }
    },
  }
}
