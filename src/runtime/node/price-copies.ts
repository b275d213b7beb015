// Copies of the last good price lists beside the store, so that a list that is broken or gone when the gateway starts
// does not stop it, nor leave its models without a price.

import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Log } from '#core/telemetry.ts'
import { type PriceList, readPriceList } from './price-lists.ts'

/** A folder that belongs to one store. */
export class PriceCopies {
  /** null: the store is in memory, and nothing is kept. */
  readonly #folder: string | null
  readonly #log: Log

  constructor(folder: string | null, log: Log) {
    this.#folder = folder
    this.#log = log
  }

  /** null: there is none that can be used. */
  async read(provider: string): Promise<PriceList | null> {
    const file = this.#fileOf(provider)
    if (file === null || !existsSync(file)) return null
    try {
      return await readPriceList(provider, pathToFileURL(file))
    } catch (error) {
      this.#log.error('prices.copy_unusable', { provider, problem: String(error) })
      return null
    }
  }

  /** Never throws: a disk that is full is no reason to do without the prices themselves. */
  async write({ provider, entries }: PriceList): Promise<void> {
    const file = this.#fileOf(provider)
    if (file === null || entries.length === 0) return
    const text = `[\n${entries.map((entry) => JSON.stringify(entry)).join(',\n')}\n]\n`
    try {
      if (existsSync(file) && (await readFile(file, 'utf8')) === text) return
      await mkdir(join(file, '..'), { recursive: true })
      await writeFile(`${file}.new`, text)
      await rename(`${file}.new`, file)
    } catch (error) {
      this.#log.warn('prices.copy_failed', { provider, problem: String(error) })
    }
  }

  #fileOf(provider: string): string | null {
    return this.#folder === null ? null : join(this.#folder, `${provider}.json`)
  }
}

export interface FoundLists {
  readonly lists: readonly PriceList[]
  /** Why a list cannot be used, by provider. */
  readonly broken: ReadonlyMap<string, string>
}

export interface KeptLists {
  readonly lists: readonly PriceList[]
  /** Providers that go by a copy. */
  readonly kept: ReadonlySet<string>
}

/**
 * The lists as they were found, and the copy of each that is broken or not there.
 * @throws Error when a broken one has none
 */
export async function withCopies(
  { lists, broken }: FoundLists,
  fileOf: (provider: string) => URL,
  copies: PriceCopies,
): Promise<KeptLists> {
  const kept = new Set<string>()
  const whole = await Promise.all(
    lists.map(async (list) => {
      const { provider } = list
      const problem = broken.get(provider)
      if (problem === undefined && existsSync(fileOf(provider))) return list
      const copy = await copies.read(provider)
      if (copy !== null) kept.add(provider)
      else if (problem !== undefined)
        throw new Error(`${problem}\nthere is no earlier copy of it beside the store to go on with`)
      // A folder may come without prices.
      return copy ?? list
    }),
  )
  return { lists: whole, kept }
}
