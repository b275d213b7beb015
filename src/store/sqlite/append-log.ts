// What the journal asks of its file: appending whole pieces, and reading them back after a crash. The runtime gives it.

export interface AppendLog {
  /** For messages. */
  readonly path: string
  /** Bytes of the segment that is written to. */
  readonly bytes: number
  /** The segment that is written to; numbers go up. */
  readonly segment: number
  /** Appends one piece: after the death of this process all of it is there. @throws when it could not be written; then none of it is */
  append(piece: string): void
  /** Makes what was appended survive the loss of power. */
  sync(done: (error: Error | null) => void): void
  /** Whole pieces of all segments, oldest first; a torn one ends its segment. */
  read(): Iterable<string>
  /** Begins a new segment with this piece. @throws when it cannot; then the old one goes on */
  rotate(piece: string): void
  /** Deletes segments below this number. */
  drop(belowSegment: number): void
  close(): void
}
