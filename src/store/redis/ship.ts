// Shipments as calls of ship-12.lua and apply-12.lua: which keys they touch, what is summed before they are sent.

import type { LedgerBatch, LedgerRow } from '#core/ledger.ts'
import { BalanceSums } from '../balance-uses.ts'
import { positionOf } from '../cursor.ts'
import { assertFinal, rowText } from '../row-json.ts'
import type { Shipment, ShipOutcome } from '../shipment.ts'
import {
  addInto,
  DAY_MS,
  dayStartMs,
  hourStartMs,
  listOfTotals,
  type RunningTotals,
  seriesText,
} from '../usage-report.ts'
import { placeOf } from './adjustments.ts'
import type { RedisConnection } from './connection.ts'
import { countTexts, MEASURES } from './counters.ts'
import { KEYS } from './keys.ts'

/** Rows of one call in which each is counted by itself; the server does nothing else meanwhile (about 5 µs a row). */
const SCRIPT_ROWS_MAX = 500
const NO_COUNTS = Array.from(MEASURES, () => '0')
const DAY_SECONDS = 86_400

export type RequestShipment = Extract<Shipment, { kind: 'requests' }>

export type ShipReply = ShipOutcome & { readonly entries?: number }

export interface ShipOptions {
  readonly connection: RedisConnection
  /** Counters and marks stay this long after their last write. */
  readonly keptDays: number
}

/** @throws StoreUnavailableError */
export async function shipRequests(
  { connection, keptDays }: ShipOptions,
  shipment: RequestShipment,
  closes: string,
): Promise<ShipReply> {
  const { instance, epoch, previous, firstSequence, last, requests } = shipment
  const sums = new Map<number, Map<string, RunningTotals>>()
  const balances = new BalanceSums()
  const entries: string[] = []
  for (const { id, timeMs, text, attempts } of requests) {
    entries.push(String(attempts.length + 1), positionOf(timeMs, id), text)
    for (const { startedAtMs, series, totals, balances: uses } of attempts) {
      const hourMs = hourStartMs(startedAtMs)
      const hour = sums.get(hourMs) ?? new Map<string, RunningTotals>()
      if (hour.size === 0) sums.set(hourMs, hour)
      const sum = hour.get(series)
      if (sum === undefined) hour.set(series, { ...totals })
      else addInto(sum, totals)
      for (const use of uses) balances.add(hourMs, use)
    }
  }
  const [hourA = null, hourB = null] = [...sums.keys()]
  const counts = [...sums.values()].flatMap((hour, index) =>
    Array.from(hour, ([series, totals]) => [index + 1, series, ...listOfTotals(totals).map(String)]),
  )
  const uses = Array.from(balances.entries(), ({ hourMs, id, milli }) => [`${hourMs} ${id}`, String(milli)])
  const keys = [
    KEYS.applied(instance),
    KEYS.meta,
    KEYS.rows,
    KEYS.requests,
    KEYS.entries,
    KEYS.hours,
    KEYS.touched,
    KEYS.balances,
    ...hourKeys(hourA ?? 0),
    ...hourKeys(hourB ?? hourA ?? 0),
  ]
  const values = [
    instance,
    epoch,
    previous,
    firstSequence,
    last,
    keptDays * DAY_SECONDS,
    Math.max(hourA ?? 0, hourB ?? 0) - keptDays * DAY_MS,
    hourA ?? '',
    hourB ?? '',
    counts.length,
    uses.length,
    closes,
    ...counts.flat(),
    ...uses.flat(),
    ...entries,
  ]
  return replyOf(await connection.script('ship-12', keys, values))
}

/** Rows one by one, in as many calls as they have hours. @throws StoreUnavailableError */
export async function shipRows(
  options: ShipOptions,
  batch: LedgerBatch,
  previous: number,
  closes: string,
): Promise<ShipReply> {
  let reply: ShipReply = { kind: 'applied', life: '' }
  let after = previous
  for (const run of runsOf(batch)) {
    reply = replyOf(
      await options.connection.script('apply-12', keysOf(batch, run), [
        ...valuesOf(batch, run, options.keptDays, after, closes),
        ...run.rows.flatMap(rowArguments),
      ]),
    )
    if (reply.kind !== 'applied') return reply
    after = run.firstSequence + run.rows.length - 1
  }
  return reply
}

function replyOf(reply: unknown): ShipReply {
  const [kind, life, number] = reply as [string, string | undefined, number | undefined]
  if (kind === 'unfounded' || life === undefined) return { kind: 'unfounded' }
  if (kind === 'closed') return { kind: 'closed', life }
  if (kind === 'gap') return { kind: 'gap', life, mark: Number(number) }
  return number === undefined ? { kind: 'applied', life } : { kind: 'applied', life, entries: number }
}

/** Neighbouring rows that one call can take: their attempts lie in one hour. */
interface Run {
  readonly firstSequence: number
  hourMs: number | null
  readonly rows: LedgerRow[]
}

function runsOf(batch: LedgerBatch): readonly Run[] {
  const runs: Run[] = []
  let run: Run | null = null
  for (const [index, entry] of batch.rows.entries()) {
    assertFinal(entry)
    const hourMs = hourOf(entry)
    const isOtherHour = hourMs !== null && run !== null && run.hourMs !== null && run.hourMs !== hourMs
    if (run === null || isOtherHour || run.rows.length >= SCRIPT_ROWS_MAX) {
      run = { firstSequence: batch.firstSequence + index, hourMs, rows: [] }
      runs.push(run)
    }
    run.hourMs ??= hourMs
    run.rows.push(entry)
  }
  return runs
}

function hourOf(entry: LedgerRow): number | null {
  if (entry.kind === 'request') return null
  return hourStartMs(
    entry.kind === 'attempt' ? (entry.lateAtMs ?? entry.row.startedAtMs) : entry.row.bookedAtMs,
  )
}

function hourKeys(hourMs: number): readonly [string, string] {
  return [KEYS.hour(hourMs), KEYS.day(dayStartMs(hourMs))]
}

function keysOf(batch: LedgerBatch, run: Run): string[] {
  return [
    KEYS.applied(batch.instance),
    KEYS.rows,
    KEYS.requests,
    KEYS.entries,
    KEYS.hours,
    ...hourKeys(run.hourMs ?? 0),
    KEYS.balances,
    KEYS.adjustments,
    KEYS.adjustmentIndex,
    KEYS.meta,
    KEYS.touched,
  ]
}

function valuesOf(
  batch: LedgerBatch,
  run: Run,
  keptDays: number,
  after: number,
  closes: string,
): (string | number)[] {
  return [
    batch.instance,
    batch.epoch,
    run.firstSequence,
    keptDays * DAY_SECONDS,
    run.hourMs ?? '',
    (run.hourMs ?? 0) - keptDays * DAY_MS,
    after,
    closes,
  ]
}

function rowArguments(entry: LedgerRow): readonly string[] {
  const text = rowText(entry)
  if (entry.kind === 'request') {
    const { id, timeMs } = entry.row
    return ['request', id, positionOf(timeMs, id), text, '', ...NO_COUNTS, '']
  }
  const [id, place] =
    entry.kind === 'attempt' ? [entry.row.requestId, ''] : [entry.row.id, placeOf(entry.row)]
  const late = entry.kind === 'attempt' && entry.lateAtMs !== undefined ? String(entry.lateAtMs) : ''
  return [entry.kind, id, place, text, seriesText(entry.row), ...countTexts(entry), late]
}
