// What a ledger of an instance is, whichever store it has, and what all of them share.

import { randomBytes } from 'node:crypto'
import type { Corrections } from '#core/adjustments.ts'
import type { AlertBook, FleetAlerts } from '#core/alerts.ts'
import type { BalanceUsed, Journal, LedgerBatch, LedgerStore } from '#core/ledger.ts'
import { JOURNAL_PENDING_ROWS_MAX } from '#core/limits.ts'
import type { Settings } from '#core/settings.ts'
import type { SpentSnapshot, SpentSource } from '#core/spent.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import type { PursePort } from '#store/admission/lease-words.ts'
import { faultOf, type StoreFault } from '#store/fault.ts'
import type { Estimate } from '#store/sqlite/recovery.ts'
import type { SqliteLedger } from '#store/sqlite/store.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { SharedKeys } from './keys.ts'
import type { Reports } from './reports.ts'

export const JOURNAL_PATH = 'data/journal.db'

export interface NodeLedger {
  readonly journal: Journal
  /** Where reports are read. */
  readonly store: LedgerStore
  /** Of this instance, shipped or not, and of all others. */
  readonly balances: () => Promise<readonly BalanceUsed[]>
  /** Other instances write to it too. */
  readonly isShared: boolean
  readonly keys: SharedKeys
  /** A shared store has been looked at, or is away. @throws Error when it cannot be used as it is configured */
  readonly ready: Promise<void>
  readonly corrections: Corrections
  /** What instances that share a store need to know of each other; null: there is one instance. */
  readonly fleet: LedgerFleet | null
  /** What this instance has told, and what all have; null: it is alone. */
  readonly alerts: { readonly book: AlertBook; readonly fleet: FleetAlerts | null }
  /** Rates past rows of the ledger's file on a thread; null: the ledger is no file. */
  readonly rerate: Reports['rerate'] | null
  /** The same with a bill. */
  readonly reconcile: Reports['reconcile'] | null
  /** Books what a crash left open, as `estimate` prices it; once, before anything is read of what was spent. */
  recover(estimate: Estimate): void
  readonly describe: string
  /** What keeps rows in memory; null: nothing does. */
  readonly trouble: () => LedgerTrouble | null
  close(): Promise<void>
}

export interface LedgerFleet {
  readonly instance: string
  readonly epoch: number
  readonly outbox: Pick<SqliteLedger['outbox'], 'rowsAfter' | 'lastSequence' | 'rowsWaiting'>
  readonly purses: PursePort
  /** By session: the last row that the ledger has. */
  readonly marks: () => Promise<ReadonlyMap<string, number>>
  /** What the ledger of record says; null: no archive says it, and what the store counts is all there is. */
  readonly spent: (...asked: Parameters<SpentSource['spent']>) => Promise<SpentSnapshot | null>
  /** Where rows are charged, before the store has them; none leaves before this is said. */
  chargeTo(charge: (batch: LedgerBatch) => Promise<void>): void
  /** Runs when the last rows have left, at the end. */
  whenShipped(run: () => Promise<void>): void
}

export interface LedgerTrouble {
  readonly fault: StoreFault
  /** No request is admitted any more: too many rows wait. */
  readonly isFull: boolean
}

export interface LedgerOptions {
  /** `sqlite:PATH`, `memory:`, or one of Redis. */
  readonly url: string
  /** `SLUICE_JOURNAL`. */
  readonly journalPath: string | undefined
  readonly settings: Settings['ledger']
  readonly metrics: Metrics
  readonly log: Log
}

/** All that a ledger is made of, opened. */
export interface OpenedLedger {
  readonly path: string
  readonly ledger: SqliteLedger
  readonly reports: Reports
  /** What runs beside it. */
  readonly stops: readonly (() => void)[]
  readonly checkpointer: Checkpointer
  readonly recover: NodeLedger['recover']
  close(): Promise<void>
}

export const makeName = (): string => randomBytes(8).toString('hex')

export function troubleOf({ journal }: SqliteLedger): LedgerTrouble | null {
  const { failure, pendingRows } = journal
  return failure === null
    ? null
    : { fault: faultOf(failure), isFull: pendingRows >= JOURNAL_PENDING_ROWS_MAX }
}

/** An instance books its own. */
export function correctionsOf(ledger: SqliteLedger, { months }: LedgerStore): Corrections {
  return {
    adjust: async (rows) => ledger.adjust(rows),
    closedMonths: async () => new Set((await months?.list())?.map(({ month }) => month)),
  }
}

/** Work on past rows of the file, which has all that the journal said before it begins. */
export function pastOnThread({
  ledger,
  reports,
}: Pick<OpenedLedger, 'ledger' | 'reports'>): Pick<Reports, 'rerate' | 'reconcile'> {
  return {
    rerate(work, onProgress) {
      ledger.journal.flush()
      return reports.rerate(work, onProgress)
    },
    reconcile(job, onProgress) {
      ledger.journal.flush()
      return reports.reconcile(job, onProgress)
    },
  }
}
