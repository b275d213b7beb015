// The journal's log on Node: segments beside the database, each a row of pieces with their length and checksum.

import {
  close,
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  mkdirSync,
  open,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { StoreFileError } from '#store/errors.ts'
import type { AppendLog, LogDamage } from '#store/sqlite/append-log.ts'

/** Length and CRC-32 of what follows, each four bytes, big-endian. */
const HEAD_BYTES = 8
/** UTF-8 of a UTF-16 unit is never longer. */
const UNIT_BYTES_MAX = 3
/** Pieces of this many units share one buffer; a turn's piece is a few kilobytes. */
const SHARED_UNITS_MAX = 64 * 1024
const APPEND_NEW = 'ax'
const OWNER_ONLY = 0o600

/** Segments are `PATH.log.1`, `PATH.log.2`, …; a new one is begun at each opening. @throws StoreFileError */
export function openNodeAppendLog(path: string): AppendLog {
  try {
    mkdirSync(dirname(path), { recursive: true })
    return new NodeAppendLog(path)
  } catch (cause) {
    if (cause instanceof StoreFileError) throw cause
    throw new StoreFileError(`cannot open ${path}.log: ${messageOf(cause)}`, { cause })
  }
}

class NodeAppendLog implements AppendLog {
  readonly path: string
  segment: number
  bytes = 0
  readonly damage: LogDamage[] = []
  #file: number
  /** The segment's name is not known to survive the loss of power yet. */
  #isNew = true
  #isSyncing = false
  /** Files that were given up while they were synced. */
  readonly #toClose: number[] = []
  readonly #shared = Buffer.allocUnsafeSlow(HEAD_BYTES + SHARED_UNITS_MAX * UNIT_BYTES_MAX)

  constructor(path: string) {
    this.path = path
    this.segment = Math.max(0, ...this.#segments()) + 1
    this.#file = openSync(this.#name(this.segment), APPEND_NEW, OWNER_ONLY)
  }

  append(piece: string): void {
    this.#write(this.#file, piece)
  }

  sync(done: (error: Error | null) => void): void {
    const file = this.#file
    const isNew = this.#isNew
    this.#isSyncing = true
    const end = (error: Error | null): void => {
      this.#isSyncing = false
      if (error === null && isNew && file === this.#file) this.#isNew = false
      for (const given of this.#toClose.splice(0)) closeSync(given)
      done(error)
    }
    fdatasync(file, (error) => {
      if (error !== null || !isNew) return end(error)
      syncFolder(dirname(this.path), end)
    })
  }

  *read(): Iterable<string> {
    this.damage.length = 0
    for (const segment of this.#segments()) {
      if (segment >= this.segment) continue
      const bytesUnread = yield* pieces(readFileSync(this.#name(segment)))
      if (bytesUnread > 0) this.damage.push({ segment, bytesUnread })
    }
  }

  rotate(piece: string): void {
    const next = this.segment + 1
    const file = openSync(this.#name(next), APPEND_NEW, OWNER_ONLY)
    const before = this.bytes
    try {
      this.bytes = 0
      if (piece !== '') this.#write(file, piece)
    } catch (error) {
      this.bytes = before
      closeSync(file)
      unlinkSync(this.#name(next))
      throw error
    }
    this.#giveUp(this.#file)
    this.#file = file
    this.#isNew = true
    this.segment = next
  }

  drop(belowSegment: number): void {
    for (const segment of this.#segments()) {
      if (segment >= belowSegment) continue
      const isDamaged = this.damage.some((damage) => damage.segment === segment)
      if (isDamaged) renameSync(this.#name(segment), this.#asideName(segment))
      else unlinkSync(this.#name(segment))
    }
  }

  close(): void {
    this.#giveUp(this.#file)
    // An empty segment says nothing.
    if (this.bytes === 0 && existsSync(this.#name(this.segment))) unlinkSync(this.#name(this.segment))
  }

  /** A number that is being synced must not become another file's. */
  #giveUp(file: number): void {
    if (this.#isSyncing) this.#toClose.push(file)
    else closeSync(file)
  }

  /** Numbers may come again once a log was dropped, names must not. */
  #asideName(segment: number): string {
    const name = `${this.#name(segment)}.damaged`
    let copy = 1
    while (existsSync(`${name}${copy === 1 ? '' : `.${copy}`}`)) copy++
    return `${name}${copy === 1 ? '' : `.${copy}`}`
  }

  #write(file: number, piece: string): void {
    // There is room for the worst case, so that a turn's text is not walked over once more to count its bytes.
    const buffer =
      piece.length <= SHARED_UNITS_MAX
        ? this.#shared
        : Buffer.allocUnsafe(HEAD_BYTES + Buffer.byteLength(piece))
    const length = buffer.write(piece, HEAD_BYTES, 'utf8')
    const frame = buffer.subarray(0, HEAD_BYTES + length)
    frame.writeUInt32BE(length, 0)
    frame.writeUInt32BE(crc32(frame.subarray(HEAD_BYTES)), 4)
    let written = 0
    try {
      while (written < frame.length) written += writeSync(file, frame, written)
    } catch (error) {
      // Half a piece would end the segment for a reader: what follows must not be lost behind it.
      if (written > 0) ftruncateSync(file, fstatSync(file).size - written)
      throw error
    }
    this.bytes += frame.length
  }

  #segments(): number[] {
    const folder = dirname(this.path)
    const prefix = `${basename(this.path)}.log.`
    return readdirSync(folder)
      .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
      .map((name) => Number(name.slice(prefix.length)))
      .sort((left, right) => left - right)
  }

  #name(segment: number): string {
    return join(dirname(this.path), `${basename(this.path)}.log.${segment}`)
  }
}

/** Makes the names of new files survive the loss of power. */
function syncFolder(path: string, done: (error: Error | null) => void): void {
  open(path, 'r', (failure, folder) => {
    if (failure !== null) return done(failure)
    fsync(folder, (error) => close(folder, () => done(error)))
  })
}

/** Whole pieces. A damaged one is left out where the next one can be found by its length; returns the bytes left out. */
function* pieces(bytes: Buffer): Generator<string, number> {
  let unread = 0
  let at = 0
  while (at + HEAD_BYTES <= bytes.length) {
    const end = at + HEAD_BYTES + bytes.readUInt32BE(at)
    if (isWhole(bytes, at, end)) yield bytes.subarray(at + HEAD_BYTES, end).toString('utf8')
    else if (
      end + HEAD_BYTES <= bytes.length &&
      isWhole(bytes, end, end + HEAD_BYTES + bytes.readUInt32BE(end))
    )
      unread += end - at
    else break
    at = end
  }
  return unread + bytes.length - at
}

function isWhole(bytes: Buffer, at: number, end: number): boolean {
  return end <= bytes.length && crc32(bytes.subarray(at + HEAD_BYTES, end)) === bytes.readUInt32BE(at + 4)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
