// Requests that run, of every instance: each says once a second what it runs, for the listings of all.

import type { RequestDetail } from '#core/ledger.ts'
import { detailText, parseEntry } from '../sqlite/entry-text.ts'
import type { RedisConnection } from './connection.ts'
import { KEYS } from './keys.ts'
import { readTogether } from './standing.ts'

/** What an instance has not said again is over. */
const RUNNING_MS = 10_000
/** The newest; a listing of thousands that end within a second helps nobody. */
const RUNNING_MAX = 200
const RUNNERS_KEPT_MS = 24 * 3_600_000

type RunningJson = readonly (readonly [id: string, timeMs: number, text: string])[]

export class RunningBoard {
  readonly #connection: RedisConnection
  readonly #instance: string
  #hasSaid = false

  constructor(connection: RedisConnection, instance: string) {
    this.#connection = connection
    this.#instance = instance
  }

  /** @throws StoreUnavailableError */
  async say(running: readonly RequestDetail[], nowMs: number): Promise<void> {
    if (running.length === 0 && !this.#hasSaid) return
    const newest: RunningJson = running
      .slice(-RUNNING_MAX)
      .map((detail) => [detail.request.id, detail.request.timeMs, detailText(detail)])
    await readTogether(this.#connection, (pipeline) => {
      pipeline.set(KEYS.running(this.#instance), JSON.stringify(newest), 'PX', RUNNING_MS)
      pipeline.zadd(KEYS.runners, nowMs, this.#instance)
      pipeline.zremrangebyscore(KEYS.runners, '-inf', nowMs - RUNNERS_KEPT_MS)
    })
    this.#hasSaid = newest.length > 0
  }

  /** Of all other instances. @throws StoreUnavailableError */
  async others(): Promise<readonly RequestDetail[]> {
    const runners = await this.#connection.run((redis) => redis.zrange(KEYS.runners, '0', '-1'))
    const others = runners.filter((instance) => instance !== this.#instance)
    if (others.length === 0) return []
    const texts = await this.#connection.run((redis) =>
      redis.mget(...others.map((instance) => KEYS.running(instance))),
    )
    return texts.flatMap((text) =>
      text === null
        ? []
        : (JSON.parse(text) as RunningJson).map(([id, timeMs, entry]) => parseEntry(id, timeMs, entry)),
    )
  }
}
