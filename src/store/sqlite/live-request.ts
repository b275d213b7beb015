// What the journal keeps in memory of requests that are not in the file yet, and the lines that say the same in the log.

import { assert } from '#core/assert.ts'
import type { AttemptRow, RequestDetail, RequestRow } from '#core/ledger.ts'
import { detailText, parsePart, parseRequest, partText, requestText } from '../row-json.ts'
import type { EndedRequest } from './book.ts'

interface LiveAttempt {
  readonly row: AttemptRow
  readonly text: string
}

export class LiveRequest {
  readonly id: string
  row: RequestRow
  /** Its attempts are all ended, and so is it. */
  ended = false
  #text: string
  /** By attempt number, from 1. */
  readonly #attempts: LiveAttempt[] = []

  constructor(row: RequestRow) {
    this.id = row.id
    this.row = row
    this.#text = requestText(row)
  }

  get openAttempts(): number {
    let open = 0
    for (const attempt of this.#attempts) if (attempt.row.outcome === 'open') open++
    return open
  }

  hasAttempt(attempt: number): boolean {
    return this.#attempts[attempt - 1] !== undefined
  }

  /** Opens or ends an attempt. */
  setAttempt(row: AttemptRow): void {
    assert(row.attempt <= this.#attempts.length + 1, 'attempts are numbered in order')
    this.#attempts[row.attempt - 1] = { row, text: partText(row) }
  }

  end(row: RequestRow): void {
    this.row = row
    this.#text = requestText(row)
    this.ended = true
  }

  detail(): RequestDetail {
    return { request: this.row, attempts: this.#attempts.map((attempt) => attempt.row) }
  }

  toEnded(): EndedRequest {
    return {
      id: this.id,
      timeMs: this.row.timeMs,
      text: detailText(
        this.#text,
        this.#attempts.map((attempt) => attempt.text),
      ),
      attempts: this.#attempts.map((attempt) => attempt.row),
    }
  }

  /** The line that says the request as it stands. */
  requestLine(): string {
    return `r${this.id}\t${this.#text}\n`
  }

  /** The line that says an attempt as it stands. */
  attemptLine(attempt: number): string {
    return `a${this.id}\t${this.#attempts[attempt - 1]?.text ?? ''}\n`
  }

  /** All of it, for a new segment of the log. */
  lines(): string {
    let lines = this.requestLine()
    for (const { row } of this.#attempts) lines += this.attemptLine(row.attempt)
    return lines
  }
}

/** Reads the lines of a log: requests by id, as the last lines of each left them. */
export function replay(pieces: Iterable<string>): Map<string, LiveRequest> {
  const requests = new Map<string, LiveRequest>()
  for (const piece of pieces) {
    for (const line of piece.split('\n')) {
      if (line === '') continue
      const tab = line.indexOf('\t')
      replayLine(requests, line.charAt(0), line.slice(1, tab), line.slice(tab + 1))
    }
  }
  return requests
}

function replayLine(requests: Map<string, LiveRequest>, kind: string, id: string, text: string): void {
  const known = requests.get(id)
  if (kind === 'r') {
    const row = parseRequest(text)
    const request = known ?? new LiveRequest(row)
    if (row.outcome !== 'open') request.end(row)
    requests.set(id, request)
  } else if (known !== undefined) {
    const row = parsePart(text, known.row)
    // A later segment repeats what an earlier one said; an end is never taken back.
    const isOpen = row.outcome === 'open'
    if (!isOpen || !known.hasAttempt(row.attempt)) known.setAttempt(row)
  }
}
