// The instance's journal: rows go to an append-only log, all of a turn of the event loop in one write, and are durable
// then. Ended requests move from there to the tables in larger transactions, a few times a second.

import { assert } from '#core/assert.ts'
import { GatewayError } from '#core/errors.ts'
import type { AttemptRow, Journal, RequestDetail, RequestRow } from '#core/ledger.ts'
import { JOURNAL_PENDING_ROWS_MAX } from '#core/limits.ts'
import type { Clock, Timer } from '#core/ports.ts'
import type { AppendLog } from './append-log.ts'
import { countOf } from './attempt-counts.ts'
import type { EndedRequest, LedgerBook } from './book.ts'
import { detailText, parseEntry } from './entry-text.ts'
import { LiveRequest, replay, wholeLine } from './live-request.ts'
import { assertAttempt, assertRequest } from './row-checks.ts'
import { RunningRequests } from './running-requests.ts'

const RETRY_MS_FIRST = 50
const RETRY_MS_MAX = 2_000
/** How long an ended request waits for the tables; reports look into the log's memory too, so nobody waits for it. */
const BOOK_MS = 100
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

type Committed = (error: Error | null) => void

export class SqliteJournal implements Journal {
  readonly #options: JournalOptions
  readonly #pendingRowsMax: number
  readonly #running = new RunningRequests()
  /** What the tables do not have yet. */
  #ended: EndedRequest[] = []
  #lines = ''
  #lineCount = 0
  /** Callers who have not heard yet. */
  #waiting: Committed[] = []
  #scheduled = false
  #bookTimer: Timer | null = null
  #retryMs = 0
  #retryTimer: Timer | null = null
  #logFailure: Error | null = null
  #bookFailure: Error | null = null
  #isStopped = false
  #firstNeededSegment = 0

  constructor(options: JournalOptions) {
    this.#options = options
    this.#pendingRowsMax = options.pendingRowsMax ?? JOURNAL_PENDING_ROWS_MAX
    for (const detail of replay(options.log.read()).values()) {
      if (detail.request.outcome === 'open') this.#running.set(detail.request.id, reopened(detail))
      else this.#ended.push(endedOf(detail))
    }
  }

  /** Rows that wait for the disk, in the log or in the tables. */
  get pendingRows(): number {
    return this.#lineCount + this.#ended.length
  }

  /** Why the last write failed; null while the disk is well. */
  get failure(): Error | null {
    return this.#logFailure ?? this.#bookFailure
  }

  /** Segments of the log below this one hold nothing that the tables do not have. */
  get firstNeededSegment(): number {
    return this.#firstNeededSegment
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
    let live = this.#running.get(request.id)
    if (live === null) {
      live = new LiveRequest(request)
      this.#running.set(request.id, live)
      this.#push(live.openingLine())
    }
    this.#push(live.setAttempt(attempt))
    this.#waiting.push(written)
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
    this.#waiting.push(committed)
  }

  /** Writes what waits, into the log and into the tables, now. True when nothing waits any more. */
  flush(): boolean {
    this.#writeLog()
    this.#writeBook()
    return this.#lineCount === 0 && this.#ended.length === 0
  }

  /** Begins a segment with what the tables do not have; older ones may go once the tables are safe. */
  rotate(): void {
    let lines = ''
    for (const request of this.#running.values()) lines += request.lines()
    for (const request of this.#ended) lines += wholeLine(request)
    this.#options.log.rotate(lines)
    this.#firstNeededSegment = this.#options.log.segment
  }

  stop(): void {
    this.#isStopped = true
    this.#retryTimer?.cancel()
    this.#bookTimer?.cancel()
    this.#retryTimer = null
    this.#bookTimer = null
  }

  #push(line: string): void {
    this.#lines += line
    this.#lineCount++
    if (this.#scheduled) return
    this.#scheduled = true
    this.#options.schedule(() => this.#turn())
  }

  #turn(): void {
    this.#scheduled = false
    // The disk is not asked more often than the backoff says, but nobody waits for it in the dark.
    if (this.#retryTimer === null) this.#writeLog()
    else this.#answer(this.#logFailure)
    if (this.#ended.length >= BOOK_REQUESTS_MAX) this.#writeBook()
    else if (this.#ended.length > 0) this.#bookSoon()
  }

  #writeLog(): void {
    if (this.#lineCount > 0) {
      const { log } = this.#options
      try {
        log.append(this.#lines)
        this.#lines = ''
        this.#lineCount = 0
        this.#logFailure = null
        if (this.#bookFailure === null) this.#retryMs = 0
      } catch (error) {
        this.#logFailure = toError(error)
        this.#retryLater()
      }
    }
    if (!this.#options.syncs || this.#logFailure !== null) return this.#answer(this.#logFailure)
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length > 0) this.#options.log.sync((error) => tell(waiting, error))
  }

  #writeBook(): void {
    this.#bookTimer?.cancel()
    this.#bookTimer = null
    // What is not in the log may not be in the tables: after a crash the log is what is believed.
    if (this.#logFailure !== null) return
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
    } catch (error) {
      // The old segment goes on, and the next turn tries again.
      this.#logFailure = toError(error)
      this.#retryLater()
    }
  }

  #bookSoon(): void {
    if (this.#bookTimer !== null || this.#retryTimer !== null || this.#isStopped) return
    this.#bookTimer = this.#options.clock.after(BOOK_MS, () => {
      this.#bookTimer = null
      this.flush()
    })
  }

  #answer(failure: Error | null): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    tell(waiting, failure)
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

function endedOf(detail: RequestDetail): EndedRequest {
  const { id, timeMs } = detail.request
  return { id, timeMs, text: detailText(detail), attempts: detail.attempts.map(countOf) }
}

function parsed({ id, timeMs, text }: EndedRequest): RequestDetail {
  return parseEntry(id, timeMs, text)
}

function tell(waiting: readonly Committed[], failure: Error | null): void {
  for (const committed of waiting) committed(failure)
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
