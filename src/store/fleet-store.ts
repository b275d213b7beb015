// The ledger of a fleet as one instance answers for it: Redis where it knows enough, the archive for what needs rows or is
// older, this instance's own journal while both are away.

import type { AdjustmentPage, AdjustmentQuery } from '#core/adjustments.ts'
import { GatewayError } from '#core/errors.ts'
import {
  type LedgerStore,
  ReportError,
  type ReportProgress,
  type RequestDetail,
  type RequestPage,
  type RequestQuery,
  type UsageQuery,
  type UsageReport,
} from '#core/ledger.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import type { MonthBook } from '#core/month-close.ts'
import type { ArchiveQuestion } from './archive-words.ts'
import { decodeCursor, encodeCursor, positionOf, positionTimeMs } from './cursor.ts'
import { StoreUnavailableError } from './errors.ts'
import type { ArchivePresence } from './redis/archive-feed.ts'
import { EVERY_REQUEST, showsRequest } from './request-filter.ts'
import { dimensionsOf, HOUR_MS, needsRows } from './usage-report.ts'

/** How long a listing waits for the archive, and how long a report does. */
const ASK_MS = 10_000
const ASK_REPORT_MS = 90_000
/** An id of a request sorts after it. */
const BEFORE_IDS = ' '

export interface FleetStoreOptions {
  readonly shared: LedgerStore
  /** This instance's journal; the ledger of record too, while `isArchive`. */
  readonly own: LedgerStore
  readonly months: MonthBook
  readonly isArchive: () => boolean
  /** The archive on this instance reads what others have shipped by now. */
  readonly catchUp: () => Promise<void>
  /** Epoch ms: all requests that began since are listed in the shared store, in the archive on this instance. */
  readonly sharedFromMs: () => Promise<number>
  readonly ownFromMs: () => number
  /** Sums of each attempt are there since. */
  readonly ownRowsFromMs: () => number
  readonly presence: () => Promise<ArchivePresence>
  readonly ask: (question: ArchiveQuestion, waitMs: number) => Promise<unknown>
  /** Requests that run, here and elsewhere. */
  readonly running: () => Promise<readonly RequestDetail[]>
  /** The shared store has answered lately, as far as is known. */
  readonly isUp: () => boolean
}

export function createFleetStore(options: FleetStoreOptions): LedgerStore {
  return new FleetStore(options)
}

class FleetStore implements LedgerStore {
  readonly #options: FleetStoreOptions

  constructor(options: FleetStoreOptions) {
    this.#options = options
  }

  get months(): MonthBook {
    return this.#options.months
  }

  apply: LedgerStore['apply'] = (batch) => this.#options.shared.apply(batch)
  balances: LedgerStore['balances'] = () => this.#options.shared.balances()

  async usage(query: UsageQuery, onProgress?: ReportProgress): Promise<UsageReport> {
    const { shared, own, isArchive, catchUp, ownRowsFromMs, presence } = this.#options
    if (!wantsRows(query)) return shared.usage(query, onProgress)
    if (isArchive()) {
      checkRowsFrom(query, ownRowsFromMs())
      await catchUp()
      return own.usage(query, onProgress)
    }
    const archive = await presence()
    // Rounded to hours, as stores of sums do.
    if (archive !== 'there' && !needsUsers(query)) return shared.usage(query, onProgress)
    if (archive === 'none') {
      throw new ReportError(
        'unsupported',
        'users are in the rows of an archive only, and no instance archives: set ledger.archive to auto or on',
      )
    }
    return (await this.#ask({ kind: 'usage', query }, ASK_REPORT_MS)) as UsageReport
  }

  async request(id: string): Promise<RequestDetail | null> {
    const { shared, own, isArchive, ownFromMs, sharedFromMs, running } = this.#options
    const known = await own.request(id)
    if (known !== null) return known
    const found = await shared.request(id)
    if (found !== null) return found
    const runs = (await running()).find(({ request }) => request.id === id)
    if (runs !== undefined) return runs
    const fromMs = isArchive() ? ownFromMs() : await sharedFromMs()
    if (fromMs === 0) return null
    if (isArchive()) throw gone(`request "${id.slice(0, 100)}" is not among them`, fromMs, 'archive')
    const asked = await this.#older(
      { kind: 'request', id },
      `request "${id.slice(0, 100)}" is not among them`,
    )
    return asked as RequestDetail | null
  }

  async requests(query: RequestQuery): Promise<RequestPage> {
    const { own, isArchive } = this.#options
    try {
      const page = isArchive() ? await this.#ownRequests(query) : await this.#sharedRequests(query)
      return await this.#withRunning(page, query)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || query.cursor !== null) throw error
      return { ...(await own.requests(query)), isPartial: true }
    }
  }

  async adjustments(query: AdjustmentQuery): Promise<AdjustmentPage> {
    const { shared, own, isUp } = this.#options
    if (!isUp()) return own.adjustments(query)
    try {
      return await shared.adjustments(query)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
      return own.adjustments(query)
    }
  }

  async close(): Promise<void> {
    await this.#options.shared.close()
  }

  async #ownRequests(query: RequestQuery): Promise<RequestPage> {
    await this.#options.catchUp()
    const page = await this.#options.own.requests(query)
    return withinBound(page, query, this.#options.ownFromMs(), 'archive')
  }

  async #sharedRequests(query: RequestQuery): Promise<RequestPage> {
    const { shared, sharedFromMs } = this.#options
    const { cursor, limit } = query
    const fromMs = await sharedFromMs()
    if (fromMs === 0) return shared.requests(query)
    const before = cursor === null ? null : decodeCursor(cursor)
    const bound = positionOf(fromMs, BEFORE_IDS)
    if (before !== null && before <= bound) return this.#olderRequests(query)
    const page = await shared.requests(query)
    const recent = page.rows.filter((row) => row.timeMs >= fromMs)
    const isWhole = recent.length === page.rows.length && page.nextCursor !== null
    if (isWhole && decodeCursor(page.nextCursor ?? '') > bound) return page
    const { toMs = null, fromMs: askedMs = null } = query.filter ?? EVERY_REQUEST
    if (askedMs !== null && askedMs >= fromMs) return { rows: recent, nextCursor: null }
    const next = encodeCursor(bound)
    const rest = Math.min(limit, PAGE_ROWS_MAX) - recent.length
    if (rest <= 0) return { rows: recent, nextCursor: next }
    // All of it lies before what Redis has: then the answer is the archive's alone, also that there is none.
    if (recent.length === 0 && toMs !== null && toMs <= fromMs)
      return this.#olderRequests({ ...query, cursor: cursor ?? next })
    try {
      const older = await this.#olderRequests({ ...query, limit: rest, cursor: next })
      return { ...older, rows: [...recent, ...older.rows] }
    } catch (error) {
      if (error instanceof RangeError) throw error
      // What there is is told; who goes on hears why the rest cannot be had.
      return { rows: recent, nextCursor: next }
    }
  }

  async #olderRequests(query: RequestQuery): Promise<RequestPage> {
    return (await this.#older({ kind: 'requests', query }, 'ask for later ones')) as RequestPage
  }

  /** What only the archive has. @throws GatewayError `gone` where there is none */
  async #older(question: ArchiveQuestion, detail: string): Promise<unknown> {
    const { presence, sharedFromMs } = this.#options
    if ((await presence()) === 'none') throw gone(detail, await sharedFromMs(), 'none')
    return this.#ask(question, ASK_MS)
  }

  async #ask(question: ArchiveQuestion, waitMs: number): Promise<unknown> {
    const { presence, ask } = this.#options
    if ((await presence()) === 'away') {
      const message = 'the instance that keeps the older rows is away: another one takes over within seconds'
      throw new GatewayError('store_unavailable', message, { retryAfterMs: 5_000 })
    }
    return ask(question, waitMs)
  }

  /** Puts requests that run where they belong, between those that have ended. */
  async #withRunning(page: RequestPage, query: RequestQuery): Promise<RequestPage> {
    const before = query.cursor === null ? null : decodeCursor(query.cursor)
    const after = page.nextCursor === null ? null : decodeCursor(page.nextCursor)
    const known = new Set(page.rows.map(({ id }) => id))
    const running = (await this.#options.running()).filter((detail) => {
      const { id, timeMs } = detail.request
      const position = positionOf(timeMs, id)
      const isInPage = (before === null || position < before) && (after === null || position > after)
      return isInPage && !known.has(id) && showsRequest(detail, query.filter ?? EVERY_REQUEST)
    })
    if (running.length === 0) return page
    const all = [...page.rows, ...running.map(({ request }) => request)].sort((left, right) =>
      positionOf(left.timeMs, left.id) < positionOf(right.timeMs, right.id) ? 1 : -1,
    )
    const rows = all.slice(0, Math.min(query.limit, PAGE_ROWS_MAX))
    const last = rows.at(-1)
    if (rows.length === all.length || last === undefined) return { ...page, rows }
    return { ...page, rows, nextCursor: encodeCursor(positionOf(last.timeMs, last.id)) }
  }
}

/** A page of the archive, which says where its rows begin. */
export function withinBound(
  page: RequestPage,
  { cursor }: RequestQuery,
  fromMs: number,
  place: 'archive' | 'none',
): RequestPage {
  const isOver = cursor !== null && positionTimeMs(decodeCursor(cursor)) <= fromMs
  if (fromMs > 0 && isOver && page.rows.length === 0) throw gone('ask for later ones', fromMs, place)
  if (fromMs === 0 || page.nextCursor !== null || isOver) return page
  // There were more: who goes on is told so.
  return { ...page, nextCursor: encodeCursor(positionOf(fromMs, BEFORE_IDS)) }
}

/** @throws ReportError when the rows that a report needs are no longer there */
export function checkRowsFrom(query: UsageQuery, rowsFromMs: number): void {
  if (rowsFromMs === 0 || !needsUsers(query)) return
  if (query.fromMs !== null && query.fromMs >= rowsFromMs) return
  const from = new Date(rowsFromMs).toISOString()
  const message = `the archive has rows since ${from} only: ask for \`from=${from}\` or for groups without users`
  throw new ReportError('gone', message)
}

/** Sums by the hour do not tell. */
function wantsRows(query: UsageQuery): boolean {
  const isOnHours = [query.fromMs, query.toMs].every((atMs) => atMs === null || atMs % HOUR_MS === 0)
  return needsUsers(query) || needsRows(query) || !isOnHours
}

function needsUsers(query: UsageQuery): boolean {
  return dimensionsOf(query).includes('user')
}

function gone(detail: string, fromMs: number, place: 'archive' | 'none'): GatewayError {
  const from = new Date(fromMs).toISOString()
  const message =
    place === 'none'
      ? `rows before ${from} have left Redis (ledger.redis_rows) and no instance archives (ledger.archive): ${detail}`
      : `the archive has the rows since ${from}; older ones were lost with the one before it: ${detail}`
  return new GatewayError('gone', message)
}
