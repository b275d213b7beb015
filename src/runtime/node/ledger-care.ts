// What keeps a ledger well beside the requests: old rows go, and after a crash counters are compared with rows.

import type { Clock } from '#core/ports.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import type { SqliteLedger } from '#store/sqlite/store.ts'
import type { Reports } from './reports.ts'

/** Deleting so many rows keeps the event loop for about 5 ms; at full load as many come in a tenth of a second. */
const BATCH_ROWS = 200
/** Between two batches while old rows are left. */
const BATCH_MS = 50
/** Between two looks for old rows. */
const LOOK_MS = 60_000

export interface Retention {
  readonly ledger: Pick<SqliteLedger, 'prune' | 'pruneUsage'>
  readonly log: Log
  readonly retentionMs: number
  /** Redis is the ledger: this file's rows go when they are shipped, and its counters with age. */
  readonly isRedis: boolean
  readonly clock: Clock
}

/** Deletes what is older than the retention, a small batch at a time. Returns how to stop it. */
export function keepWithin({ ledger, log, retentionMs, isRedis, clock }: Retention): () => void {
  let timer = clock.after(LOOK_MS, look)
  function look(): void {
    let hasMore = false
    try {
      const beforeMs = clock.nowMs() - retentionMs
      // Counters of a ledger stay: budgets for life and reports of former years are read from them.
      if (isRedis) ledger.pruneUsage(beforeMs)
      else hasMore = ledger.prune(beforeMs, BATCH_ROWS) >= BATCH_ROWS
    } catch (error) {
      log.warn('ledger.unpruned', { message: String(error) })
    }
    timer = clock.after(hasMore ? BATCH_MS : LOOK_MS, look)
  }
  return () => timer.cancel()
}

export interface CrashCheck {
  readonly ledger: Pick<SqliteLedger, 'rowsFromMs' | 'rebuild'>
  readonly reports: Pick<Reports, 'check'>
  readonly metrics: Metrics
  readonly log: Log
}

/** Rows and counters cannot part by a crash of ours; a disk that lost what it had promised parts them. */
export async function checkAfterCrash({ ledger, reports, metrics, log }: CrashCheck): Promise<void> {
  try {
    const drift = await reports.check({ fromMs: ledger.rowsFromMs }, () => undefined)
    const count = drift.hoursMs.length + drift.daysMs.length
    if (count === 0) return log.info('ledger.checked')
    await ledger.rebuild(drift)
    metrics.countersRebuilt(count)
    log.error('ledger.counters_rebuilt', { hours: drift.hoursMs.length, days: drift.daysMs.length })
  } catch (error) {
    log.warn('ledger.unchecked', { message: error instanceof Error ? error.message : String(error) })
  }
}
