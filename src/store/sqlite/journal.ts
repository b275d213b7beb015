// The instance's journal: rows queue in memory and one transaction per turn of the event loop writes them all.
// What a row looks like on disk stands in writer.ts.

import { GatewayError } from '#core/errors.ts'
import type { AttemptRow, Journal, RequestRow } from '#core/ledger.ts'
import { JOURNAL_PENDING_ROWS_MAX } from '#core/limits.ts'
import type { Clock, Timer } from '#core/ports.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { type JournalEntry, type LiveRequest, liveRequest, requestFromAttempt } from './journal-entry.ts'
import { assertAttempt, assertRequest, number, text } from './rows.ts'
import type { LedgerWriter } from './writer.ts'

const RETRY_MS_FIRST = 50
const RETRY_MS_MAX = 2_000

export interface JournalOptions {
  readonly driver: SqlDriver
  readonly writer: LedgerWriter
  readonly clock: Clock
  /** Runs a function at the end of this turn of the event loop. */
  readonly schedule: (run: () => void) => void
  readonly pendingRowsMax: number | undefined
}

type Committed = (error: Error | null) => void

export class SqliteJournal implements Journal {
  readonly #writer: LedgerWriter
  readonly #clock: Clock
  readonly #schedule: (run: () => void) => void
  readonly #pendingRowsMax: number
  readonly #findRequest: SqlStatement
  readonly #findAttempts: SqlStatement
  readonly #live = new Map<string, LiveRequest>()
  #queue: JournalEntry[] = []
  #supersededRows = 0
  /** Callers who have not heard yet. */
  #waiting: Committed[] = []
  #scheduled = false
  #retryMs = 0
  #retryTimer: Timer | null = null
  #failure: Error | null = null

  constructor(options: JournalOptions) {
    this.#writer = options.writer
    this.#clock = options.clock
    this.#schedule = options.schedule
    this.#pendingRowsMax = options.pendingRowsMax ?? JOURNAL_PENDING_ROWS_MAX
    this.#findRequest = options.driver.prepare('SELECT number, outcome FROM request WHERE id = ?')
    this.#findAttempts = options.driver.prepare('SELECT attempt, outcome FROM attempt WHERE request = ?')
  }

  get pendingRows(): number {
    return this.#queue.length - this.#supersededRows
  }

  /** Why the last write failed; null while the disk is well. */
  get failure(): Error | null {
    return this.#failure
  }

  /** Request rows below this number are final, with all their attempts. */
  get firstLiveNumber(): number {
    let first = this.#writer.requestNumber + 1
    for (const live of this.#live.values()) first = Math.min(first, live.number)
    return first
  }

  /**
   * Final rows are always taken, as their number is bounded by what was opened.
   * @throws GatewayError `store_unavailable` when too many rows wait for the disk.
   */
  open(request: RequestRow, attempt: AttemptRow): void {
    if (this.pendingRows >= this.#pendingRowsMax) {
      throw new GatewayError('store_unavailable', 'the journal cannot be written')
    }
    assertRequest(request)
    assertAttempt(attempt)
    const live = this.#live.get(request.id) ?? this.#begin(request.id)
    if (live.opened === null && !live.final) {
      live.opened = request
      live.openRequestEntry = this.#push(live, 'open-request', request, null)
    }
    if (live.attempts[attempt.attempt] !== undefined) return
    live.attempts[attempt.attempt] = 'open'
    live.openAttempts += 1
    live.openAttemptEntries.push(this.#push(live, 'open-attempt', null, attempt))
  }

  attempt(row: AttemptRow): void {
    assertAttempt(row)
    const live = this.#live.get(row.requestId) ?? this.#restore(row.requestId) ?? this.#begin(row.requestId)
    const state = live.attempts[row.attempt]
    if (state === 'final') return
    if (live.opened === null && !live.final && !live.derived) {
      live.derived = true
      this.#push(live, 'derived-request', requestFromAttempt(row), null)
    }
    if (state === 'open') {
      live.openAttempts -= 1
      const opened = live.openAttemptEntries.find((entry) => entry.attempt?.attempt === row.attempt)
      this.#supersede(opened ?? null)
    }
    live.attempts[row.attempt] = 'final'
    this.#push(live, 'attempt', null, row)
  }

  /** `committed` is called once, never during this call, and must not throw. */
  request(row: RequestRow, committed: Committed): void {
    assertRequest(row)
    const live = this.#live.get(row.id) ?? this.#begin(row.id)
    live.final = true
    this.#supersede(live.openRequestEntry)
    this.#push(live, 'request', row, null)
    this.#waiting.push(committed)
  }

  /** Writes what waits, now. True when nothing waits any more. */
  flush(): boolean {
    this.#scheduled = false
    const entries = this.#queue
    if (entries.length === 0) return true
    this.#failure = this.#write(entries)
    if (this.#failure === null) {
      this.#queue = []
      this.#supersededRows = 0
      this.#retryMs = 0
      for (const entry of entries) this.#release(entry)
    } else {
      this.#retryLater()
    }
    this.#answer(this.#failure)
    return this.#queue.length === 0
  }

  stop(): void {
    this.#retryTimer?.cancel()
    this.#retryTimer = null
  }

  #write(entries: readonly JournalEntry[]): Error | null {
    try {
      this.#writer.transaction(() => {
        for (const entry of entries) if (!entry.superseded) this.#writeEntry(entry)
      })
      return null
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  #writeEntry(entry: JournalEntry): void {
    const { live, request, attempt } = entry
    if (attempt !== null) {
      if (entry.kind === 'attempt') this.#writer.closeAttempt(live.number, attempt)
      else this.#writer.openAttempt(live.number, attempt)
    } else if (request !== null) {
      if (entry.kind !== 'derived-request' && live.derived) this.#writer.deleteRequest(live.number)
      if (entry.kind === 'request') this.#closeRequest(live, request)
      else if (!this.#writer.openRequest(live.number, request)) this.#adopt(live)
    }
  }

  #closeRequest(live: LiveRequest, request: RequestRow): void {
    const isWritten = live.openRequestEntry === null && !live.derived
    this.#writer.closeRequest(live.number, request, isWritten ? live.opened : null)
  }

  #push(
    live: LiveRequest,
    kind: JournalEntry['kind'],
    request: RequestRow | null,
    attempt: AttemptRow | null,
  ): JournalEntry {
    const entry = { live, kind, request, attempt, superseded: false }
    this.#queue.push(entry)
    live.queuedRows += 1
    if (!this.#scheduled) {
      this.#scheduled = true
      this.#schedule(() => this.#turn())
    }
    return entry
  }

  #turn(): void {
    if (this.#retryTimer === null) {
      this.flush()
      return
    }
    // The disk is not asked more often than the backoff says, but nobody waits for it in the dark.
    this.#scheduled = false
    this.#answer(this.#failure)
  }

  #answer(failure: Error | null): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    for (const committed of waiting) committed(failure)
  }

  #retryLater(): void {
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs === 0 ? RETRY_MS_FIRST : this.#retryMs * 2)
    this.#retryTimer?.cancel()
    this.#retryTimer = this.#clock.after(this.#retryMs, () => {
      this.#retryTimer = null
      this.flush()
    })
  }

  #begin(id: string): LiveRequest {
    const live = liveRequest(id, this.#writer.nextRequestNumber())
    this.#live.set(id, live)
    return live
  }

  /** A row that comes after its request's end: the file knows the rest. */
  #restore(id: string): LiveRequest | null {
    const live = liveRequest(id, 0)
    if (!this.#adopt(live)) return null
    this.#live.set(id, live)
    return live
  }

  /** Takes over what the file knows of a request. False: nothing. */
  #adopt(live: LiveRequest): boolean {
    const found = this.#findRequest.get(live.id)
    if (found === undefined) return false
    live.number = number(found, 'number')
    live.final = text(found, 'outcome') !== 'open'
    for (const row of this.#findAttempts.all(live.number)) {
      const attempt = number(row, 'attempt')
      const state = text(row, 'outcome') === 'open' ? 'open' : 'final'
      const before = live.attempts[attempt]
      if (before === 'final') continue
      live.openAttempts += Number(state === 'open') - Number(before === 'open')
      live.attempts[attempt] = state
    }
    return true
  }

  #supersede(entry: JournalEntry | null): void {
    if (entry === null || entry.superseded) return
    entry.superseded = true
    this.#supersededRows += 1
  }

  #release(entry: JournalEntry): void {
    const { live } = entry
    live.queuedRows -= 1
    if (live.queuedRows > 0) return
    live.openRequestEntry = null
    live.openAttemptEntries = []
    if (live.final && live.openAttempts === 0) this.#live.delete(live.id)
  }
}
