// Long reading of the ledger on threads of its own: usage reports and the check of counters against rows. Each has a
// thread, a read-only connection and a time limit; the event loop only takes over what was found, a little at a time.

import { Worker } from 'node:worker_threads'
import { BillError, type Reconciliation } from '#core/bill.ts'
import { ReportError, type ReportProgress, type UsageRow, type UsageTotals } from '#core/ledger.ts'
import { REPORT_MS_MAX } from '#core/limits.ts'
import type { ReconcileJob } from '#pricing/reconcile/reconcile.ts'
import type { CheckJob, CounterDrift } from '#store/sqlite/counter-check.ts'
import type { ReportJob, ReportOutcome } from '#store/sqlite/report-job.ts'
import { type PackedRows, unpackRows } from './report-rows.ts'
import type { Rerated, RerateWork } from './rerate.ts'

/** Threads at a time: more would take cores from serving. */
const RUNNING_MAX = 2
/** Nobody waits for a check, and it gives way to all else. */
const CHECK_MS_MAX = 20 * 60_000
/** Jobs that wait for a thread. */
const WAITING_MAX = 64

export type ReportTask =
  | { readonly kind: 'report'; readonly job: ReportJob }
  | { readonly kind: 'check'; readonly job: CheckJob }
  | { readonly kind: 'rerate'; readonly work: RerateWork }
  | { readonly kind: 'reconcile'; readonly job: ReconcileJob }

export interface ReportWork {
  readonly path: string
  readonly task: ReportTask
}

/** What the thread says. After `rows` it waits to be asked for more. */
export type ReportMessage =
  | { readonly kind: 'progress'; readonly share: number }
  | { readonly kind: 'rows'; readonly rows: PackedRows }
  | { readonly kind: 'total'; readonly total: UsageTotals }
  | { readonly kind: 'stale' }
  | { readonly kind: 'drift'; readonly drift: CounterDrift }
  | { readonly kind: 'rerated'; readonly rerated: Rerated }
  | { readonly kind: 'reconciled'; readonly reconciled: Reconciliation }
  | { readonly kind: 'unreadable'; readonly message: string }
  | { readonly kind: 'failed'; readonly reason: ReportError['reason'] | null; readonly message: string }

export interface Reports {
  /** @throws ReportError */
  report(job: ReportJob, onProgress: ReportProgress): Promise<ReportOutcome>
  /** Compares counters with rows. @throws ReportError */
  check(job: CheckJob, onProgress: ReportProgress): Promise<CounterDrift>
  /** Rates past rows anew; writes nothing. @throws ReportError */
  rerate(work: RerateWork, onProgress: ReportProgress): Promise<Rerated>
  /** Joins a bill with past rows. @throws ReportError, BillError */
  reconcile(job: ReconcileJob, onProgress: ReportProgress): Promise<Reconciliation>
  close(): Promise<void>
}

/** `path`: the file of the ledger. */
export function openReports(path: string, timeoutMs = REPORT_MS_MAX): Reports {
  const workers = new Set<Worker>()
  const waiting: (() => void)[] = []
  let isClosed = false

  async function turn(): Promise<void> {
    if (isClosed) throw new ReportError('busy', 'the gateway stops')
    if (workers.size < RUNNING_MAX) return
    if (waiting.length >= WAITING_MAX) throw new ReportError('busy', 'too many reports wait: try again')
    await new Promise<void>((resolve) => waiting.push(resolve))
    return turn()
  }

  async function run<Result>(
    task: ReportTask,
    limitMs: number,
    onMessage: (message: ReportMessage, worker: Worker) => { readonly result: Result } | null,
  ): Promise<Result> {
    await turn()
    const workerData: ReportWork = { path, task }
    const worker = new Worker(new URL('./report-worker.ts', import.meta.url), { workerData })
    worker.unref()
    workers.add(worker)
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<Result>((resolve, reject) => {
        const seconds = Math.round(limitMs / 1000)
        const tooSlow = `the report took more than ${seconds} s: ask for less time or for groups that rollups have`
        timer = setTimeout(() => reject(new ReportError('too_slow', tooSlow)), limitMs)
        timer.unref()
        worker.on('message', (message: ReportMessage) => {
          if (message.kind === 'failed') return reject(failureOf(message))
          try {
            const done = onMessage(message, worker)
            if (done !== null) resolve(done.result)
          } catch (error) {
            reject(error)
          }
        })
        worker.once('error', reject)
        worker.once('exit', () => reject(new ReportError('busy', 'the report was given up')))
      })
    } finally {
      clearTimeout(timer)
      worker.removeAllListeners('message')
      workers.delete(worker)
      void worker.terminate()
      waiting.shift()?.()
    }
  }

  return {
    report(job, onProgress) {
      const rows: UsageRow[] = []
      return run<ReportOutcome>({ kind: 'report', job }, timeoutMs, (message, worker) => {
        if (message.kind === 'progress') onProgress(message.share)
        else if (message.kind === 'rows') {
          worker.postMessage('more')
          for (const row of unpackRows(message.rows)) rows.push(row)
        } else if (message.kind === 'total') return { result: { rows, total: message.total } }
        else if (message.kind === 'stale') return { result: 'stale' }
        return null
      })
    },
    check: (job, onProgress) =>
      run<CounterDrift>({ kind: 'check', job }, CHECK_MS_MAX, (message) => {
        if (message.kind === 'progress') onProgress(message.share)
        return message.kind === 'drift' ? { result: message.drift } : null
      }),
    rerate: (work, onProgress) =>
      run<Rerated>({ kind: 'rerate', work }, CHECK_MS_MAX, (message) => {
        if (message.kind === 'progress') onProgress(message.share)
        return message.kind === 'rerated' ? { result: message.rerated } : null
      }),
    reconcile: (job, onProgress) =>
      run<Reconciliation>({ kind: 'reconcile', job }, CHECK_MS_MAX, (message) => {
        if (message.kind === 'progress') onProgress(message.share)
        if (message.kind === 'unreadable') throw new BillError(message.message)
        return message.kind === 'reconciled' ? { result: message.reconciled } : null
      }),
    async close() {
      isClosed = true
      await Promise.all([...workers].map((worker) => worker.terminate()))
    },
  }
}

function failureOf({ reason, message }: Extract<ReportMessage, { kind: 'failed' }>): Error {
  return reason === null ? new Error(message) : new ReportError(reason, message)
}
