// Which rows an epoch of this instance has: sequences go on over its epochs, marks of other stores are by epoch.

import type { SqlDriver } from './driver.ts'
import { text } from './row-checks.ts'

/** Former epochs that are remembered; a journal has rows of a few. */
const EPOCHS_MAX = 200

export interface EpochSpan {
  readonly epoch: number
  /** The last row of the epochs before. */
  readonly base: number
  /** The last row of this one. */
  readonly end: number
}

type Base = Omit<EpochSpan, 'end'>

export class EpochBases {
  readonly #bases: readonly Base[]

  /** `opened`: the epoch that begins now; null: nothing is shipped. */
  constructor(driver: SqlDriver, opened: Base | null) {
    const row = driver.prepare("SELECT value FROM meta WHERE name = 'epoch_bases'").get()
    const known = row === undefined ? basesOfRows(driver) : (JSON.parse(text(row, 'value')) as Base[])
    this.#bases = opened === null ? known : [...known, opened].slice(-EPOCHS_MAX)
    if (opened === null) return
    driver
      .prepare(`INSERT INTO meta (name, value) VALUES ('epoch_bases', ?)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
      .run(JSON.stringify(this.#bases))
  }

  spans(lastSequence: number): readonly EpochSpan[] {
    return this.#bases
      .map(({ epoch, base }, index) => ({ epoch, base, end: this.#bases[index + 1]?.base ?? lastSequence }))
      .filter(({ base, end }) => end > base)
  }
}

/** Of a file of before they were kept: what is left of each. */
function basesOfRows(driver: SqlDriver): readonly Base[] {
  return driver
    .prepare(`SELECT epoch, min(sequence) - 1 AS base FROM request WHERE sequence IS NOT NULL
      GROUP BY epoch ORDER BY base`)
    .all()
    .map((row) => ({ epoch: Number(row['epoch']), base: Number(row['base']) }))
}
