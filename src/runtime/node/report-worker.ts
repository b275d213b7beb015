// The thread of reports.ts: one job, then it ends.

import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { BillError } from '#core/bill.ts'
import { ReportError, type UsageReport } from '#core/ledger.ts'
import { checkCounters } from '#store/sqlite/counter-check.ts'
import { runReport } from '#store/sqlite/report-job.ts'
import { reconcileFile } from './reconcile.ts'
import { packRows } from './report-rows.ts'
import type { ReportMessage, ReportWork } from './reports.ts'
import { rerateFile } from './rerate.ts'
import { openNodeSqliteReader } from './sqlite.ts'

/** The event loop takes over so many rows in about 2 ms. */
const ROWS_AT_ONCE = 2_000
/** Of the thread only, where the system knows that: serving goes before reports that take long. */
const NICENESS = 5
const SHORT_MS = 1_000
const PROGRESS_MS = 50

const { path, task } = workerData as ReportWork
const say = (message: ReportMessage): void => parentPort?.postMessage(message)

let saidMs = Number.NEGATIVE_INFINITY
let isNice = false
function progress(share: number): void {
  if (!isNice && performance.now() > SHORT_MS) giveWay()
  if (performance.now() - saidMs < PROGRESS_MS) return
  saidMs = performance.now()
  say({ kind: 'progress', share })
}

function sendRows({ rows, total }: UsageReport): void {
  let next = 0
  const send = (): void => {
    if (next >= rows.length) return say({ kind: 'total', total })
    const packed = packRows(rows.slice(next, next + ROWS_AT_ONCE))
    const message: ReportMessage = { kind: 'rows', rows: packed }
    parentPort?.postMessage(message, [packed.numbers.buffer, packed.amounts.buffer])
    next += ROWS_AT_ONCE
  }
  parentPort?.on('message', send)
  send()
}

function giveWay(): void {
  isNice = true
  try {
    setPriority(NICENESS)
  } catch {
    // As it was, then.
  }
}

function work(): void {
  const driver = openNodeSqliteReader(path)
  driver.exec('PRAGMA cache_size = -65536')
  driver.exec('PRAGMA temp_store = MEMORY')
  try {
    if (task.kind === 'check') return say({ kind: 'drift', drift: checkCounters(driver, task.job, progress) })
    if (task.kind === 'rerate')
      return say({ kind: 'rerated', rerated: rerateFile(driver, task.work, progress) })
    if (task.kind === 'reconcile')
      return say({ kind: 'reconciled', reconciled: reconcileFile(driver, task.job, progress) })
    const outcome = runReport(driver, task.job, () => performance.now(), progress)
    if (outcome === 'stale') say({ kind: 'stale' })
    else sendRows(outcome)
  } finally {
    driver.close()
  }
}

try {
  work()
} catch (error) {
  if (error instanceof BillError) say({ kind: 'unreadable', message: error.message })
  const reason = error instanceof ReportError ? error.reason : null
  say({ kind: 'failed', reason, message: error instanceof Error ? error.message : String(error) })
}
