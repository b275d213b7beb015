// The price lists of providers/ as files: read, checked whole, and looked at again while the gateway runs. A list that
// cannot be used is never half used: the last good one stays, and the operator is told.

import { readFile, stat } from 'node:fs/promises'
import type { PriceEntry } from '#core/price.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import { checkEntries } from '#pricing/check.ts'
import { isObject } from '#wire/json-object.ts'

export interface PriceList {
  readonly provider: string
  readonly entries: readonly PriceEntry[]
}

/** A list cannot be used; the message names the file and the row. */
export class PriceListError extends Error {}

/** @throws PriceListError */
export async function readPriceList(provider: string, file: URL): Promise<PriceList> {
  const place = `providers/${provider}/prices.json`
  let parsed: unknown
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new PriceListError(
      `${place} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  if (!Array.isArray(parsed)) throw new PriceListError(`${place} must hold a list of prices`)
  const broken = parsed.findIndex((row) => !isEntry(row))
  if (broken !== -1)
    throw new PriceListError(`${place}: row ${broken} is no price (model, currency, unit, tiers)`)
  const entries = parsed as readonly PriceEntry[]
  const [problem] = checkEntries(entries)
  if (problem !== undefined) {
    const { model, region = 'any region', currency, effective_from: from = 'ever' } = problem.entry
    throw new PriceListError(`${place}: ${model} (${region}, ${currency}, since ${from}): ${problem.problem}`)
  }
  return { provider, entries }
}

/** What must be there so that the checks can read the rest. */
function isEntry(row: unknown): boolean {
  if (!isObject(row)) return false
  const { model, currency, unit, tiers, time_bands: bands = [] } = row
  const areTiers = (list: unknown) => Array.isArray(list) && list.every(isTier)
  return (
    [model, currency, unit].every((word) => typeof word === 'string' && word !== '') &&
    areTiers(tiers) &&
    Array.isArray(bands) &&
    bands.every((band) => isObject(band) && areTiers(band['tiers']))
  )
}

/** Prices are strings and bounds are numbers: a number that is a price has been through a float. */
function isTier(tier: unknown): boolean {
  if (!isObject(tier)) return false
  return Object.entries(tier).every(([name, value]) =>
    name === 'when'
      ? isObject(value)
      : name.endsWith('_up_to')
        ? Number.isSafeInteger(value)
        : typeof value === 'string',
  )
}

/** The regions that the list of a folder speaks of. */
export function regionsIn(lists: readonly PriceList[]): (provider: string) => readonly string[] {
  return (provider) => {
    const entries = lists.find((list) => list.provider === provider)?.entries ?? []
    return [...new Set(entries.flatMap((entry) => entry.region ?? []))]
  }
}

const LOOK_MS = 5_000

export interface PriceListsOptions {
  readonly lists: readonly PriceList[]
  readonly fileOf: (provider: string) => URL
  readonly log: Log
  readonly metrics: Metrics
  readonly nowMs: () => number
  /** Providers whose file could not be used at the start. */
  readonly kept?: ReadonlySet<string>
  /** A list has changed and is good. */
  readonly onChange: (lists: readonly PriceList[], changed: PriceList) => void
}

/** Looks at the files again and again; holds the last good list of each. */
export class PriceLists {
  readonly #options: PriceListsOptions
  readonly #lists: Map<string, PriceList>
  /** When each file was last written, as it was when it was read; null: not there. */
  readonly #writtenMs = new Map<string, number | null>()
  readonly #timer: NodeJS.Timeout
  #looking: Promise<void> | null = null

  constructor(options: PriceListsOptions) {
    this.#options = options
    this.#lists = new Map(options.lists.map((list) => [list.provider, list]))
    this.#timer = setInterval(() => void this.look(), LOOK_MS)
    this.#timer.unref()
    void this.look()
  }

  get lists(): readonly PriceList[] {
    return [...this.#lists.values()]
  }

  /** One look at a time; who asks during one waits for it. */
  look(): Promise<void> {
    this.#looking ??= this.#lookAtAll().finally(() => {
      this.#looking = null
    })
    return this.#looking
  }

  async #lookAtAll(): Promise<void> {
    for (const provider of this.#lists.keys()) await this.#lookAt(provider)
    this.#tellAges()
  }

  async #lookAt(provider: string): Promise<void> {
    const { fileOf, log, metrics, kept, onChange } = this.#options
    const file = fileOf(provider)
    const writtenMs = await stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    )
    const before = this.#writtenMs.get(provider)
    this.#writtenMs.set(provider, writtenMs)
    if (before === writtenMs) return
    // The first look comes right after the start, which has read what is there and could be used.
    if (before === undefined && kept?.has(provider) !== true) {
      if (writtenMs === null) log.warn('prices.missing', { provider })
      return
    }
    try {
      const list = await readPriceList(provider, file)
      this.#lists.set(provider, list)
      metrics.priceListKept(provider, false)
      log.info('prices.reloaded', { provider, rows: list.entries.length })
      onChange(this.lists, list)
    } catch (error) {
      metrics.priceListKept(provider, true)
      log.error('prices.kept_last_good', {
        provider,
        problem: error instanceof Error ? error.message : String(error),
      })
    }
  }

  #tellAges(): void {
    const { metrics, nowMs } = this.#options
    for (const { provider, entries } of this.#lists.values()) {
      const checkedMs = newestCheck(entries)
      if (checkedMs !== null) metrics.priceAge(provider, nowMs() - checkedMs)
    }
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

/** The day on which a row of the list was last compared with its source. */
function newestCheck(entries: readonly PriceEntry[]): number | null {
  let newest: number | null = null
  for (const { checked_on: day } of entries) {
    const checkedMs = day === undefined ? Number.NaN : Date.parse(day)
    if (!Number.isNaN(checkedMs) && (newest === null || checkedMs > newest)) newest = checkedMs
  }
  return newest
}
