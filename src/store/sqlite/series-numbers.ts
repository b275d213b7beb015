// Numbers of series: rows name what usage is grouped by with one integer.

import { assert } from '#core/assert.ts'
import { type Series, seriesText } from '../usage-report.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { number } from './row-checks.ts'

/** Series kept at hand; past it they are looked up again. */
const CACHED_MAX = 20_000

export class SeriesNumbers {
  readonly #insert: SqlStatement
  readonly #select: SqlStatement
  readonly #numbers = new Map<string, number>()

  constructor(driver: SqlDriver) {
    this.#insert = driver.prepare('INSERT INTO series (text) VALUES (?) ON CONFLICT DO NOTHING')
    this.#select = driver.prepare('SELECT id FROM series WHERE text = ?')
  }

  /** The number of a series, made when it is new. */
  of(series: Series): number {
    const text = textOf(series)
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#insert.run(text)
    const row = this.#select.get(text)
    assert(row !== undefined, 'a series that was written is there')
    if (this.#numbers.size >= CACHED_MAX) this.#numbers.clear()
    const found = number(row, 'id')
    this.#numbers.set(text, found)
    return found
  }

  /** After a rollback: numbers made in that transaction are void. */
  forget(): void {
    this.#numbers.clear()
  }
}

// Tags of a key are one frozen object for as long as the settings live: with it the text is made once per pair.
const texts = new WeakMap<Series['tags'], Map<string, string>>()
const TEXTS_MAX = 1_000

function textOf(series: Series): string {
  let byName = texts.get(series.tags)
  if (byName === undefined) {
    byName = new Map()
    texts.set(series.tags, byName)
  }
  const name = `${series.key}\n${series.model}\n${series.target}`
  let text = byName.get(name)
  if (text === undefined) {
    if (byName.size >= TEXTS_MAX) byName.clear()
    text = seriesText(series)
    byName.set(name, text)
  }
  return text
}
