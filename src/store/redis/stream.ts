// The stream of rows in Redis: how its entries are read, and when the oldest go.

import { assert } from '#core/assert.ts'
import type { RequestDetail } from '#core/ledger.ts'
import { positionId, positionTimeMs } from '../cursor.ts'
import { parseEntry } from '../sqlite/entry-text.ts'
import type { RedisConnection } from './connection.ts'
import { KEYS } from './keys.ts'

/** An archive that has said nothing for so long is waited for no more. */
const ARCHIVE_WAIT_MS = 24 * 3_600_000
/** Entries that go in one call; the server does nothing else meanwhile. */
const TRIMMED_AT_ONCE = 1_000
const LOOK_MS = 5_000

export type Entry = [id: string, fields: string[]]

export function fieldOf(fields: readonly string[], name: string): string {
  const value = fields[fields.indexOf(name) + 1]
  assert(value !== undefined, `an entry of the stream has a field ${name}`)
  return value
}

/** A whole request, as its instance wrote it. */
export function entryOf(fields: readonly string[]): RequestDetail {
  const position = fieldOf(fields, 'position')
  return parseEntry(positionId(position), positionTimeMs(position), fieldOf(fields, 'row'))
}

export interface TrimmerOptions {
  readonly connection: RedisConnection
  readonly rowsMax: number
  readonly rowsMs: number
  readonly onTrimmed: ((entries: number, unarchived: number) => void) | undefined
}

export class StreamTrimmer {
  readonly #options: TrimmerOptions
  #lookedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: TrimmerOptions) {
    this.#options = options
  }

  /** Rows were added, after which the stream has so many entries; 0: it was not said. */
  async shipped(entries: number): Promise<void> {
    const isDue = performance.now() - this.#lookedAtMs > LOOK_MS
    if (isDue || entries > this.#options.rowsMax) await this.trim()
  }

  /** Takes out what may go. */
  async trim(): Promise<void> {
    const { connection, rowsMax, rowsMs, onTrimmed } = this.#options
    this.#lookedAtMs = performance.now()
    for (;;) {
      const reply = await connection.script(
        'trim-4',
        [KEYS.meta, KEYS.rows, KEYS.requests, KEYS.entries],
        [rowsMax, rowsMs, TRIMMED_AT_ONCE, ARCHIVE_WAIT_MS],
      )
      const [entries = 0, unarchived = 0] = (reply as number[]).map(Number)
      if (entries > 0) onTrimmed?.(entries, unarchived)
      if (entries < TRIMMED_AT_ONCE) return
    }
  }
}
