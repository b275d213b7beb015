// What the journal asks of its file: appending whole pieces, and reading them back after a crash. The runtime gives it.

/** Bytes of a segment that were no whole pieces. */
export interface LogDamage {
  readonly segment: number
  readonly bytesUnread: number
}

export interface AppendLog {
  /** For messages. */
  readonly path: string
  /** Bytes of the segment that is written to. */
  readonly bytes: number
  /** The segment that is written to; numbers go up. */
  readonly segment: number
  /** Appends one piece: after the death of this process all of it is there. @throws when it could not be written; then none of it is */
  append(piece: string): void
  /** Makes what was appended survive the loss of power; one call at a time. */
  sync(done: (error: Error | null) => void): void
  /** Whole pieces of all older segments, oldest first. */
  read(): Iterable<string>
  /** What `read` had to leave out. */
  readonly damage: readonly LogDamage[]
  /** Begins a new segment with this piece. @throws when it cannot; then the old one goes on */
  rotate(piece: string): void
  /** Deletes segments below this number; damaged ones are put aside and stay. */
  drop(belowSegment: number): void
  close(): void
}
