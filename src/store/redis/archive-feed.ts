// What an archive does in Redis: it says that it is one, reads the stream, and tells how far it is.

import { positionId, positionTimeMs } from '../cursor.ts'
import type { LedgerSnapshot } from '../snapshot.ts'
import type { StreamEntry } from '../sqlite/record.ts'
import type { RedisConnection } from './connection.ts'
import { COUNTERS_KEPT_DAYS, KEYS } from './keys.ts'
import { readMarks, readSnapshot, readTogether } from './standing.ts'
import { type Entry, fieldOf } from './stream.ts'

/** Renewed five times in it. */
const ARCHIVE_MS = 10_000
const DAY_SECONDS = 86_400
/** Who archived is remembered, so that rows that it has are not called gone while it is away. */
const KNOWN_SECONDS = DAY_SECONDS

export type ArchiveMode = 'auto' | 'on'

export interface FollowReply {
  /** null: the ledger has none. */
  readonly life: string | null
  /** The last entry that was read; null: there are no more. */
  readonly last: string | null
  /** How many were read, own ones included. */
  readonly count: number
  readonly entries: readonly StreamEntry[]
}

/** Whether somebody archives: now, lately, or nobody. */
export type ArchivePresence = 'there' | 'away' | 'none'

/** All throw StoreUnavailableError. */
export class ArchiveFeed {
  readonly #connection: RedisConnection
  readonly #instance: string

  constructor(connection: RedisConnection, instance: string) {
    this.#connection = connection
    this.#instance = instance
  }

  /** True: this instance is the archive for the next `ARCHIVE_MS`. */
  async claim(mode: ArchiveMode, entry: string, rowsFromMs: number): Promise<boolean> {
    const keys = [KEYS.archive, KEYS.archiveWanted, KEYS.meta]
    const reply = await this.#connection.script('archive-3', keys, [
      this.#instance,
      mode,
      ARCHIVE_MS,
      entry,
      rowsFromMs,
    ])
    const isHeld = (reply as string[])[0] === 'held'
    if (isHeld)
      await this.#connection.run((redis) => redis.set(KEYS.archiveKnown, this.#instance, 'EX', KNOWN_SECONDS))
    return isHeld
  }

  /** Makes room for another one. */
  async leave(): Promise<void> {
    const holder = await this.#connection.run((redis) => redis.hget(KEYS.archive, 'instance'))
    if (holder === this.#instance) await this.#connection.run((redis) => redis.del(KEYS.archive))
  }

  async presence(): Promise<ArchivePresence> {
    const [now, lately] = await readTogether(this.#connection, (pipeline) => {
      pipeline.exists(KEYS.archive)
      pipeline.exists(KEYS.archiveKnown)
    })
    return now === 1 ? 'there' : lately === 1 ? 'away' : 'none'
  }

  async follow(after: string, entriesMax: number): Promise<FollowReply> {
    const reply = await this.#connection.script(
      'follow-2',
      [KEYS.meta, KEYS.rows],
      [after, this.#instance, entriesMax],
    )
    const [life, last, count, ...entries] = reply as [string, string, number, ...Entry[]]
    return {
      life: life === '' ? null : life,
      last: last === '' ? null : last,
      count: Number(count),
      entries: entries.map(entryOfStream),
    }
  }

  marks(): Promise<ReadonlyMap<string, number>> {
    return readMarks(this.#connection)
  }

  /** With the life that it is of, and since when the stream lists all (epoch ms). */
  async snapshot(): Promise<{
    readonly life: string | null
    readonly requestsFromMs: number
    readonly snapshot: LedgerSnapshot
  }> {
    const [life, from] = await this.#meta()
    const snapshot = await readSnapshot(this.#connection)
    const [lifeAfter] = await this.#meta()
    return { life: life === lifeAfter ? life : null, requestsFromMs: Number(from ?? 0), snapshot }
  }

  /** The stream lists all requests that began since (epoch ms); 0: all that there ever were. */
  async requestsFromMs(): Promise<number> {
    const [, from] = await this.#meta()
    return Number(from ?? 0)
  }

  /** The ledger was begun with less than this archive has: it is to be begun again. */
  async disown(life: string): Promise<void> {
    await this.#connection.script('disown-1', [KEYS.meta], [life])
  }

  /** Rows up to there may leave the journals of their instances. */
  async tellMarks(marks: ReadonlyMap<string, number>): Promise<void> {
    if (marks.size === 0) return
    await readTogether(this.#connection, (pipeline) => {
      pipeline.hset(KEYS.archived, Object.fromEntries(marks))
      pipeline.expire(KEYS.archived, COUNTERS_KEPT_DAYS * DAY_SECONDS)
    })
  }

  /** What the archive has of sessions; null: nobody archives. */
  async archivedSequence(sessions: readonly string[]): Promise<number | null> {
    if ((await this.presence()) === 'none') return null
    if (sessions.length === 0) return 0
    const marks = await this.#connection.run((redis) => redis.hmget(KEYS.archived, ...sessions))
    return Math.max(0, ...marks.map(Number))
  }

  async #meta(): Promise<readonly [life: string | null, rowsFromMs: string | null]> {
    const [life = null, from = null] = await this.#connection.run((redis) =>
      redis.hmget(KEYS.meta, 'life', 'rows_from_ms'),
    )
    return [life, from]
  }
}

function entryOfStream([, fields]: Entry): StreamEntry {
  const kind = fieldOf(fields, 'kind') as StreamEntry['kind']
  const position = fieldOf(fields, 'position')
  const sequence = Number(fieldOf(fields, 'sequence'))
  return {
    instance: fieldOf(fields, 'instance'),
    epoch: Number(fieldOf(fields, 'epoch')),
    sequence,
    // Entries of an older version do not say it.
    after: fields.includes('after') ? Number(fieldOf(fields, 'after')) : 0,
    kind,
    id: kind === 'entry' ? positionId(position) : fieldOf(fields, 'id'),
    timeMs: kind === 'entry' ? positionTimeMs(position) : 0,
    row: fieldOf(fields, 'row'),
    ...(fields.at(-2) === 'late' ? { lateAtMs: Number(fields.at(-1)) } : {}),
  }
}
