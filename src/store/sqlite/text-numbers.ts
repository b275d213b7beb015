// Numbers of series and of names: rows name what usage is grouped by with one integer.

import { assert } from '#core/assert.ts'
import { type Series, seriesText } from '../usage-report.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { number } from './row-checks.ts'

/** Texts kept at hand; past it they are looked up again. */
const CACHED_MAX = 20_000

const INSERT = {
  series: 'INSERT INTO series (text) VALUES (?) ON CONFLICT DO NOTHING',
  name: 'INSERT INTO name (text) VALUES (?) ON CONFLICT DO NOTHING',
} as const
const SELECT = {
  series: 'SELECT id FROM series WHERE text = ?',
  name: 'SELECT id FROM name WHERE text = ?',
} as const

export class TextNumbers {
  readonly #insert: SqlStatement
  readonly #select: SqlStatement
  readonly #numbers = new Map<string, number>()

  constructor(driver: SqlDriver, table: 'series' | 'name') {
    this.#insert = driver.prepare(INSERT[table])
    this.#select = driver.prepare(SELECT[table])
  }

  /** The number of this text, made when it is new. */
  of(text: string): number {
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#insert.run(text)
    const row = this.#select.get(text)
    assert(row !== undefined, 'a text that was written is there')
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

// Tags of a key are one frozen object for as long as the settings live: with it the text is made once per series.
const texts = new WeakMap<
  Series['tags'],
  Map<string, Map<string, { readonly key: string; readonly text: string }>>
>()
const TEXTS_MAX = 1_000

/** `seriesText`, remembered. */
export function seriesTextOf(series: Series): string {
  const { key, tags, model, target } = series
  let byModel = texts.get(tags)
  if (byModel === undefined || byModel.size > TEXTS_MAX) {
    byModel = new Map()
    texts.set(tags, byModel)
  }
  let byTarget = byModel.get(model)
  if (byTarget === undefined || byTarget.size > TEXTS_MAX) {
    byTarget = new Map()
    byModel.set(model, byTarget)
  }
  let known = byTarget.get(target)
  // Keys may share tags where there are none; those that take turns do without the memory.
  if (known === undefined || known.key !== key) {
    known = { key, text: seriesText(series) }
    byTarget.set(target, known)
  }
  return known.text
}
