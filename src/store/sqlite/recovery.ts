// What a crash left open becomes interrupted, once. How much it may have cost is the caller's estimate.

import type { AttemptRow, RequestRow } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import type { SqliteJournal } from './journal.ts'
import type { LiveRequest } from './live-request.ts'

/** Books open attempts as interrupted, with recovered usage. Returns how many attempts that were. */
export function recoverOpen(
  journal: SqliteJournal,
  left: readonly LiveRequest[],
  estimate: (row: AttemptRow) => AttemptRow,
): number {
  let recovered = 0
  for (const request of left) {
    for (const row of request.detail().attempts) {
      if (row.outcome !== 'open') continue
      journal.attempt(interrupted(row, estimate(row)))
      recovered++
    }
    const { attempts } = request.detail()
    journal.request(interruptedRequest(request.row, attempts), () => undefined)
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
