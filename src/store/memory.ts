// The ledger in memory: the reference that the other stores are compared with, and a store for trials.

import {
  type AdjustmentPage,
  type AdjustmentQuery,
  type AdjustmentRow,
  EVERY_ADJUSTMENT,
  showsAdjustment,
} from '#core/adjustments.ts'
import { assert } from '#core/assert.ts'
import type {
  AttemptRow,
  BalanceUsed,
  LedgerBatch,
  LedgerStore,
  RequestDetail,
  RequestPage,
  RequestQuery,
  RequestRow,
  UsageQuery,
  UsageReport,
  UsageTotals,
} from '#core/ledger.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import { BalanceSums, balanceUsesOf } from './balance-uses.ts'
import { decodeCursor, encodeCursor, positionId, positionOf } from './cursor.ts'
import { EVERY_REQUEST, showsRequest } from './request-filter.ts'
import { QUARTER_MS } from './usage-buckets.ts'
import {
  addTotals,
  hourStartMs,
  outwardRange,
  rangeHolds,
  seriesText,
  totalsOf,
  totalsOfAdjustment,
  UsageReportBuilder,
  type UserSeries,
} from './usage-report.ts'

/** Requests kept with their attempts, newest by time; older ones live on in the counters only. */
const REQUESTS_MAX = 10_000
/** Counters, one per quarter of an hour and series; the oldest go first. About 0.3 kB each. */
const COUNTERS_MAX = 1_000_000

interface Counter {
  /** Start of a quarter of an hour, which no bucket of any zone cuts. */
  readonly atMs: number
  readonly series: UserSeries
  totals: UsageTotals
}

/** A store that forgets with the process. Sums are exact until `COUNTERS_MAX` counters, listings to `REQUESTS_MAX`. */
export function createMemoryStore(
  bounds: { readonly requestsMax?: number; readonly countersMax?: number } = {},
): LedgerStore {
  return new MemoryStore(bounds.requestsMax ?? REQUESTS_MAX, bounds.countersMax ?? COUNTERS_MAX)
}

class MemoryStore implements LedgerStore {
  readonly #requestsMax: number
  readonly #countersMax: number
  readonly #appliedSequence = new Map<string, number>()
  readonly #counters = new Map<string, Counter>()
  readonly #balances = new BalanceSums()
  readonly #requests = new Map<string, RequestRow>()
  readonly #adjustments = new Map<string, AdjustmentRow>()
  readonly #attempts = new Map<string, Map<number, AttemptRow>>()
  /** Oldest first. */
  readonly #positions: string[] = []

  constructor(requestsMax: number, countersMax: number) {
    this.#requestsMax = requestsMax
    this.#countersMax = countersMax
  }

  async apply(batch: LedgerBatch): Promise<void> {
    const name = JSON.stringify([batch.instance, batch.epoch])
    let applied = this.#appliedSequence.get(name) ?? 0
    for (const [index, entry] of batch.rows.entries()) {
      const sequence = batch.firstSequence + index
      if (sequence <= applied) continue
      if (entry.kind === 'attempt') this.#addAttempt(entry.row)
      else if (entry.kind === 'request') this.#addRequest(entry.row)
      else this.#addAdjustment(entry.row)
      applied = sequence
    }
    this.#appliedSequence.set(name, applied)
    this.#trim()
  }

  async usage(query: UsageQuery): Promise<UsageReport> {
    const builder = new UsageReportBuilder(query)
    const range = outwardRange(query, QUARTER_MS)
    for (const counter of this.#counters.values()) {
      if (rangeHolds(range, counter.atMs)) builder.add(counter.series, counter.atMs, counter.totals)
    }
    return builder.report()
  }

  async requests({ limit, cursor, filter = EVERY_REQUEST }: RequestQuery): Promise<RequestPage> {
    const before = cursor === null ? null : decodeCursor(cursor)
    const rowsMax = Math.min(limit, PAGE_ROWS_MAX)
    const rows: RequestRow[] = []
    let last: string | null = null
    for (
      let at = before === null ? this.#positions.length : lowerBound(this.#positions, before);
      at > 0;
      at--
    ) {
      const position = this.#positions[at - 1] ?? ''
      const detail = this.#detail(positionId(position))
      if (detail === null || !showsRequest(detail, filter)) continue
      if (rows.length === rowsMax) return { rows, nextCursor: last === null ? null : encodeCursor(last) }
      rows.push(detail.request)
      last = position
    }
    return { rows, nextCursor: null }
  }

  async request(id: string): Promise<RequestDetail | null> {
    return this.#detail(id)
  }

  #detail(id: string): RequestDetail | null {
    const request = this.#requests.get(id)
    if (request === undefined) return null
    const attempts = [...(this.#attempts.get(id)?.values() ?? [])]
    return { request, attempts: attempts.sort((left, right) => left.attempt - right.attempt) }
  }

  async balances(): Promise<readonly BalanceUsed[]> {
    return this.#balances.list()
  }

  async adjustments({ limit, cursor, filter = EVERY_ADJUSTMENT }: AdjustmentQuery): Promise<AdjustmentPage> {
    const before = cursor === null ? null : decodeCursor(cursor)
    const found = [...this.#adjustments.values()]
      .filter((row) => showsAdjustment(row, filter))
      .map((row) => ({ row, position: positionOf(row.timeMs, row.id) }))
      .filter(({ position }) => before === null || position < before)
      .sort((left, right) => (left.position < right.position ? 1 : -1))
    const page = found.slice(0, Math.min(limit, PAGE_ROWS_MAX))
    const last = page.length < found.length ? page.at(-1) : undefined
    const nextCursor = last === undefined ? null : encodeCursor(last.position)
    return { rows: page.map(({ row }) => row), nextCursor }
  }

  async close(): Promise<void> {}

  #addAttempt(row: AttemptRow): void {
    assert(row.outcome !== 'open', 'only final rows are applied')
    const hourMs = hourStartMs(row.startedAtMs)
    for (const use of balanceUsesOf(row)) this.#balances.add(hourMs, use)
    this.#count(row, row.startedAtMs, totalsOf(row))
    const attempts = this.#attempts.get(row.requestId) ?? new Map<number, AttemptRow>()
    this.#attempts.set(row.requestId, attempts.set(row.attempt, row))
  }

  #addAdjustment(row: AdjustmentRow): void {
    if (this.#adjustments.has(row.id)) return
    this.#adjustments.set(row.id, row)
    this.#count(row, row.bookedAtMs, totalsOfAdjustment(row))
  }

  #count(series: UserSeries, atMs: number, totals: UsageTotals): void {
    const quarterMs = Math.floor(atMs / QUARTER_MS) * QUARTER_MS
    const name = `${quarterMs} ${JSON.stringify(series.user)} ${seriesText(series)}`
    const counter = this.#counters.get(name)
    if (counter === undefined) this.#counters.set(name, { atMs: quarterMs, series, totals })
    else counter.totals = addTotals(counter.totals, totals)
  }

  #addRequest(row: RequestRow): void {
    assert(row.outcome !== 'open', 'only final rows are applied')
    if (this.#requests.has(row.id)) return
    this.#requests.set(row.id, row)
    const position = positionOf(row.timeMs, row.id)
    this.#positions.splice(lowerBound(this.#positions, position), 0, position)
  }

  #trim(): void {
    for (const position of this.#positions.splice(0, this.#positions.length - this.#requestsMax)) {
      this.#requests.delete(positionId(position))
      this.#attempts.delete(positionId(position))
    }
    // Attempts whose request never came (its instance was lost) must not stay for ever.
    for (const id of this.#attempts.keys()) {
      if (this.#attempts.size <= 2 * this.#requestsMax) break
      this.#attempts.delete(id)
    }
    for (const id of this.#adjustments.keys()) {
      if (this.#adjustments.size <= this.#requestsMax) break
      this.#adjustments.delete(id)
    }
    const excess = this.#counters.size - this.#countersMax
    if (excess <= 0) return
    const byHour = [...this.#counters].sort(([, left], [, right]) => left.atMs - right.atMs)
    for (const [name] of byHour.slice(0, excess)) this.#counters.delete(name)
  }
}

/** Index of the first element that is not below `value`. */
function lowerBound(sorted: readonly string[], value: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? '') < value) low = middle + 1
    else high = middle
  }
  return low
}
