// The ledger in Redis, shared by all instances: counters, a capped stream of rows, and the ways to find them.

import type { ChainableCommander } from 'ioredis'
import type { AdjustmentPage, AdjustmentQuery } from '#core/adjustments.ts'
import { assert } from '#core/assert.ts'
import {
  type BalanceUsed,
  type LedgerBatch,
  type LedgerRow,
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
import { decodeCursor, encodeCursor, positionId, positionOf } from '../cursor.ts'
import { EVERY_REQUEST, showsRequest } from '../request-filter.ts'
import { assertFinal, parseAttempt, parseRequest, rowText } from '../row-json.ts'
import { DAY_MS, dayStartMs, hourStartMs, seriesText, UsageReportBuilder } from '../usage-report.ts'
import { placeOf, readAdjustments } from './adjustments.ts'
import { parseBalances } from './balances.ts'
import { accessRedis, type RedisAccess, type RedisConnection } from './connection.ts'
import { countTexts, MEASURES, parseCounters } from './counters.ts'
import { COUNTERS_KEPT_DAYS, COUNTERS_TTL_SECONDS, KEYS, ROWS_MAX } from './keys.ts'
import { hashesOf } from './usage.ts'

/** Rows of one script call; the server does nothing else meanwhile (about 5 µs a row). */
const SCRIPT_ROWS_MAX = 500
/** Hashes read in one go, so that a long report does not keep the server from others. */
const HASHES_PER_READ = 64
const NO_COUNTS = Array.from(MEASURES, () => '0')

export type RedisStoreOptions = RedisAccess & {
  readonly rowsMax?: number
}

export interface RedisLedgerStore extends LedgerStore {
  /** By instance, ':' and epoch: the last row that was applied. */
  marks(): Promise<ReadonlyMap<string, number>>
}

/** Connects on first use. All methods throw StoreUnavailableError when Redis does not answer in time. */
export function createRedisStore(options: RedisStoreOptions): RedisLedgerStore {
  return new RedisStore(options)
}

/** Neighbouring rows that one script call can take: their attempts lie in one hour. */
interface Run {
  readonly firstSequence: number
  hourMs: number | null
  readonly rows: LedgerRow[]
}

type Entry = [id: string, fields: string[]]

class RedisStore implements RedisLedgerStore {
  readonly #connection: RedisConnection
  readonly #close: () => void
  readonly #rowsMax: number

  constructor(options: RedisStoreOptions) {
    const { connection, close } = accessRedis(options)
    this.#connection = connection
    this.#close = close
    this.#rowsMax = options.rowsMax ?? ROWS_MAX
  }

  async apply(batch: LedgerBatch): Promise<void> {
    for (const run of runsOf(batch)) {
      await this.#connection.script('apply-10', keysOf(batch, run), this.#valuesOf(batch, run))
    }
  }

  async usage(query: UsageQuery): Promise<UsageReport> {
    if (query.groupBy.includes('user'))
      throw new ReportError('unsupported', 'users are in the rows of a SQLite ledger only, not in Redis')
    const hours = await this.#connection.run((redis) => redis.zrange(KEYS.hours, '0', '-1'))
    const hashes = hashesOf(query, hours.map(Number))
    const builder = new UsageReportBuilder(query)
    for (let start = 0; start < hashes.length; start += HASHES_PER_READ) {
      const chunk = hashes.slice(start, start + HASHES_PER_READ)
      const replies = await this.#read<Record<string, string>>((pipeline) => {
        for (const hash of chunk) pipeline.hgetall(hash.key)
      })
      for (const [index, hash] of chunk.entries()) {
        for (const { series, totals } of parseCounters(replies[index] ?? {})) {
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

  async marks(): Promise<ReadonlyMap<string, number>> {
    const marks = new Map<string, number>()
    let cursor = '0'
    do {
      const [next, keys] = await this.#connection.run((redis) =>
        redis.scan(cursor, 'MATCH', KEYS.applied('*'), 'COUNT', 1_000),
      )
      for (const key of keys) {
        const epochs = await this.#connection.run((redis) => redis.hgetall(key))
        const instance = key.slice(KEYS.applied('').length)
        for (const [epoch, last] of Object.entries(epochs)) marks.set(`${instance}:${epoch}`, Number(last))
      }
      cursor = next
    } while (cursor !== '0')
    return marks
  }

  async close(): Promise<void> {
    this.#close()
  }

  async #details(ids: readonly string[]): Promise<(RequestDetail | null)[]> {
    if (ids.length === 0) return []
    const lists = await this.#connection.run((redis) => redis.hmget(KEYS.entries, ...ids))
    const entryIds = lists.map((list) => list?.split(' ') ?? [])
    const replies = await this.#read<Entry[]>((pipeline) => {
      for (const entryId of entryIds.flat()) pipeline.xrange(KEYS.rows, entryId, entryId)
    })
    let next = 0
    return entryIds.map((entries) => {
      const own = replies.slice(next, next + entries.length)
      next += entries.length
      return detailOf(own.flat())
    })
  }

  /** Sends commands together; the first that fails fails all. */
  async #read<Reply>(fill: (pipeline: ChainableCommander) => void): Promise<Reply[]> {
    return this.#connection.run(async (redis) => {
      const pipeline = redis.pipeline()
      fill(pipeline)
      const replies = (await pipeline.exec()) ?? []
      return replies.map(([error, reply]) => {
        if (error !== null) throw error
        return reply as Reply
      })
    })
  }

  #valuesOf(batch: LedgerBatch, run: Run): string[] {
    const hourMs = run.hourMs ?? 0
    const values = [
      batch.instance,
      String(batch.epoch),
      String(run.firstSequence),
      String(this.#rowsMax),
      String(COUNTERS_TTL_SECONDS),
      run.hourMs === null ? '' : String(run.hourMs),
      String(hourMs - COUNTERS_KEPT_DAYS * DAY_MS),
    ]
    for (const entry of run.rows) values.push(...rowArguments(entry))
    return values
  }
}

function keysOf(batch: LedgerBatch, run: Run): string[] {
  const hourMs = run.hourMs ?? 0
  return [
    KEYS.applied(batch.instance),
    KEYS.rows,
    KEYS.requests,
    KEYS.entries,
    KEYS.hours,
    KEYS.hour(hourMs),
    KEYS.day(dayStartMs(hourMs)),
    KEYS.balances,
    KEYS.adjustments,
    KEYS.adjustmentIndex,
  ]
}

function cursorAfter(rows: readonly RequestRow[]): string | null {
  const last = rows.at(-1)
  return last === undefined ? null : encodeCursor(positionOf(last.timeMs, last.id))
}

function rowArguments(entry: LedgerRow): readonly string[] {
  const text = rowText(entry)
  if (entry.kind === 'request') {
    const { id, timeMs } = entry.row
    return ['request', id, positionOf(timeMs, id), text, '', ...NO_COUNTS]
  }
  const [id, place] =
    entry.kind === 'attempt' ? [entry.row.requestId, ''] : [entry.row.id, placeOf(entry.row)]
  return [entry.kind, id, place, text, seriesText(entry.row), ...countTexts(entry)]
}

function runsOf(batch: LedgerBatch): readonly Run[] {
  const runs: Run[] = []
  let run: Run | null = null
  for (const [index, entry] of batch.rows.entries()) {
    assertFinal(entry)
    const hourMs = hourOf(entry)
    const isOtherHour = hourMs !== null && run !== null && run.hourMs !== null && run.hourMs !== hourMs
    if (run === null || isOtherHour || run.rows.length >= SCRIPT_ROWS_MAX) {
      run = { firstSequence: batch.firstSequence + index, hourMs, rows: [] }
      runs.push(run)
    }
    run.hourMs ??= hourMs
    run.rows.push(entry)
  }
  return runs
}

function hourOf(entry: LedgerRow): number | null {
  if (entry.kind === 'request') return null
  return hourStartMs(entry.kind === 'attempt' ? entry.row.startedAtMs : entry.row.bookedAtMs)
}

/** null: a part of the request has left the stream, or its own row has not come yet. */
function detailOf(entries: readonly Entry[]): RequestDetail | null {
  let request: RequestRow | null = null
  const attempts = []
  for (const [, fields] of entries) {
    const row = fieldOf(fields, 'row')
    if (fieldOf(fields, 'kind') === 'attempt') attempts.push(parseAttempt(row))
    else request ??= parseRequest(row)
  }
  attempts.sort((left, right) => left.attempt - right.attempt)
  return request === null ? null : { request, attempts }
}

function fieldOf(fields: readonly string[], name: string): string {
  const value = fields[fields.indexOf(name) + 1]
  assert(value !== undefined, `an entry of the stream has a field ${name}`)
  return value
}
