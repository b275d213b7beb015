// A usage report as a job for another thread: what is asked, what the tables do not have, and how it is read beside
// the process that writes.

import {
  ReportError,
  type ReportProgress,
  type UsageQuery,
  type UsageReport,
  type UsageTotals,
} from '#core/ledger.ts'
import { REPORT_ROWS_MAX } from '#core/limits.ts'
import { hourStartMs, UsageReportBuilder, type UserSeries } from '../usage-report.ts'
import type { SqlDriver } from './driver.ts'
import { countedNumber } from './rollups.ts'
import { UsageTables } from './usage-tables.ts'

/** A reader that stays longer keeps the write-ahead log from being used again (RELIABILITY.md 86). */
const SNAPSHOT_MS_MAX = 5_000

/** An ended attempt of a running request. */
export interface LiveUsage {
  readonly series: UserSeries
  readonly atMs: number
  readonly totals: UsageTotals
}

export interface ReportJob {
  readonly query: UsageQuery
  /** Those in the range of the query. */
  readonly live: readonly LiveUsage[]
  /** What the counters held when `live` was true. */
  readonly countedNumber: number
}

/** `stale`: the tables have moved on, and may hold what is live; ask again. */
export type ReportOutcome = UsageReport | 'stale'

/** Reads a report on a connection of its own. @throws ReportError */
export function runReport(
  driver: SqlDriver,
  job: ReportJob,
  nowMs: () => number,
  onProgress: ReportProgress,
): ReportOutcome {
  const tables = new UsageTables(driver, true)
  driver.exec('BEGIN')
  try {
    let snapshotMs = nowMs()
    if (countedNumber(driver) !== job.countedNumber) return 'stale'
    const parts = tables.plan(job.query)
    const builder = new UsageReportBuilder(job.query)
    addLive(builder, job.live)
    // Until then what is live must not come into sight.
    const pinnedMs = Math.min(...job.live.map(({ atMs }) => hourStartMs(atMs)))
    for (const [index, part] of parts.entries()) {
      if (nowMs() - snapshotMs > SNAPSHOT_MS_MAX && part.toMs <= pinnedMs) {
        driver.exec('COMMIT')
        driver.exec('BEGIN')
        snapshotMs = nowMs()
      }
      tables.read(part, job.query, builder)
      checkSize(builder)
      onProgress((index + 1) / parts.length)
    }
    return builder.report()
  } finally {
    driver.exec('COMMIT')
  }
}

export function addLive(builder: UsageReportBuilder, live: readonly LiveUsage[]): void {
  for (const { series, atMs, totals } of live) builder.add(series, atMs, totals)
}

function checkSize(builder: UsageReportBuilder): void {
  if (builder.size <= REPORT_ROWS_MAX) return
  const message = `the report has more than ${REPORT_ROWS_MAX} rows: ask for fewer groups, a longer bucket or less time`
  throw new ReportError('too_large', message)
}
