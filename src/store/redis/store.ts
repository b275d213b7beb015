// The ledger in Redis, shared by all instances: counters, a capped stream of rows, and the ways to find them.

import type { AdjustmentPage, AdjustmentQuery } from '#core/adjustments.ts'
import {
  type BalanceUsed,
  type LedgerBatch,
  type LedgerStore,
  ReportError,
  type RequestDetail,
  type RequestFilter,
  type RequestPage,
  type RequestQuery,
  type RequestRow,
  type UsageQuery,
  type UsageReport,
} from '#core/ledger.ts'
import { FILTERED_ROWS_MAX, PAGE_ROWS_MAX } from '#core/limits.ts'
import { type ClosedMonth, closedAt } from '#core/month-close.ts'
import { decodeCursor, encodeCursor, positionId, positionOf } from '../cursor.ts'
import { LedgerGapError } from '../errors.ts'
import { EVERY_REQUEST, showsRequest } from '../request-filter.ts'
import { parseAttempt, parseRequest } from '../row-json.ts'
import type { Shipment, ShipOutcome, ShipPort, Standing } from '../shipment.ts'
import { UsageReportBuilder } from '../usage-report.ts'
import { readAdjustments } from './adjustments.ts'
import { parseBalances } from './balances.ts'
import { accessRedis, type RedisAccess, type RedisConnection } from './connection.ts'
import { parseCounters } from './counters.ts'
import { foundEmpty } from './founding.ts'
import { COUNTERS_KEPT_DAYS, KEYS, ROWS_MAX, ROWS_MS } from './keys.ts'
import { RedisMonths } from './months.ts'
import { type ShipOptions, shipRequests, shipRows } from './ship.ts'
import { readMarks, readStanding, readTogether } from './standing.ts'
import { type Entry, entryOf, fieldOf, StreamTrimmer } from './stream.ts'
import { hashesOf } from './usage.ts'

/** Hashes read in one go, so that a long report does not keep the server from others. */
const HASHES_PER_READ = 64

export type RedisStoreOptions = RedisAccess & {
  /** Entries of the stream. */
  readonly rowsMax?: number
  /** Entries stay this long, and until the archive has them. */
  readonly rowsMs?: number
  /** Counters stay this long after their last write. */
  readonly keptDays?: number
  /** Entries went, some of which no archive has. */
  readonly onTrimmed?: (entries: number, unarchived: number) => void
}

/** The ledger, and where instances ship to. */
export interface RedisLedgerStore extends LedgerStore, ShipPort {
  readonly months: RedisMonths
  /** By `INSTANCE:EPOCH`: the last row that was applied. */
  marks(): Promise<ReadonlyMap<string, number>>
}

/** Connects on first use. All methods throw StoreUnavailableError when Redis does not answer in time. */
export function createRedisStore(options: RedisStoreOptions): RedisLedgerStore {
  return new RedisStore(options)
}

class RedisStore implements RedisLedgerStore {
  readonly months: RedisMonths
  readonly #connection: RedisConnection
  readonly #close: () => void
  readonly #shipping: ShipOptions
  readonly #trimmer: StreamTrimmer
  /** Instances that are listed, and in which life of the ledger. */
  readonly #known = new Map<string, string>()

  constructor(options: RedisStoreOptions) {
    const { connection, close } = accessRedis(options)
    this.#connection = connection
    this.#close = close
    this.months = new RedisMonths(connection)
    const { rowsMax = ROWS_MAX, rowsMs = ROWS_MS, keptDays = COUNTERS_KEPT_DAYS, onTrimmed } = options
    this.#shipping = { connection, keptDays }
    this.#trimmer = new StreamTrimmer({ connection, rowsMax, rowsMs, onTrimmed })
  }

  async apply(batch: LedgerBatch): Promise<void> {
    if (batch.rows.length === 0) return
    const { instance, firstSequence } = batch
    const { closed } = await this.standing(instance)
    assertOpen(batch, closed.months)
    let outcome = await shipRows(this.#shipping, batch, firstSequence - 1, closed.name)
    if (outcome.kind === 'unfounded') {
      // Whoever uses it in this way has no instances beside it that might know more.
      await foundEmpty(this.#connection, crypto.randomUUID())
      outcome = await shipRows(this.#shipping, batch, firstSequence - 1, closed.name)
    }
    if (outcome.kind !== 'applied') throw new LedgerGapError(outcome)
    await this.#trimmer.trim()
  }

  async ship(shipment: Shipment, closes = ''): Promise<ShipOutcome> {
    await this.#isKnown(shipment.instance)
    const outcome =
      shipment.kind === 'requests'
        ? await shipRequests(this.#shipping, shipment, closes)
        : await shipRows(this.#shipping, shipment.batch, shipment.previous, closes)
    const life = outcome.kind === 'unfounded' ? null : outcome.life
    const knownLife = this.#known.get(shipment.instance)
    if (life === null || (knownLife !== undefined && knownLife !== life))
      this.#known.delete(shipment.instance)
    else this.#known.set(shipment.instance, life)
    await this.#trimmer.shipped(outcome.entries ?? 0)
    return outcome
  }

  /** Marks of an instance that is not listed would be overlooked. */
  async #isKnown(instance: string): Promise<void> {
    if (this.#known.has(instance)) return
    await this.#connection.run((redis) => redis.zadd(KEYS.instances, 0, instance))
  }

  async restoreMonth(month: ClosedMonth): Promise<void> {
    await this.months.close(month)
  }

  standing(instance: string): Promise<Standing> {
    return readStanding(this.#connection, instance)
  }

  marks(): Promise<ReadonlyMap<string, number>> {
    return readMarks(this.#connection)
  }

  async usage(query: UsageQuery): Promise<UsageReport> {
    if (query.groupBy.includes('user'))
      throw new ReportError('unsupported', 'users are in the rows of a SQLite ledger only, not in Redis')
    const hours = await this.#connection.run((redis) => redis.zrange(KEYS.hours, '0', '-1'))
    const hashes = hashesOf(query, hours.map(Number))
    const builder = new UsageReportBuilder(query)
    for (let start = 0; start < hashes.length; start += HASHES_PER_READ) {
      const chunk = hashes.slice(start, start + HASHES_PER_READ)
      const replies = await readTogether(this.#connection, (pipeline) => {
        for (const hash of chunk) pipeline.hgetall(hash.key)
      })
      for (const [index, hash] of chunk.entries()) {
        for (const { series, totals } of parseCounters((replies[index] ?? {}) as Record<string, string>)) {
          builder.add(series, hash.timeMs, totals)
        }
      }
    }
    return builder.report()
  }

  async requests({ limit, cursor, filter = EVERY_REQUEST }: RequestQuery): Promise<RequestPage> {
    const rowsMax = Math.min(limit, PAGE_ROWS_MAX)
    const before = cursor === null ? null : decodeCursor(cursor)
    if (filter !== EVERY_REQUEST) return this.#filtered(before, filter, rowsMax)
    const { details, last } = await this.#detailsBefore(before, rowsMax)
    const rows = details.map(({ request }) => request)
    return { rows, nextCursor: last === null ? null : encodeCursor(last) }
  }

  async #filtered(before: string | null, filter: RequestFilter, rowsMax: number): Promise<RequestPage> {
    const rows: RequestRow[] = []
    let position = before
    for (let looked = 0; looked < FILTERED_ROWS_MAX; looked += PAGE_ROWS_MAX) {
      const { details, last } = await this.#detailsBefore(position, PAGE_ROWS_MAX)
      for (const detail of details) {
        if (!showsRequest(detail, filter)) continue
        if (rows.length === rowsMax) return { rows, nextCursor: cursorAfter(rows) }
        rows.push(detail.request)
      }
      if (last === null) return { rows, nextCursor: null }
      position = last
    }
    return { rows, nextCursor: position === null ? null : encodeCursor(position) }
  }

  /** Newest first; `last`: where to go on, null when nothing is left. */
  async #detailsBefore(
    before: string | null,
    rowsMax: number,
  ): Promise<{ readonly details: readonly RequestDetail[]; readonly last: string | null }> {
    const newest = before === null ? '+' : `(${before}`
    const found = await this.#connection.run((redis) =>
      redis.zrevrangebylex(KEYS.requests, newest, '-', 'LIMIT', 0, rowsMax + 1),
    )
    const positions = found.slice(0, rowsMax)
    const details = await this.#details(positions.map(positionId))
    return {
      details: details.filter((detail) => detail !== null),
      last: found.length > rowsMax ? (positions.at(-1) ?? null) : null,
    }
  }

  async request(id: string): Promise<RequestDetail | null> {
    const [detail] = await this.#details([id])
    return detail ?? null
  }

  async balances(): Promise<readonly BalanceUsed[]> {
    return parseBalances(await this.#connection.run((redis) => redis.hgetall(KEYS.balances)))
  }

  async adjustments(query: AdjustmentQuery): Promise<AdjustmentPage> {
    return readAdjustments(this.#connection, query)
  }

  async close(): Promise<void> {
    this.#close()
  }

  async #details(ids: readonly string[]): Promise<(RequestDetail | null)[]> {
    if (ids.length === 0) return []
    const lists = await this.#connection.run((redis) => redis.hmget(KEYS.entries, ...ids))
    const entryIds = lists.map((list) => list?.split(' ') ?? [])
    const replies = await readTogether(this.#connection, (pipeline) => {
      for (const entryId of entryIds.flat()) pipeline.xrange(KEYS.rows, entryId, entryId)
    })
    let next = 0
    return entryIds.map((entries) => {
      const own = replies.slice(next, next + entries.length) as Entry[][]
      next += entries.length
      return detailOf(own.flat())
    })
  }
}

/** Only a journal can say what becomes of a late row. */
function assertOpen({ rows }: LedgerBatch, closed: readonly ClosedMonth[]): void {
  for (const entry of rows) {
    if (entry.kind === 'request') continue
    const atMs = entry.kind === 'attempt' ? (entry.lateAtMs ?? entry.row.startedAtMs) : entry.row.bookedAtMs
    const month = closedAt(closed, atMs)
    if (month !== null)
      throw new Error(`${month.month} is closed, and a batch cannot be late: ship its journal`)
  }
}

function cursorAfter(rows: readonly RequestRow[]): string | null {
  const last = rows.at(-1)
  return last === undefined ? null : encodeCursor(positionOf(last.timeMs, last.id))
}

/** null: a part of the request has left the stream, or its own row has not come yet. */
function detailOf(entries: readonly Entry[]): RequestDetail | null {
  let request: RequestRow | null = null
  const attempts = []
  for (const [, fields] of entries) {
    const row = fieldOf(fields, 'row')
    const kind = fieldOf(fields, 'kind')
    if (kind === 'entry') return entryOf(fields)
    if (kind === 'attempt') attempts.push(parseAttempt(row))
    else request ??= parseRequest(row)
  }
  attempts.sort((left, right) => left.attempt - right.attempt)
  return request === null ? null : { request, attempts }
}
