// How far rows are told to one tag, by session. A tag that has lost some is told those again before any others: its mark
// alone would not say that they are missing.

import type { MarkMove } from './lease-words.ts'

export class ToldMarks {
  readonly #own: string
  /** By session: the last row that was told. */
  readonly #marks = new Map<string, number>()
  /** Sessions whose rows behind the mark are to be told again. */
  readonly #behind = new Set<string>()
  /** The last row of the own session that was looked at, or did not concern the tag. */
  #looked = 0

  constructor(own: string) {
    this.#own = own
  }

  /** undefined: nothing was told yet. */
  of(session: string): number | undefined {
    return this.#marks.get(session)
  }

  /** Rows up to `last` were looked at, and none of them behind the mark concerns the tag. */
  looked(last: number): void {
    if (!this.#behind.has(this.#own)) this.#looked = Math.max(this.#looked, last)
  }

  told(session: string, mark: number): void {
    this.#marks.set(session, mark)
    if (session === this.#own) this.looked(mark)
  }

  fellBehind(session: string, mark: number): void {
    this.#marks.set(session, mark)
    this.#behind.add(session)
    if (session === this.#own) this.#looked = mark
  }

  isBehind(session: string): boolean {
    return this.#behind.has(session)
  }

  caughtUp(session: string): void {
    this.#behind.delete(session)
  }

  /** Of the own session. Said again where it has not moved: a tag that lost what it knew does not say so by itself. */
  move(): MarkMove | null {
    if (this.#looked === 0) return null
    const mark = this.#marks.get(this.#own)
    return [mark ?? this.#looked, Math.max(mark ?? 0, this.#looked), mark === undefined]
  }
}
