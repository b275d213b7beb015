// Closed months in the file, and what becomes of attempts that end after theirs was closed: their tokens count now, at no
// cost, and what they cost is an adjustment beside them.

import { type AdjustmentRow, ofAttempt } from '#core/adjustments.ts'
import type { AttemptRow } from '#core/ledger.ts'
import { type ClosedMonth, closedAt, type MonthBook, type MonthSpan } from '#core/month-close.ts'
import { monthOf } from '#core/months.ts'
import type { AttemptCount } from '../shipment.ts'
import { withoutMoney } from '../usage-report.ts'
import { countOf } from './attempt-counts.ts'
import type { SqlDriver, SqlRow, SqlStatement } from './driver.ts'
import type { Migration } from './migrations.ts'
import { number, text } from './row-checks.ts'

export const CLOSED_MONTH_MIGRATION: Migration = {
  number: 15,
  sql: `
-- Months that finance has closed. total: what it came to, JSON; report: its table, as it was then; NULL until it is made.
CREATE TABLE closed_month (
  month TEXT PRIMARY KEY,
  time_zone TEXT NOT NULL,
  from_ms INTEGER NOT NULL,
  to_ms INTEGER NOT NULL,
  closed_at_ms INTEGER NOT NULL,
  author TEXT NOT NULL,
  note TEXT NOT NULL,
  total TEXT,
  report TEXT
) STRICT, WITHOUT ROWID;
`,
}

export const LATE_ROWS_MIGRATION: Migration = {
  number: 17,
  sql: `
-- Of a month that a fleet closed: rows of this instance up to there were counted before; NULL: all are that are here.
ALTER TABLE closed_month ADD COLUMN after_sequence INTEGER;
`,
}

/** `afterSequence`: own rows up to this one came before it was closed; null: it holds for all that comes now. */
interface KnownMonth extends MonthSpan {
  readonly closedAtMs: number
  readonly afterSequence: number | null
}

const COLUMNS = 'month, time_zone, from_ms, to_ms, closed_at_ms, author, note, total'

export class ClosedMonths {
  readonly #list: SqlStatement
  readonly #insert: SqlStatement
  readonly #keep: SqlStatement
  readonly #report: SqlStatement
  readonly #known: SqlStatement
  readonly #setAfter: SqlStatement
  #spans: readonly KnownMonth[] = []
  #untilMs = 0

  constructor(driver: SqlDriver) {
    this.#list = driver.prepare(`SELECT ${COLUMNS} FROM closed_month ORDER BY month`)
    this.#insert = driver.prepare(
      `INSERT INTO closed_month (${COLUMNS}) VALUES (?,?,?,?,?,?,?,NULL) ON CONFLICT DO NOTHING`,
    )
    this.#keep = driver.prepare(
      'UPDATE closed_month SET total = ?, report = ? WHERE month = ? AND report IS NULL',
    )
    this.#report = driver.prepare('SELECT report FROM closed_month WHERE month = ?')
    this.#known = driver.prepare(
      'SELECT month, time_zone, from_ms, to_ms, closed_at_ms, after_sequence FROM closed_month ORDER BY month',
    )
    this.#setAfter = driver.prepare('UPDATE closed_month SET after_sequence = ? WHERE month = ?')
    this.read()
  }

  /** Takes up what the table says, also after a rollback. */
  read(): void {
    this.#spans = this.#known.all().map(knownOfRow)
    this.#untilMs = untilOf(this.#spans)
  }

  list(): readonly ClosedMonth[] {
    return this.#list.all().map(monthOfRow)
  }

  close({ month, timeZone, fromMs, toMs, closedAtMs, author, note }: Omit<ClosedMonth, 'total'>): boolean {
    const { changes } = this.#insert.run(month, timeZone, fromMs, toMs, closedAtMs, author, note)
    this.read()
    return Number(changes) > 0
  }

  /** A month that a fleet closed when its ledger had rows of this instance up to a sequence. */
  learn(closed: ClosedMonth, afterSequence: number): void {
    if (this.close(closed)) this.#setAfter.run(afterSequence, closed.month)
    this.read()
  }

  keep(month: string, total: string, table: string): void {
    this.#keep.run(total, table, month)
  }

  table(month: string): string | null {
    const row = this.#report.get(month)
    return typeof row?.['report'] === 'string' ? row['report'] : null
  }

  /** The closed month of an attempt that began then; null: its month is open. */
  around(startedAtMs: number): MonthSpan | null {
    return startedAtMs < this.#untilMs ? closedAt(this.#spans, startedAtMs) : null
  }

  /** Before it nothing is late. */
  get untilMs(): number {
    return this.#untilMs
  }

  /** Whether an attempt that is this row of the instance came after its month was closed. */
  isLate(startedAtMs: number, sequence: number): boolean {
    return startedAtMs < this.#untilMs && this.#aroundRow(startedAtMs, sequence) !== null
  }

  /**
   * When a row of this instance counts that began in a closed month; null: in its month. It hangs on the row and on what
   * was closed before it was counted, on no clock: whenever it is asked the answer is the same.
   */
  lateAt(
    row: AttemptRow,
    sequence: number,
  ): { readonly closed: MonthSpan; readonly bookedAtMs: number } | null {
    const closed = this.#aroundRow(row.startedAtMs, sequence)
    if (closed === null) return null
    const endedAtMs = row.startedAtMs + Math.round(row.durationMs)
    return { closed, bookedAtMs: this.#openAt(Math.max(endedAtMs, closed.closedAtMs), sequence) }
  }

  /** The same of an adjustment. */
  reopened(row: AdjustmentRow, sequence: number): AdjustmentRow {
    const closed = this.#aroundRow(row.bookedAtMs, sequence)
    if (closed === null) return row
    const bookedAtMs = this.#openAt(row.bookedAtMs, sequence)
    return { ...row, bookedAtMs, month: monthOf(closed.timeZone, bookedAtMs) }
  }

  /** No month was closed before it was over. */
  #openAt(atMs: number, sequence: number): number {
    const closed = this.#aroundRow(atMs, sequence)
    return closed === null ? atMs : this.#openAt(Math.max(closed.toMs, closed.closedAtMs), sequence)
  }

  #aroundRow(atMs: number, sequence: number): KnownMonth | null {
    if (atMs >= this.#untilMs) return null
    const inForce = this.#spans.filter(
      ({ afterSequence }) => afterSequence === null || afterSequence < sequence,
    )
    return closedAt(inForce, atMs) as KnownMonth | null
  }

  /** The first instant from `nowMs` on that no closed month has: a clock may have been put back. */
  openFrom(nowMs: number): number {
    const span = this.around(nowMs)
    return span === null ? nowMs : this.openFrom(span.toMs)
  }

  /** An adjustment that was made before its month was closed, and comes after. */
  opened(row: AdjustmentRow, nowMs: number): AdjustmentRow {
    const closed = this.around(row.bookedAtMs)
    if (closed === null) return row
    const bookedAtMs = this.openFrom(nowMs)
    return { ...row, bookedAtMs, month: monthOf(closed.timeZone, bookedAtMs) }
  }
}

/** What a late attempt counts at `bookedAtMs`: all but its money. */
export function lateCount(count: AttemptCount, bookedAtMs: number): AttemptCount {
  return { ...count, startedAtMs: bookedAtMs, totals: withoutMoney(count.totals) }
}

/** What an own attempt counts, and its money where that is late. */
export interface OwnForm {
  readonly sequence: number
  readonly count: AttemptCount
  readonly late: AdjustmentRow | null
}

export function ownForm(months: ClosedMonths, row: AttemptRow, sequence: number): OwnForm {
  const late = months.lateAt(row, sequence)
  if (late === null) return { sequence, count: countOf(row), late: null }
  return {
    sequence,
    count: lateCount(countOf(row), late.bookedAtMs),
    late: lateAdjustment(row, late.closed, late.bookedAtMs),
  }
}

/** Its money; null: it cost nothing, or nobody knows what. */
export function lateAdjustment(row: AttemptRow, closed: MonthSpan, bookedAtMs: number): AdjustmentRow | null {
  const { cost } = row
  if (cost === null || cost.amountNano === 0n) return null
  const startedAt = new Date(row.startedAtMs).toISOString()
  return {
    id: `late:${row.requestId}:${row.attempt}`,
    timeMs: bookedAtMs,
    bookedAtMs,
    month: monthOf(closed.timeZone, bookedAtMs),
    ...ofAttempt(row),
    amountNano: cost.amountNano,
    currency: cost.currency,
    nativeNano: cost.nativeNano,
    nativeCurrency: cost.nativeCurrency,
    reason: 'late',
    author: 'sluice',
    note: `began at ${startedAt} and was booked after ${closed.month} had been closed`,
    priceVersionOld: null,
    priceVersionNew: cost.priceVersion,
    startedAtMs: row.startedAtMs,
  }
}

/** `settle` makes the tables hold all that has ended. */
export function monthBookOf(months: ClosedMonths, settle: () => void): MonthBook {
  return {
    list: async () => months.list(),
    async close(month) {
      settle()
      return months.close(month)
    },
    keep: async (month, total, table) => months.keep(month, total, table),
    table: async (month) => months.table(month),
  }
}

function untilOf(spans: readonly MonthSpan[]): number {
  return Math.max(0, ...spans.map(({ toMs }) => toMs))
}

function knownOfRow(row: SqlRow): KnownMonth {
  const after = row['after_sequence']
  return {
    month: text(row, 'month'),
    timeZone: text(row, 'time_zone'),
    fromMs: number(row, 'from_ms'),
    toMs: number(row, 'to_ms'),
    closedAtMs: number(row, 'closed_at_ms'),
    afterSequence: after === null ? null : Number(after),
  }
}

function monthOfRow(row: SqlRow): ClosedMonth {
  return {
    month: text(row, 'month'),
    timeZone: text(row, 'time_zone'),
    fromMs: number(row, 'from_ms'),
    toMs: number(row, 'to_ms'),
    closedAtMs: number(row, 'closed_at_ms'),
    author: text(row, 'author'),
    note: text(row, 'note'),
    total: typeof row['total'] === 'string' ? row['total'] : null,
  }
}
