// Numbers of series: rows name what usage is grouped by with one integer.

import { assert } from '#core/assert.ts'
import { type Series, seriesText } from '../usage-report.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { number, tagsText } from './rows.ts'
import { INSERT_SERIES, SELECT_SERIES } from './statements.ts'

/** Series kept at hand; past it they are looked up again. */
const CACHED_MAX = 20_000

export class SeriesNumbers {
  readonly #insert: SqlStatement
  readonly #select: SqlStatement
  readonly #numbers = new Map<string, number>()

  constructor(driver: SqlDriver) {
    this.#insert = driver.prepare(INSERT_SERIES)
    this.#select = driver.prepare(SELECT_SERIES)
  }

  /** The number of a series, made when it is new. */
  of(series: Series): number {
    const name = `${series.key}\n${series.model}\n${series.target}\n${tagsText(series.tags)}`
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    const text = seriesText(series)
    this.#insert.run(text)
    const row = this.#select.get(text)
    assert(row !== undefined, 'a series that was written is there')
    if (this.#numbers.size >= CACHED_MAX) this.#numbers.clear()
    const found = number(row, 'id')
    this.#numbers.set(name, found)
    return found
  }

  /** After a rollback: numbers made in that transaction are void. */
  forget(): void {
    this.#numbers.clear()
  }
}
