// Re-rating on Node: prices as data that a thread can take, the reading of past rows, and the writing of what comes of it.

import type { AdjustmentRow, Corrections } from '#core/adjustments.ts'
import type { LedgerStore, ReportProgress } from '#core/ledger.ts'
import { RERATED_AT_ONCE_MAX } from '#core/limits.ts'
import type { RerateAsk, RerateJob, RerateOutcome, RerateSummary } from '#core/rerate.ts'
import type { Settings } from '#core/settings.ts'
import type { Live } from '#pipeline/live.ts'
import { BalanceBook, balancesOf, type QuotaSource } from '#pricing/balance-book.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'
import type { PriceBook } from '#pricing/rerate.ts'
import { RerateRun } from '#pricing/rerate-run.ts'
import { storedRows } from '#store/past-rows.ts'
import type { SqlDriver } from '#store/sqlite/driver.ts'
import { pastRows } from '#store/sqlite/past-rows.ts'
import { quotasOf } from './balances.ts'
import type { PriceList } from './price-lists.ts'

/** Written in one transaction, which keeps the event loop for a few milliseconds. */
const WRITTEN_AT_ONCE = 200
/** An attempt begins so long after its request at most: waits, retries and deadlines are minutes. */
const ATTEMPT_AFTER_MS = 6 * 3_600_000

/** All that prices go by, without a function in it. */
export interface PriceData {
  readonly lists: readonly PriceList[]
  readonly overrides: Settings['prices']
  readonly quotas: readonly QuotaSource[]
  readonly currency: string
  readonly fx: Settings['fx']
  readonly providers: PriceBook['providers']
}

export interface RerateWork {
  readonly prices: PriceData
  readonly job: RerateJob
}

/** What a run found, before anything is written. */
export interface Rerated {
  readonly summary: RerateSummary
  readonly adjustments: readonly AdjustmentRow[]
  readonly isPartial: boolean
}

export function priceDataOf(settings: Settings, lists: readonly PriceList[]): PriceData {
  const { prices: overrides, currency, fx } = settings
  const providers = new Map(
    [...settings.providers.values()].map(({ name, provider, region }) => [name, { id: provider.id, region }]),
  )
  return { lists, overrides, quotas: quotasOf(settings), currency, fx, providers }
}

/** On whichever thread `driver` is of. */
export function rerateFile(
  driver: SqlDriver,
  { prices, job }: RerateWork,
  onProgress: ReportProgress,
): Rerated {
  const run = new RerateRun(bookOf(prices), job)
  const { fromMs, toMs } = job.filter
  const adjustments: AdjustmentRow[] = []
  const startMs = fromMs === null ? 0 : fromMs - ATTEMPT_AFTER_MS
  const endMs = toMs ?? Number.MAX_SAFE_INTEGER
  let firstMs: number | null = null
  for (const request of pastRows(driver, startMs, endMs)) {
    firstMs ??= request.request.timeMs
    for (const row of run.take(request)) adjustments.push(row)
    if (adjustments.length >= RERATED_AT_ONCE_MAX)
      return { summary: run.summary(), adjustments, isPartial: true }
    const lengthMs = Math.max(1, Math.min(endMs, job.nowMs) - firstMs)
    onProgress(Math.min(1, (request.request.timeMs - firstMs) / lengthMs))
  }
  return { summary: run.summary(), adjustments, isPartial: false }
}

/** The same by a store's own questions. */
async function rerateStore(store: LedgerStore, { prices, job }: RerateWork): Promise<Rerated> {
  const run = new RerateRun(bookOf(prices), job)
  const { fromMs, toMs } = job.filter
  const adjustments: AdjustmentRow[] = []
  const startMs = fromMs === null ? 0 : fromMs - ATTEMPT_AFTER_MS
  for await (const request of storedRows(store, startMs, toMs ?? Number.MAX_SAFE_INTEGER)) {
    for (const row of run.take(request)) adjustments.push(row)
    if (adjustments.length >= RERATED_AT_ONCE_MAX)
      return { summary: run.summary(), adjustments, isPartial: true }
  }
  return { summary: run.summary(), adjustments, isPartial: false }
}

function bookOf({ lists, overrides, quotas, currency, fx, providers }: PriceData): PriceBook {
  const balances = new BalanceBook([], true)
  balances.configure(balancesOf(overrides), quotas)
  return { catalogue: buildCatalogue({ lists, overrides, currency, balances }), currency, fx, providers }
}

export interface RerateOptions {
  readonly corrections: Corrections
  /** Reads a file on a thread; null: the ledger is no file, and `store` is asked. */
  readonly onThread: ((work: RerateWork, onProgress: ReportProgress) => Promise<Rerated>) | null
  readonly store: LedgerStore
  readonly nowMs: () => number
  /** The configuration in force, with these prices over it. @throws GatewayError where they are none */
  readonly priced: (prices: RerateAsk['prices']) => Promise<{ readonly live: Live; readonly data: PriceData }>
}

export async function rerateLedger(
  options: RerateOptions,
  ask: RerateAsk,
  onProgress: ReportProgress,
): Promise<RerateOutcome> {
  const { corrections, onThread, store } = options
  const { live, data } = await options.priced(ask.prices)
  const job: RerateJob = {
    filter: ask.filter,
    author: ask.author,
    note: ask.note,
    nowMs: options.nowMs(),
    timeZone: live.settings.timeZone,
    closedMonths: [...(await corrections.closedMonths())],
  }
  const work = { prices: data, job }
  const found = onThread === null ? await rerateStore(store, work) : await onThread(work, onProgress)
  const applied = ask.apply ? await write(corrections, found.adjustments) : null
  return { ...found.summary, applied, isPartial: found.isPartial }
}

async function write(corrections: Corrections, rows: readonly AdjustmentRow[]): Promise<number> {
  let written = 0
  for (let start = 0; start < rows.length; start += WRITTEN_AT_ONCE) {
    written += await corrections.adjust(rows.slice(start, start + WRITTEN_AT_ONCE))
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  return written
}
