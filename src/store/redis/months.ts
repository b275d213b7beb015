// Months that a fleet closes, in Redis: which, and their reports; and how many rows instances still have.

import { GatewayError } from '#core/errors.ts'
import { CLOSED_MONTHS_MAX, type ClosedMonth, type MonthBook, type WaitingRows } from '#core/month-close.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { RedisConnection } from './connection.ts'
import { KEYS } from './keys.ts'
import { monthText, parseMonths, totalField } from './month-text.ts'
import { readTogether } from './standing.ts'

/** What an instance has not said again is not known. */
const WAITING_MS = 10_000
/** Who was here within this time and is silent may come back with rows. */
const WAITERS_KEPT_MS = 40 * 24 * 3_600_000
const WAITERS_MAX = 1_000
const UNFOUNDED = 'the ledger in Redis has lost what it had and is written anew'
/** Of the hash: each month and its total. */
const FIELDS_MAX = 2 * CLOSED_MONTHS_MAX

/** All throw StoreUnavailableError. */
export class RedisMonths implements MonthBook {
  readonly #connection: RedisConnection

  constructor(connection: RedisConnection) {
    this.#connection = connection
  }

  async list(): Promise<readonly ClosedMonth[]> {
    const [months, life] = await readTogether(this.#connection, (pipeline) => {
      pipeline.hgetall(KEYS.months)
      pipeline.hget(KEYS.meta, 'life')
    })
    // That none is closed may not be said by a ledger that has just lost them.
    if (life === null) throw new StoreUnavailableError(UNFOUNDED)
    return parseMonths(months as Record<string, string>)
  }

  async close(month: Omit<ClosedMonth, 'total'>): Promise<boolean> {
    const reply = await this.#connection.script(
      'close-month-2',
      [KEYS.meta, KEYS.months],
      [month.month, monthText({ ...month, total: null }), crypto.randomUUID(), FIELDS_MAX],
    )
    if (reply === 'unfounded') throw new StoreUnavailableError(UNFOUNDED)
    if (reply === 'full')
      throw new GatewayError('invalid_request', `${CLOSED_MONTHS_MAX} months are closed, and no more can be`)
    return reply === 'done'
  }

  async keep(month: string, total: string, table: string): Promise<void> {
    await this.#connection.script('keep-month-2', [KEYS.months, KEYS.monthTables], [month, total, table])
  }

  async table(month: string): Promise<string | null> {
    return this.#connection.run((redis) => redis.hget(KEYS.monthTables, month))
  }

  /** The kept report of a month; null: there is none yet. */
  async report(month: string): Promise<{ readonly total: string; readonly table: string } | null> {
    const [total, table] = await readTogether(this.#connection, (pipeline) => {
      pipeline.hget(KEYS.months, totalField(month))
      pipeline.hget(KEYS.monthTables, month)
    })
    return typeof total === 'string' && typeof table === 'string' ? { total, table } : null
  }

  async say(instance: string, rows: number, nowMs: number): Promise<void> {
    await readTogether(this.#connection, (pipeline) => {
      pipeline.set(KEYS.waiting(instance), String(rows), 'PX', WAITING_MS)
      pipeline.zadd(KEYS.waiters, nowMs, instance)
      pipeline.zremrangebyscore(KEYS.waiters, '-inf', nowMs - WAITERS_KEPT_MS)
      pipeline.zremrangebyrank(KEYS.waiters, 0, -WAITERS_MAX - 1)
    })
  }

  /** An instance goes and leaves nothing behind. */
  async leave(instance: string): Promise<void> {
    await this.#connection.run((redis) => redis.zrem(KEYS.waiters, instance))
  }

  async waiting(): Promise<WaitingRows> {
    const instances = await this.#connection.run((redis) => redis.zrange(KEYS.waiters, '0', '-1'))
    if (instances.length === 0) return { rows: 0, silent: [] }
    const counts = await this.#connection.run((redis) => redis.mget(...instances.map(KEYS.waiting)))
    return {
      rows: counts.reduce((sum, count) => sum + Number(count ?? 0), 0),
      silent: instances.filter((_, index) => counts[index] === null),
    }
  }
}
