// Who writes a ledger anew that has no life: the instance whose archive has the most, else the first. All others wait,
// and their rows with them.

import type { Clock } from '#core/ports.ts'
import type { FoundingSnapshot } from '../snapshot.ts'
import type { RedisConnection } from './connection.ts'
import { foundEmpty, isOlderVersions, lock, refound } from './founding.ts'
import { KEYS } from './keys.ts'
import { readTogether } from './standing.ts'

/** So that archives which notice it later, or connect later, are heard. */
const WAIT_MS = 2_000
/** A fleet that has never had a row need not wait for those who know more. */
const FIRST_WAIT_MS = 300
/** One that said it has the most and does nothing is passed over. */
const PATIENCE_MS = 5_000
const CANDIDATES_MS = 60_000

export interface FounderOptions {
  readonly connection: RedisConnection
  readonly clock: Clock
  readonly instance: string
  /** How much the archive of this instance has; 0: it has none. */
  readonly weight: () => number
  /** This instance has had rows in a ledger before. */
  readonly hasShipped: () => boolean
  /** Of the archive; only where it has any weight. */
  readonly snapshot: () => FoundingSnapshot
  readonly makeName: () => string
  readonly onFounded: (from: 'nothing' | 'archive' | 'older_version', attempts: number) => void
}

export class LedgerFounder {
  readonly #options: FounderOptions
  #running: Promise<void> | null = null
  /** Since when there is no life. */
  #missingSinceMs: number | null = null

  constructor(options: FounderOptions) {
    this.#options = options
  }

  /** Resolves when it was tried; who asks meanwhile waits for the same. @throws StoreUnavailableError */
  found(): Promise<void> {
    this.#running ??= this.#found().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  async #found(): Promise<void> {
    const { connection, clock, instance, weight, hasShipped } = this.#options
    const nowMs = clock.monotonicMs()
    this.#missingSinceMs ??= nowMs
    const own = weight()
    await readTogether(connection, (pipeline) => {
      pipeline.zadd(KEYS.founders, own, instance)
      pipeline.pexpire(KEYS.founders, CANDIDATES_MS)
    })
    const waitMs = own > 0 || hasShipped() ? WAIT_MS : FIRST_WAIT_MS
    if (nowMs - this.#missingSinceMs < waitMs)
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve))
    const [best, life, busy] = await readTogether(connection, (pipeline) => {
      pipeline.zrevrange(KEYS.founders, 0, 0)
      pipeline.hget(KEYS.meta, 'life')
      pipeline.exists(KEYS.founding)
    })
    if (life !== null) return this.#isFounded()
    const [first] = best as string[]
    if (first === instance || first === undefined) return this.#write(own)
    if (busy === 0 && clock.monotonicMs() - this.#missingSinceMs > PATIENCE_MS)
      await connection.run((redis) => redis.zrem(KEYS.founders, first))
  }

  async #write(weight: number): Promise<void> {
    const { connection, snapshot, makeName, onFounded } = this.#options
    const name = makeName()
    if (weight === 0) {
      const isOlder = await isOlderVersions(connection)
      await foundEmpty(connection, name)
      onFounded(isOlder ? 'older_version' : 'nothing', 0)
    } else {
      if (!(await lock(connection, name))) return
      await refound(connection, name, snapshot())
      onFounded('archive', weight)
    }
    this.#isFounded()
  }

  #isFounded(): void {
    this.#missingSinceMs = null
  }
}
