// Reports for finance: what the ledger sums, folded into what is asked for, with tax, charges and savings. Rows always
// come to the total, in every column and however they are grouped.

import type { LedgerStore, ReportProgress, UsageFilter, UsageGroup } from '#core/ledger.ts'
import type { Clock } from '#core/ports.ts'
import type { Live } from '../live.ts'
import { bookedOf, chargeOf, type Dimensions, isCharged, needsPrices, taxOf } from './charges.ts'
import { Fold } from './fold.ts'
import { isBooked, type Report, type ReportGroup, type ReportQuery } from './report-words.ts'
import { valuationOf } from './valuation.ts'

export interface Making {
  readonly nowMs: number
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>
  readonly onProgress?: ReportProgress
}

export function makingAt(clock: Clock): Making {
  const pause = (): Promise<void> => new Promise((resolve) => void clock.after(0, resolve))
  return { nowMs: clock.nowMs(), pause }
}

/** Rows that are folded in one turn: about 5 ms. */
const TURN_ROWS = 1_000

/** @throws GatewayError when the baseline has no price, ReportError when the store cannot say */
export async function makeReport(
  store: LedgerStore,
  live: Live,
  query: ReportQuery,
  { nowMs, pause, onProgress }: Making,
): Promise<Report> {
  const { finance } = live.settings
  const dimensions = dimensionsOf(live, query)
  const asked = {
    groupBy: dimensions,
    bucket: query.bucket,
    timeZone: query.timeZone,
    where: query.where.filter(isStored),
    fromMs: query.fromMs,
    toMs: query.toMs,
  }
  const valuation = await valuationOf(store, live, query, asked, nowMs)
  const fine = await store.usage({ ...asked, ...(valuation === null ? {} : { valuation }) }, onProgress)
  const columns = {
    isTaxed: finance.tax !== null || finance.taxOf.size > 0,
    isCharged: isCharged(finance),
    isInCents: query.toCents,
  }
  const isPlain = isSame(dimensions, query.groupBy) && isSame(asked.where, query.where)
  if (isPlain && Object.values(columns).every((wanted) => !wanted)) return fine
  const fold = new Fold(fine.total, columns)
  for (const [index, row] of fine.rows.entries()) {
    if (index % TURN_ROWS === TURN_ROWS - 1) await pause()
    const of: Dimensions = (by) => row.group[dimensions.indexOf(by)] ?? ''
    const sayOf = (by: ReportGroup): string => (isBooked(by) ? bookedOf(finance, by, of) : of(by))
    if (!query.where.every(({ by, values }) => !isBooked(by) || values.includes(sayOf(by)))) continue
    const { group: _, bucketMs, ...totals } = row
    fold.add(query.groupBy.map(sayOf), bucketMs, totals, {
      tax: taxOf(finance, of),
      charge: columns.isCharged ? chargeOf(finance, of, row) : 0n,
    })
  }
  const steps = fold.report()
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return step.value
    await pause()
  }
}

function isSame(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((value, index) => value === right[index])
}

function isStored(filter: ReportQuery['where'][number]): filter is UsageFilter {
  return !isBooked(filter.by)
}

/** What the store is asked to keep apart. */
function dimensionsOf(
  { settings: { finance } }: Live,
  { groupBy, where }: ReportQuery,
): readonly UsageGroup[] {
  const dimensions = new Set<UsageGroup>()
  for (const by of groupBy) if (!isBooked(by)) dimensions.add(by)
  const isByBooked = [...groupBy, ...where.map(({ by }) => by)].some(isBooked)
  for (const by of isByBooked ? (['team', 'organisation'] as const) : []) dimensions.add(by)
  if (finance.taxOf.size > 0) dimensions.add('provider')
  if (isCharged(finance)) dimensions.add('team')
  if (needsPrices(finance)) for (const by of ['model', 'target'] as const) dimensions.add(by)
  return [...dimensions]
}
