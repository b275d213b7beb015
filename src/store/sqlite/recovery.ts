// What a crash left open becomes interrupted, once. How much it may have cost is the caller's estimate.

import type { AttemptRow, RequestDetail, RequestRow } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import type { SqliteJournal } from './journal.ts'

/** What is known of an attempt's end beside its row. */
export interface Crash {
  readonly request: RequestRow
  /** The instance wrote its last row then: it was alive. */
  readonly aliveAtMs: number
}

/** What an attempt that was left open is taken to have been. */
export type Estimate = (row: AttemptRow, crash: Crash) => AttemptRow

/** Books open attempts as interrupted, with recovered usage. Returns how many attempts that were. */
export function recoverOpen(
  journal: SqliteJournal,
  left: readonly RequestDetail[],
  estimate: Estimate,
): number {
  const { aliveAtMs } = journal
  let recovered = 0
  for (const { request, attempts } of left) {
    const ended: AttemptRow[] = []
    for (const row of attempts) {
      if (row.outcome !== 'open') ended.push(row)
      else {
        const end = interrupted(row, estimate(row, { request, aliveAtMs }))
        journal.attempt(end)
        ended.push(end)
        recovered++
      }
    }
    journal.request(interruptedRequest(request, ended), () => undefined)
  }
  return recovered
}

function interrupted(row: AttemptRow, estimated: AttemptRow): AttemptRow {
  return {
    ...estimated,
    requestId: row.requestId,
    attempt: row.attempt,
    startedAtMs: row.startedAtMs,
    outcome: 'interrupted',
    usageSource: 'recovered',
  }
}

function interruptedRequest(request: RequestRow, attempts: readonly AttemptRow[]): RequestRow {
  const costs = attempts.flatMap((row) => (row.cost === null ? [] : [row.cost.amountNano]))
  const sum = costs.reduce((total, cost) => (total + cost) as Nano, NANO_ZERO)
  return {
    ...request,
    outcome: 'interrupted',
    attempts: attempts.length,
    costNano: costs.length === 0 ? null : sum,
  }
}
