// Months that finance has closed: nothing counts in them any more. What comes later counts in an open month.

/** Half-open, epoch ms. */
export interface MonthSpan {
  /** `YYYY-MM` in `timeZone`. */
  readonly month: string
  readonly timeZone: string
  readonly fromMs: number
  readonly toMs: number
}

export interface ClosedMonth extends MonthSpan {
  readonly closedAtMs: number
  readonly author: string
  readonly note: string
  /** What the month came to when it was closed, as JSON text; null: its report has not been kept yet. */
  readonly total: string | null
}

export interface MonthBook {
  /** Oldest first. */
  list(): Promise<readonly ClosedMonth[]>
  /** False: it is closed already. What had ended by then counts in it, what ends later does not. */
  close(month: Omit<ClosedMonth, 'total'>): Promise<boolean>
  /** Keeps the report of a closed month, once: what is there already stays. */
  keep(month: string, total: string, table: string): Promise<void>
  /** The kept table, byte by byte; null: none is kept. */
  table(month: string): Promise<string | null>
  /** Rows that instances have and this ledger does not, which may come late; absent: there are none. */
  waiting?(): Promise<WaitingRows>
}

export interface WaitingRows {
  readonly rows: number
  /** Instances that were here lately and say nothing now. */
  readonly silent: readonly string[]
}

/** Finance keeps ten years at most. */
export const CLOSED_MONTHS_MAX = 400

/** The closed month around an instant; null: it is in an open one. */
export function closedAt(months: readonly MonthSpan[], atMs: number): MonthSpan | null {
  return months.find(({ fromMs, toMs }) => fromMs <= atMs && atMs < toMs) ?? null
}
