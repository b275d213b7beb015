// What the journal keeps in memory: requests that have rows to come, and rows that wait for the next commit.

import type { AttemptRow, RequestRow } from '#core/ledger.ts'

export interface LiveRequest {
  readonly id: string
  number: number
  /** The row that was opened; null: known through an attempt only, or from the file. */
  opened: RequestRow | null
  /** Its row was made up from an attempt that came first; the real one replaces it. */
  derived: boolean
  final: boolean
  openAttempts: number
  /** By attempt number. */
  readonly attempts: ('open' | 'final' | undefined)[]
  queuedRows: number
  /** Opening rows that are still in the queue. */
  openRequestEntry: JournalEntry | null
  openAttemptEntries: JournalEntry[]
}

export interface JournalEntry {
  readonly live: LiveRequest
  readonly kind: 'open-request' | 'derived-request' | 'open-attempt' | 'attempt' | 'request'
  readonly request: RequestRow | null
  readonly attempt: AttemptRow | null
  /** Its final state is in the queue too, so it is not written by itself. */
  superseded: boolean
}

export function liveRequest(id: string, requestNumber: number): LiveRequest {
  return {
    id,
    number: requestNumber,
    opened: null,
    derived: false,
    final: false,
    openAttempts: 0,
    attempts: [],
    queuedRows: 0,
    openRequestEntry: null,
    openAttemptEntries: [],
  }
}

/** Keeps an attempt reachable whose request was never opened; its request's own row replaces this one. */
export function requestFromAttempt(row: AttemptRow): RequestRow {
  return {
    id: row.requestId,
    timeMs: row.startedAtMs,
    key: row.key,
    tags: row.tags,
    model: row.model,
    api: '',
    stream: false,
    status: 0,
    outcome: 'open',
    error: null,
    attempts: row.attempt,
    costNano: null,
    currency: row.cost?.currency ?? '',
    durationMs: 0,
    decision: null,
  }
}
