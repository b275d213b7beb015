// A bill beside the ledger on Node: which rows are read for it, and where.

import { BillError, type ReconcileAsk, type Reconciliation } from '#core/bill.ts'
import { GatewayError } from '#core/errors.ts'
import type { LedgerStore, ReportProgress } from '#core/ledger.ts'
import { BILL_LINES_MAX } from '#core/limits.ts'
import type { Settings } from '#core/settings.ts'
import { type ReconcileJob, ReconcileRun } from '#pricing/reconcile/reconcile.ts'
import { storedRows } from '#store/past-rows.ts'
import type { SqlDriver } from '#store/sqlite/driver.ts'
import { pastRows, rowsFrom } from '#store/sqlite/past-rows.ts'

/** Requests so long before and after the bill's span may have attempts in it, or be named by it. */
const AROUND_MS = 36 * 3_600_000

/** On whichever thread `driver` is of. @throws BillError */
export function reconcileFile(
  driver: SqlDriver,
  job: ReconcileJob,
  onProgress: ReportProgress,
): Reconciliation {
  const run = new ReconcileRun(job)
  const rowsFromMs = rowsFrom(driver)
  // What is only known as a sum would be missing, request by request.
  if (run.fromMs < rowsFromMs)
    throw new BillError(
      `rows before ${new Date(rowsFromMs).toISOString()} are gone (ledger.retention), and the bill begins at ${new Date(run.fromMs).toISOString()}: ask for the days since`,
    )
  const startMs = run.fromMs - AROUND_MS
  const lengthMs = run.toMs + AROUND_MS - startMs
  for (const past of pastRows(driver, startMs, startMs + lengthMs)) {
    run.take(past)
    onProgress((past.request.timeMs - startMs) / lengthMs)
  }
  return run.result()
}

/** The same by a store's own questions. @throws BillError */
async function reconcileStore(store: LedgerStore, job: ReconcileJob): Promise<Reconciliation> {
  const run = new ReconcileRun(job)
  for await (const past of storedRows(store, run.fromMs - AROUND_MS, run.toMs + AROUND_MS)) run.take(past)
  return run.result()
}

export interface ReconcileOptions {
  /** Reads a file on a thread; null: the ledger is no file, and `store` is asked. */
  readonly onThread: ((job: ReconcileJob, onProgress: ReportProgress) => Promise<Reconciliation>) | null
  readonly store: LedgerStore
  readonly live: () => { readonly settings: Settings }
}

/** @throws GatewayError where the provider, its format or the bill is none */
export async function reconcileLedger(
  { onThread, store, live }: ReconcileOptions,
  { provider, bytes, fromMs, toMs, tolerance }: ReconcileAsk,
  onProgress: ReportProgress,
): Promise<Reconciliation> {
  const { bills, providers } = live().settings
  const format = bills.get(provider)
  if (format === undefined) {
    const message = providers.has(provider)
      ? `how a bill of "${provider}" is read is not known: say it under reconcile.${provider}.columns of the configuration`
      : `\`provider\` must be a provider of the configuration (${[...providers.keys()].join(', ')}); found "${provider.slice(0, 100)}"`
    throw new GatewayError('invalid_request', message, { param: 'provider' })
  }
  const job: ReconcileJob = {
    provider,
    format,
    bytes,
    linesMax: BILL_LINES_MAX,
    fromMs,
    toMs,
    tolerance: tolerance ?? format.tolerance ?? null,
  }
  try {
    return onThread === null ? await reconcileStore(store, job) : await onThread(job, onProgress)
  } catch (cause) {
    if (!(cause instanceof BillError)) throw cause
    throw new GatewayError('invalid_request', cause.message, { param: 'bill', cause })
  }
}
