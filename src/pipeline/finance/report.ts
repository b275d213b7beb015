// Reports for finance: what the ledger sums, folded into what is asked for, with tax, charges and savings. Rows always
// come to the total, in every column and however they are grouped.

import type { LedgerStore, ReportProgress, UsageGroup } from '#core/ledger.ts'
import type { Live } from '../live.ts'
import { bookedOf, chargeOf, type Dimensions, isCharged, needsPrices, taxOf } from './charges.ts'
import { Fold } from './fold.ts'
import { isBooked, type Report, type ReportGroup, type ReportQuery } from './report-words.ts'
import { valuationOf } from './valuation.ts'

/** @throws GatewayError when the baseline has no price, ReportError when the store cannot say */
export async function makeReport(
  store: LedgerStore,
  live: Live,
  query: ReportQuery,
  nowMs: number,
  onProgress: ReportProgress,
): Promise<Report> {
  const { finance } = live.settings
  const dimensions = dimensionsOf(live, query)
  const isStored = (by: ReportGroup): by is UsageGroup => !isBooked(by)
  const asked = {
    groupBy: dimensions,
    bucket: query.bucket,
    timeZone: query.timeZone,
    where: query.where.flatMap(({ by, values }) => (isStored(by) ? [{ by, values }] : [])),
    fromMs: query.fromMs,
    toMs: query.toMs,
  }
  const valuation = await valuationOf(store, live, query, asked, nowMs)
  const fine = await store.usage({ ...asked, ...(valuation === null ? {} : { valuation }) }, onProgress)
  const isTaxed = finance.tax !== null || finance.taxOf.size > 0
  const fold = new Fold(fine.total, { isTaxed, isCharged: isCharged(finance) })
  for (const row of fine.rows) {
    const of: Dimensions = (by) => row.group[dimensions.indexOf(by)] ?? ''
    const sayOf = (by: ReportGroup): string => (isBooked(by) ? bookedOf(finance, by, of) : of(by))
    if (!query.where.every(({ by, values }) => !isBooked(by) || values.includes(sayOf(by)))) continue
    const { group: _, bucketMs, ...totals } = row
    fold.add(query.groupBy.map(sayOf), bucketMs, totals, {
      tax: taxOf(finance, of),
      charge: chargeOf(finance, of, row),
    })
  }
  return fold.report(query.toCents)
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
