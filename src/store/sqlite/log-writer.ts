// The journal's end of its log: lines gathered over a turn of the event loop, those who wait for them, and what becomes
// of both when the disk fails. What the lines say is journal.ts's.

import type { AppendLog } from './append-log.ts'

export type Committed = (error: Error | null) => void

export interface LogWriterOptions {
  readonly log: AppendLog
  /** Acknowledge only what survives the loss of power. */
  readonly syncs: boolean
  /** All that the tables do not have, as lines of a new segment. */
  readonly wholeText: () => string
  /** Writing failed outside of `write`; it is to be tried again. */
  readonly onFailure: () => void
}

export class LogWriter {
  readonly #options: LogWriterOptions
  #lines = ''
  #rowCount = 0
  /** Callers whose lines wait for the next write. */
  #waiting: Committed[] = []
  /** Callers whose lines are written and wait for the disk's word. */
  #unsynced: Committed[] = []
  #isSyncing = false
  /** What a failed sync leaves on the disk is anybody's guess: all of it goes into a new segment. */
  #mustRewrite = false
  #failure: Error | null = null
  #firstNeededSegment = 0
  /** Takes its place once the segment is safe. */
  #nextNeededSegment = 0

  constructor(options: LogWriterOptions) {
    this.#options = options
  }

  /** Of the lines that wait. */
  get pendingRows(): number {
    return this.#rowCount
  }

  /** Why the last write or sync failed. */
  get failure(): Error | null {
    return this.#failure
  }

  /** Segments of the log below this one hold nothing that the tables do not have. */
  get firstNeededSegment(): number {
    return this.#firstNeededSegment
  }

  /** A line says `rows` rows. */
  push(line: string, rows: number): void {
    this.#lines += line
    this.#rowCount += rows
  }

  /** Called once, never during this call, when the lines pushed so far are durable or cannot be made so for now. */
  wait(committed: Committed): void {
    this.#waiting.push(committed)
  }

  /** False: it failed, and who waits was told. */
  write(): boolean {
    try {
      if (this.#mustRewrite) this.rotate()
      else if (this.#rowCount > 0) {
        this.#options.log.append(this.#lines)
        this.#setWritten()
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error))
    }
    if (this.#failure !== null) {
      this.answer()
      return false
    }
    const waiting = this.#waiting
    this.#waiting = []
    if (this.#options.syncs) {
      this.#unsynced.push(...waiting)
      this.#sync()
    } else tell(waiting, null)
    return true
  }

  /** Begins a segment with what the tables do not have. @throws when it cannot; then the old one goes on */
  rotate(): void {
    const { log, wholeText, syncs } = this.#options
    log.rotate(wholeText())
    // What was pushed and not written is part of the whole.
    this.#setWritten()
    this.#mustRewrite = false
    this.#nextNeededSegment = log.segment
    if (!syncs) this.#firstNeededSegment = this.#nextNeededSegment
  }

  /** Tells those who wait for a write that it has failed. */
  answer(): void {
    const waiting = this.#waiting
    this.#waiting = []
    tell(waiting, this.#failure)
  }

  #setWritten(): void {
    this.#lines = ''
    this.#rowCount = 0
    this.#failure = null
  }

  /** One at a time: those who come meanwhile share the next. */
  #sync(): void {
    const isSafe = this.#unsynced.length === 0 && this.#nextNeededSegment === this.#firstNeededSegment
    if (this.#isSyncing || isSafe) return
    const waiting = this.#unsynced
    const segment = this.#nextNeededSegment
    this.#unsynced = []
    this.#isSyncing = true
    this.#options.log.sync((error) => {
      this.#isSyncing = false
      if (error === null) {
        this.#firstNeededSegment = segment
        tell(waiting, null)
        if (this.#failure === null) this.#sync()
        return
      }
      // The kernel may report a lost page once and then call it clean: syncing again would prove nothing.
      this.#failure = error
      this.#mustRewrite = true
      const all = [...waiting, ...this.#unsynced]
      this.#unsynced = []
      tell(all, error)
      this.#options.onFailure()
    })
  }
}

function tell(waiting: readonly Committed[], failure: Error | null): void {
  for (const committed of waiting) committed(failure)
}
