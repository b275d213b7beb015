// The instance's journal: rows go to an append-only log, all of a turn of the event loop in one write, and are durable
// then. Ended requests move from there to the tables in larger transactions, a few times a second.

import { assert } from '#core/assert.ts'
import { GatewayError } from '#core/errors.ts'
import type { AttemptRow, Journal, RequestDetail, RequestRow } from '#core/ledger.ts'
import { JOURNAL_PENDING_ROWS_MAX } from '#core/limits.ts'
import type { Clock, Timer } from '#core/ports.ts'
import type { EndedRequest } from '../shipment.ts'
import type { AppendLog } from './append-log.ts'
import { countOf } from './attempt-counts.ts'
import type { LedgerBook } from './book.ts'
import { detailText, parseEntry } from './entry-text.ts'
import { LiveRequest, replay, wholeLine } from './live-request.ts'
import { type Committed, LogWriter } from './log-writer.ts'
import { assertAttempt, assertRequest } from './row-checks.ts'
import { RunningRequests } from './running-requests.ts'

const RETRY_MS_FIRST = 50
const RETRY_MS_MAX = 2_000
/** How long an ended request waits for the tables; reports look into the log's memory too, so nobody waits for it. */
const BOOK_MS = 100
/** How long counters may lack what the rows have; reports bring them up to date themselves. */
const ROLL_UP_MS = 1_000
/** Requests of one transaction: it keeps the event loop for about a millisecond. */
const BOOK_REQUESTS_MAX = 500
const SEGMENT_BYTES_MAX = 16 * 1024 * 1024

export interface JournalOptions {
  readonly log: AppendLog
  readonly book: LedgerBook
  readonly clock: Clock
  /** Runs a function at the end of this turn of the event loop. */
  readonly schedule: (run: () => void) => void
  /** Acknowledge only what survives the loss of power. */
  readonly syncs: boolean
  readonly pendingRowsMax: number | undefined
}

export class SqliteJournal implements Journal {
  readonly #options: JournalOptions
  readonly #pendingRowsMax: number
  readonly #running = new RunningRequests()
  /** What the tables do not have yet. */
  #ended: EndedRequest[] = []
  readonly #writer: LogWriter
  #scheduled = false
  #bookTimer: Timer | null = null
  #rollUpTimer: Timer | null = null
  #retryMs = 0
  #retryTimer: Timer | null = null
  #rotateFailure: Error | null = null
  #bookFailure: Error | null = null
  #aliveAtMs = 0
  #isStopped = false

  constructor(options: JournalOptions) {
    this.#options = options
    this.#pendingRowsMax = options.pendingRowsMax ?? JOURNAL_PENDING_ROWS_MAX
    const { log, syncs } = options
    this.#writer = new LogWriter({
      log,
      syncs,
      wholeText: () => this.#wholeText(),
      onFailure: () => this.#retryLater(),
    })
    for (const detail of replay(options.log.read()).values()) {
      this.#aliveAtMs = Math.max(this.#aliveAtMs, lastOf(detail))
      if (detail.request.outcome === 'open') this.#running.set(detail.request.id, reopened(detail))
      else this.#ended.push(endedOf(detail))
    }
  }

  /** The last instant of which the log spoke when it was opened; 0: of none. */
  get aliveAtMs(): number {
    return this.#aliveAtMs
  }

  /** Rows that wait for the disk, in the log or in the tables. */
  get pendingRows(): number {
    return this.#writer.pendingRows + this.#ended.length
  }

  /** Why the last write failed; null while the disk is well. */
  get failure(): Error | null {
    return this.#writer.failure ?? this.#bookFailure ?? this.#rotateFailure
  }

  /** Segments of the log below this one hold nothing that the tables do not have. */
  get firstNeededSegment(): number {
    return this.#writer.firstNeededSegment
  }

  running(): RequestDetail[] {
    return Array.from(this.#running.values(), (request) => request.detail())
  }

  /** Running requests, and ended ones that the tables do not have yet. */
  unbooked(): RequestDetail[] {
    return [...this.running(), ...this.#ended.map(parsed)]
  }

  /** One of `unbooked`. */
  find(id: string): RequestDetail | null {
    const running = this.#running.get(id)
    if (running !== null) return running.detail()
    const ended = this.#ended.find((request) => request.id === id)
    return ended === undefined ? null : parsed(ended)
  }

  /** @throws GatewayError `store_unavailable` when too many rows wait for the disk. */
  open(request: RequestRow, attempt: AttemptRow, written: Committed): void {
    if (this.pendingRows >= this.#pendingRowsMax) {
      throw new GatewayError('store_unavailable', 'the journal cannot be written')
    }
    assertRequest(request)
    assertAttempt(attempt)
    assert(attempt.outcome === 'open', 'an opened attempt is open')
    const known = this.#running.get(request.id)
    const live = known ?? new LiveRequest(request)
    if (known === null) this.#running.set(request.id, live)
    if (known === null) this.#push(live.openWith(attempt), 2)
    else this.#push(live.setAttempt(attempt))
    this.#writer.wait(written)
  }

  attempt(row: AttemptRow): void {
    assertAttempt(row)
    assert(row.outcome !== 'open', 'a closed attempt has an outcome')
    const live = this.#running.get(row.requestId)
    assert(live !== null, 'a request is opened before its attempts end')
    assert(live.hasAttempt(row.attempt), 'an attempt is opened before it ends')
    this.#push(live.setAttempt(row))
  }

  /** `committed` is called once, never during this call, and must not throw. */
  request(row: RequestRow, committed: Committed): void {
    assertRequest(row)
    assert(row.outcome !== 'open', 'a closed request has an outcome')
    const live = this.#running.get(row.id) ?? new LiveRequest(row)
    assert(live.openAttempts === 0, 'a request ends after its attempts')
    const { ended, line } = live.end(row)
    // Only the text is kept: what it was made of would wait for the tables with it, and be moved by the collector.
    this.#running.delete(row.id)
    this.#ended.push(ended)
    this.#push(line)
    this.#writer.wait(committed)
  }

  /** Writes what waits, into the log and into the tables, now. True when nothing waits any more. */
  flush(): boolean {
    this.#writeLog()
    this.#writeBook()
    if (this.#ended.length === 0) this.#rollUp()
    return this.#writer.pendingRows === 0 && this.#ended.length === 0 && !this.#options.book.isRollUpDue
  }

  /** Begins a segment with what the tables do not have; older ones may go once the tables are safe. */
  rotate(): void {
    this.#writer.rotate()
  }

  stop(): void {
    this.#isStopped = true
    for (const timer of [this.#retryTimer, this.#bookTimer, this.#rollUpTimer]) timer?.cancel()
    this.#retryTimer = null
    this.#bookTimer = null
    this.#rollUpTimer = null
  }

  #wholeText(): string {
    let lines = ''
    for (const request of this.#running.values()) lines += request.lines()
    for (const request of this.#ended) lines += wholeLine(request)
    return lines
  }

  #push(line: string, rows = 1): void {
    this.#writer.push(line, rows)
    if (this.#scheduled) return
    this.#scheduled = true
    this.#options.schedule(() => this.#turn())
  }

  #turn(): void {
    this.#scheduled = false
    // The disk is not asked more often than the backoff says, but nobody waits for it in the dark.
    if (this.#retryTimer === null || this.#writer.failure === null) this.#writeLog()
    else this.#writer.answer()
    if (this.#ended.length >= BOOK_REQUESTS_MAX) this.#writeBook()
    else if (this.#ended.length > 0) this.#bookSoon()
  }

  #writeLog(): void {
    const hasWritten = this.#writer.write()
    if (!hasWritten) this.#retryLater()
    else if (this.#bookFailure === null) this.#retryMs = 0
  }

  #writeBook(): void {
    this.#bookTimer?.cancel()
    this.#bookTimer = null
    // What is not in the log may not be in the tables: after a crash the log is what is believed.
    if (this.#writer.failure !== null) return
    while (this.#ended.length > 0) {
      const slice =
        this.#ended.length <= BOOK_REQUESTS_MAX ? this.#ended : this.#ended.slice(0, BOOK_REQUESTS_MAX)
      try {
        this.#bookSlice(slice)
        this.#bookFailure = null
        this.#retryMs = 0
      } catch (error) {
        this.#bookFailure = toError(error)
        return this.#retryLater()
      }
      this.#ended = this.#ended.slice(slice.length)
    }
    if (this.#options.log.bytes > SEGMENT_BYTES_MAX) this.#rotateIfPossible()
    this.#rollUpSoon()
  }

  #rollUp(): void {
    this.#rollUpTimer?.cancel()
    this.#rollUpTimer = null
    try {
      this.#options.book.rollUp()
      this.#bookFailure = null
    } catch (error) {
      this.#bookFailure = toError(error)
      this.#retryLater()
    }
  }

  #rollUpSoon(): void {
    if (this.#rollUpTimer !== null || this.#isStopped || !this.#options.book.isRollUpDue) return
    this.#rollUpTimer = this.#options.clock.after(ROLL_UP_MS, () => this.#rollUp())
  }

  #bookSlice(slice: readonly EndedRequest[]): void {
    const { book, clock } = this.#options
    const nowMs = clock.nowMs()
    book.transaction(() => {
      for (const request of slice) book.add(request, nowMs)
    })
  }

  #rotateIfPossible(): void {
    try {
      this.rotate()
      this.#rotateFailure = null
    } catch (error) {
      // The old segment goes on, and the next turn tries again.
      this.#rotateFailure = toError(error)
      this.#retryLater()
    }
  }

  #bookSoon(): void {
    if (this.#bookTimer !== null || this.#retryTimer !== null || this.#isStopped) return
    this.#bookTimer = this.#options.clock.after(BOOK_MS, () => {
      this.#bookTimer = null
      this.#writeLog()
      this.#writeBook()
    })
  }

  #retryLater(): void {
    if (this.#isStopped) return
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs === 0 ? RETRY_MS_FIRST : this.#retryMs * 2)
    this.#retryTimer?.cancel()
    this.#retryTimer = this.#options.clock.after(this.#retryMs, () => {
      this.#retryTimer = null
      this.flush()
    })
  }
}

/** As it ran when the log was written. */
function reopened({ request, attempts }: RequestDetail): LiveRequest {
  const live = new LiveRequest(request)
  for (const attempt of attempts) live.setAttempt(attempt)
  return live
}

function lastOf({ request, attempts }: RequestDetail): number {
  let atMs = request.timeMs + request.durationMs
  for (const row of attempts) atMs = Math.max(atMs, row.startedAtMs + row.durationMs)
  return atMs
}

function endedOf(detail: RequestDetail): EndedRequest {
  const { id, timeMs } = detail.request
  return { id, timeMs, text: detailText(detail), attempts: detail.attempts.map(countOf) }
}

function parsed({ id, timeMs, text }: EndedRequest): RequestDetail {
  return parseEntry(id, timeMs, text)
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
