// The ledger of record in this file: what all instances have shipped, by their marks, beside this instance's own rows,
// which come through its journal. It follows the stream, takes over what another ledger counts, and gives both away.

import type { AdjustmentRow } from '#core/adjustments.ts'
import type { LedgerRow, UsageGroup, UsageQuery } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import type { SpentAsked, SpentSnapshot, SpentSum } from '#core/spent.ts'
import { StoreUnavailableError } from '../errors.ts'
import { parseAdjustment, parseAttempt, parseRequest } from '../row-json.ts'
import { type AttemptCount, sessionName } from '../shipment.ts'
import type { FoundingSnapshot, LedgerSnapshot } from '../snapshot.ts'
import { HOUR_MS, hourStartMs, NO_TOTALS, parseSeries, UsageReportBuilder } from '../usage-report.ts'
import type { LedgerArchive } from './archive.ts'
import { countOf } from './attempt-counts.ts'
import type { LedgerBook } from './book.ts'
import type { SqlDriver } from './driver.ts'
import { parseEntry } from './entry-text.ts'
import type { SqliteJournal } from './journal.ts'
import { adoptSnapshot, ownCounts, readSnapshotTables } from './record-tables.ts'
import { number, text } from './row-checks.ts'
import { UsageTables } from './usage-tables.ts'

/** An entry of the stream: a whole request, or one row. */
export interface StreamEntry {
  readonly instance: string
  readonly epoch: number
  /** Of its first row. */
  readonly sequence: number
  /** The row of its epoch before it. */
  readonly after: number
  readonly kind: 'entry' | LedgerRow['kind']
  readonly id: string
  /** Of a whole request. */
  readonly timeMs: number
  readonly row: string
  /** Of an attempt whose month was closed before. */
  readonly lateAtMs?: number
}

/** How far the stream was followed. `life`: of the ledger whose stream it is. */
export interface StreamPosition {
  readonly life: string
  readonly entry: string
}

export interface RecordOptions {
  readonly driver: SqlDriver
  readonly book: LedgerBook
  readonly journal: SqliteJournal
  readonly archive: LedgerArchive
  readonly instance: string
  readonly meta: { read(name: string): string | null; write(name: string, value: string): void }
  readonly nowMs: () => number
}

export class LedgerRecord {
  readonly #options: RecordOptions
  readonly #tables: UsageTables

  constructor(options: RecordOptions) {
    this.#options = options
    this.#tables = new UsageTables(options.driver)
  }

  /** null: this file is no archive. */
  get position(): StreamPosition | null {
    const value = this.#options.meta.read('archive_position')
    return value === null ? null : (JSON.parse(value) as StreamPosition)
  }

  /** All requests that began since are listed here (epoch ms); 0: all that there ever were. */
  get requestsFromMs(): number {
    return Number(this.#options.meta.read('requests_from_ms') ?? '0')
  }

  /** The same of what each attempt counted; hours before are known as sums only. */
  get rowsFromMs(): number {
    return Number(this.#options.meta.read('rows_from_ms') ?? '0')
  }

  /** How much is counted here; more of it is more complete. */
  weight(): number {
    if (this.position === null) return 0
    const row = this.#options.driver.prepare('SELECT ifnull(sum(attempts), 0) AS sum FROM rollup_day').get()
    return 1 + (row === undefined ? 0 : number(row, 'sum'))
  }

  /** By `INSTANCE:EPOCH`: the last row that is counted here. */
  marks(): ReadonlyMap<string, number> {
    const { driver, book, instance } = this.#options
    const marks = new Map<string, number>()
    for (const row of driver.prepare('SELECT instance, epoch, sequence FROM applied').all())
      marks.set(sessionName(text(row, 'instance'), number(row, 'epoch')), number(row, 'sequence'))
    for (const { epoch, end } of book.epochs()) marks.set(sessionName(instance, epoch), end)
    return marks
  }

  /**
   * Applies entries in order, each once, and moves on to `position`. False: rows before one of them are missing here, so
   * that nothing was applied; only a snapshot helps.
   */
  follow(entries: readonly StreamEntry[], position: StreamPosition): boolean {
    const { book, meta, archive } = this.#options
    let hasGap = false
    try {
      book.transaction(() => {
        for (const entry of entries) {
          if (archive.markOf(entry.instance, entry.epoch) < entry.after) throw new Gap()
          this.#apply(entry)
        }
        meta.write('archive_position', JSON.stringify(position))
      })
    } catch (error) {
      archive.forget()
      if (!(error instanceof Gap)) throw error
      hasGap = true
    }
    return !hasGap
  }

  /** All that is counted here, and by which rows. @throws StoreUnavailableError while the disk is ill */
  snapshot(): FoundingSnapshot {
    this.#settle()
    const { driver, book } = this.#options
    const months = book.months.list().map((closed) => ({ closed, table: book.months.table(closed.month) }))
    return { ...readSnapshotTables(driver), marks: this.marks(), months }
  }

  /**
   * Counts what a snapshot counts, and this instance's own rows beyond it; the stream is to be followed from its
   * beginning. `requestsFromMs`: what the stream still lists.
   */
  adopt(snapshot: LedgerSnapshot, position: StreamPosition, requestsFromMs: number): void {
    const { driver, book, instance, meta, archive, nowMs } = this.#options
    this.#settle()
    const own = ownCounts(
      driver,
      book.epochs(),
      (epoch) => snapshot.marks.get(sessionName(instance, epoch)) ?? 0,
      book.months,
    )
    const others = [...snapshot.marks].filter(([session]) => !session.startsWith(`${instance}:`))
    book.transaction(() => {
      adoptSnapshot(driver, snapshot, own, others)
      meta.write('archive_position', JSON.stringify(position))
      meta.write('requests_from_ms', String(requestsFromMs))
      // What was counted elsewhere has no rows here.
      const fromMs = snapshot.hours.size === 0 ? 0 : hourStartMs(nowMs() + HOUR_MS)
      meta.write('rows_from_ms', String(Math.max(this.rowsFromMs, fromMs)))
    })
    archive.forget()
  }

  /**
   * Of what was shipped: who holds money for rows that wait gives it up when it tells them.
   * @throws StoreUnavailableError while the disk is ill
   */
  spent(asked: readonly SpentAsked[]): SpentSnapshot {
    const { driver, book, instance } = this.#options
    this.#settle()
    const shipped = book.sequence - book.rowsWaiting
    const waiting = ownCounts(driver, book.epochs(), () => shipped, book.months)
    const marks = new Map(this.marks())
    for (const { epoch, base, end } of book.epochs()) {
      const mark = Math.min(end, shipped)
      if (mark > base) marks.set(sessionName(instance, epoch), mark)
      else marks.delete(sessionName(instance, epoch))
    }
    const reports = new Map<string, ReadonlyMap<string, readonly SpentSum[]>>()
    const sums = asked.map(({ kind, name, fromMs, byHour }) => {
      const query = `${kind} ${fromMs} ${byHour}`
      const known = reports.get(query) ?? this.#spentBy(SPENT_GROUPS[kind], fromMs, byHour, waiting)
      reports.set(query, known)
      return known.get(name) ?? []
    })
    return { marks, sums }
  }

  /** Brings the tables up to what the marks say. */
  #settle(): void {
    const { journal } = this.#options
    journal.flush()
    if (journal.failure !== null) throw new StoreUnavailableError('the ledger of record cannot be written')
  }

  #spentBy(
    group: UsageGroup,
    fromMs: number | null,
    byHour: boolean,
    waiting: readonly AttemptCount[],
  ): ReadonlyMap<string, readonly SpentSum[]> {
    const isWhole = fromMs === null || fromMs >= this.rowsFromMs
    const query: UsageQuery = {
      groupBy: [group],
      bucket: byHour ? 'hour' : null,
      fromMs: isWhole ? fromMs : hourStartMs(fromMs),
      toMs: null,
    }
    const builder = new UsageReportBuilder(query)
    for (const part of this.#tables.plan(query)) this.#tables.read(part, query, builder)
    for (const { startedAtMs, series, totals } of waiting) {
      if (query.fromMs !== null && startedAtMs < query.fromMs) continue
      builder.add(parseSeries(series), startedAtMs, { ...NO_TOTALS, costNano: -totals.costNano as Nano })
    }
    for (const late of this.#late(query.fromMs))
      builder.add(late.row, late.startedAtMs, { ...NO_TOTALS, costNano: late.row.amountNano })
    const byName = new Map<string, SpentSum[]>()
    for (const { group: names, bucketMs, costNano } of builder.report().rows) {
      const [name = ''] = names
      const list = byName.get(name) ?? []
      list.push({ hourMs: bucketMs, amountNano: costNano })
      byName.set(name, list)
    }
    return byName
  }

  /** What was spent in closed months, shipped and late: budgets go by when it began. */
  #late(fromMs: number | null): readonly { readonly row: AdjustmentRow; readonly startedAtMs: number }[] {
    const { driver, book } = this.#options
    if (book.months.untilMs <= (fromMs ?? 0)) return []
    const shipped = book.sequence - book.rowsWaiting
    const found = driver
      .prepare('SELECT id, sequence FROM request WHERE sequence > ?1 - 64 AND sequence + rows - 1 > ?1')
      .all(shipped)
    const waiting = new Map(found.map((row) => [text(row, 'id'), number(row, 'sequence')]))
    return book.late().flatMap((row) => {
      const { startedAtMs = 0, requestId, attempt } = row
      const sequence = (waiting.get(requestId ?? '') ?? 0) + (attempt ?? 1) - 1
      const isTold = !waiting.has(requestId ?? '') || sequence <= shipped
      return isTold && (fromMs === null || startedAtMs >= fromMs) ? [{ row, startedAtMs }] : []
    })
  }

  #apply(entry: StreamEntry): void {
    const { archive, book } = this.#options
    const { instance, epoch, sequence, kind, id, timeMs, row } = entry
    if (kind !== 'entry') {
      archive.applyNow({ instance, epoch, firstSequence: sequence, rows: [rowOf(entry)] })
      return
    }
    const { attempts } = parseEntry(id, timeMs, row)
    const mark = archive.markOf(instance, epoch)
    // What is counted already may be listed nowhere here yet.
    book.insert({ id, timeMs, text: row, attempts: [] })
    for (const [index, attempt] of attempts.entries())
      if (sequence + index > mark) book.count(countOf(attempt))
    archive.mark(instance, epoch, sequence + attempts.length)
  }
}

class Gap extends Error {}

const SPENT_GROUPS = {
  key: 'key',
  team: 'team',
  organisation: 'organisation',
  provider: 'provider',
  target: 'target',
} as const satisfies Record<SpentAsked['kind'], UsageGroup>

function rowOf({ kind, row, lateAtMs }: StreamEntry): LedgerRow {
  if (kind === 'attempt') {
    const attempt = { kind, row: parseAttempt(row) } as const
    return lateAtMs === undefined ? attempt : { ...attempt, lateAtMs }
  }
  if (kind === 'request') return { kind, row: parseRequest(row) }
  return { kind: 'adjustment', row: parseAdjustment(row) }
}
