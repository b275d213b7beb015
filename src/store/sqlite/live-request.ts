// What the journal keeps in memory of running requests, and the lines that say the same in the log.

import { assert } from '#core/assert.ts'
import type { AttemptRow, RequestDetail, RequestRow } from '#core/ledger.ts'
import type { EndedRequest } from '../shipment.ts'
import { countOf } from './attempt-counts.ts'
import {
  attemptText,
  entryText,
  headText,
  parseAttempt,
  parseEntry,
  parseTail,
  tailText,
} from './entry-text.ts'

// Lines of the log: a letter, the request's id, a tab, a text of entry-text.ts.
const OPENED = 'o'
const ATTEMPT = 'a'
/** Only what its end adds to what its opening said. */
const ENDED = 'e'
const WHOLE = 'w'

export class LiveRequest {
  readonly row: RequestRow
  #openAttempts = 0
  readonly #head: string
  /** By attempt number, from 1. */
  readonly #attempts: AttemptRow[] = []
  readonly #texts: string[] = []

  constructor(row: RequestRow) {
    this.row = row
    this.#head = headText(row)
  }

  get openAttempts(): number {
    return this.#openAttempts
  }

  hasAttempt(attempt: number): boolean {
    return attempt <= this.#attempts.length
  }

  /** Opens or ends an attempt. Returns the line that says so. */
  setAttempt(row: AttemptRow): string {
    return `${ATTEMPT}${this.row.id}\t${this.#note(row)}\n`
  }

  #note(row: AttemptRow): string {
    const index = row.attempt - 1
    assert(index <= this.#attempts.length, 'attempts are numbered in order')
    if (this.#attempts[index]?.outcome === 'open') this.#openAttempts--
    if (row.outcome === 'open') this.#openAttempts++
    const text = attemptText(row)
    this.#attempts[index] = row
    this.#texts[index] = text
    return text
  }

  detail(): RequestDetail {
    return { request: this.row, attempts: [...this.#attempts] }
  }

  /** The line that says how it opened, and with which first attempt. */
  openWith(row: AttemptRow): string {
    this.#note(row)
    return this.#openingLine(`,${this.#texts[0]}`)
  }

  #openingLine(attempts: string): string {
    return `${OPENED}${this.row.id}\t${this.row.timeMs},${entryText(this.#head, tailText(this.row), attempts)}\n`
  }

  /** It as it is kept, and the line that says its end. */
  end(row: RequestRow): { readonly ended: EndedRequest; readonly line: string } {
    const head = this.#saysHeadOf(row) ? this.#head : headText(row)
    const tail = tailText(row)
    let texts = ''
    for (const text of this.#texts) texts += `,${text}`
    const ended = {
      id: row.id,
      timeMs: row.timeMs,
      text: entryText(head, tail, texts),
      attempts: this.#attempts.map(countOf),
    }
    const isKnown = head === this.#head && row.timeMs === this.row.timeMs && this.#texts.length > 0
    return { ended, line: isKnown ? `${ENDED}${row.id}\t${tail}\n` : wholeLine(ended) }
  }

  /** All of it, for a new segment of the log. */
  lines(): string {
    let lines = this.#openingLine('')
    for (const text of this.#texts) lines += `${ATTEMPT}${this.row.id}\t${text}\n`
    return lines
  }

  /** True: its text needs not be made to know that it is the same. */
  #saysHeadOf(row: RequestRow): boolean {
    const { key, tags, user, model, api, stream, currency, decision } = this.row
    return (
      row.decision === decision &&
      row.tags === tags &&
      row.key === key &&
      row.user === user &&
      row.model === model &&
      row.api === api &&
      row.stream === stream &&
      row.currency === currency
    )
  }
}

/** The line that says all of an ended request. */
export function wholeLine(request: EndedRequest): string {
  return `${WHOLE}${request.id}\t${request.timeMs},${request.text}\n`
}

/** Reads the lines of a log: requests by id, as the last lines of each left them. */
export function replay(pieces: Iterable<string>): Map<string, RequestDetail> {
  const requests = new Map<string, RequestDetail>()
  for (const piece of pieces) {
    for (const line of piece.split('\n')) {
      if (line === '') continue
      const tab = line.indexOf('\t')
      const id = line.slice(1, tab)
      const request = replayed(requests.get(id), line.charAt(0), id, line.slice(tab + 1))
      if (request !== undefined) requests.set(id, request)
    }
  }
  return requests
}

/** A later segment repeats what an earlier one said; an end is never taken back. */
function replayed(
  known: RequestDetail | undefined,
  kind: string,
  id: string,
  text: string,
): RequestDetail | undefined {
  if (known !== undefined && known.request.outcome !== 'open') return known
  if (kind === OPENED || kind === WHOLE) {
    if (known !== undefined && kind === OPENED) return known
    const comma = text.indexOf(',')
    const timeMs = Number(text.slice(0, comma))
    return parseEntry(id, timeMs, text.slice(comma + 1))
  }
  if (known === undefined) return undefined
  const { request, attempts } = known
  if (kind === ENDED) return { request: parseTail(text, request), attempts }
  const row = parseAttempt(text, request)
  if (row.outcome === 'open' && attempts.length >= row.attempt) return known
  return { request, attempts: [...attempts.slice(0, row.attempt - 1), row, ...attempts.slice(row.attempt)] }
}
