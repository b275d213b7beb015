// What a crash left open becomes interrupted, once. How much it may have cost is the caller's estimate.

import type { AttemptRow, RequestRow } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import {
  ATTEMPT_COLUMNS,
  ATTEMPT_TABLES,
  attemptOf,
  number,
  REQUEST_COLUMNS,
  REQUEST_TABLES,
  requestOf,
} from './rows.ts'
import type { LedgerWriter } from './writer.ts'

/** Requests per transaction, so that a large crash does not hold the event loop for long at once. */
const REQUESTS_PER_TRANSACTION = 500

const OPEN_REQUESTS = `SELECT number FROM request WHERE number BETWEEN ?1 AND ?2 AND outcome = 'open'
  UNION SELECT request AS number FROM attempt WHERE request BETWEEN ?1 AND ?2 AND outcome = 'open' ORDER BY number`

/** Request numbers that an earlier epoch may have left open, both included. */
export interface RecoverySpan {
  readonly firstNumber: number
  readonly lastNumber: number
}

/** Books open attempts as interrupted, with recovered usage. Returns how many attempts that were. */
export function recoverOpen(
  driver: SqlDriver,
  writer: LedgerWriter,
  span: RecoverySpan,
  estimate: (row: AttemptRow) => AttemptRow,
): number {
  const open = driver.prepare(OPEN_REQUESTS).all(span.firstNumber, span.lastNumber)
  const numbers = open.map((row) => number(row, 'number'))
  const statements = {
    request: driver.prepare(`SELECT ${REQUEST_COLUMNS} FROM ${REQUEST_TABLES} WHERE r.number = ?`),
    attempts: driver.prepare(
      `SELECT ${ATTEMPT_COLUMNS} FROM ${ATTEMPT_TABLES} WHERE a.request = ? ORDER BY a.attempt`,
    ),
  }
  let recovered = 0
  for (let start = 0; start < numbers.length; start += REQUESTS_PER_TRANSACTION) {
    let inChunk = 0
    writer.transaction(() => {
      for (const requestNumber of numbers.slice(start, start + REQUESTS_PER_TRANSACTION)) {
        inChunk += recoverRequest(writer, statements, requestNumber, estimate)
      }
    })
    recovered += inChunk
  }
  return recovered
}

function recoverRequest(
  writer: LedgerWriter,
  statements: { readonly request: SqlStatement; readonly attempts: SqlStatement },
  requestNumber: number,
  estimate: (row: AttemptRow) => AttemptRow,
): number {
  const attempts = statements.attempts.all(requestNumber).map(attemptOf)
  const settled = attempts.map((row) => (row.outcome === 'open' ? interrupted(row, estimate(row)) : row))
  let recovered = 0
  for (const [index, row] of settled.entries()) {
    if (attempts[index]?.outcome !== 'open') continue
    writer.closeAttempt(requestNumber, row)
    recovered += 1
  }
  const row = statements.request.get(requestNumber)
  const request = row === undefined ? null : requestOf(row)
  if (request?.outcome === 'open') {
    writer.closeRequest(requestNumber, interruptedRequest(request, settled), request)
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
