// What the rooms tell the operator, by meaning: measures and log lines. Names and formats live in telemetry/.

import type { AdmissionState, ScopeKind } from './admission.ts'
import type { AlertThreshold } from './alerts.ts'
import type { AttemptOutcome, RequestOutcome } from './ledger.ts'
import type { EstimateReason, TokenUsage, UsageDoubt } from './usage.ts'

/** From the most to the least that is told. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** One client request, at its end. */
export interface RequestMeasures {
  /** What the client speaks: `openai-chat`, `openai-completions`. */
  readonly wireFormat: string
  readonly outcome: RequestOutcome
  readonly durationMs: number
  /** Time not spent waiting for an upstream. */
  readonly overheadMs: number
  /** null: no content reached the client. */
  readonly ttftMs: number | null
}

/** One upstream call, at its end. */
export interface AttemptMeasures {
  /** Value of `gen_ai.provider.name`. */
  readonly provider: string
  readonly model: string
  readonly outcome: AttemptOutcome
  readonly durationMs: number
  readonly ttftMs: number | null
  readonly usage: TokenUsage
  /** Book currency; null: none. */
  readonly costNano: bigint | null
  /** No price was known, whatever was charged. */
  readonly unpriced: boolean
  /** Why the usage is our estimate; null: it is the upstream's count. */
  readonly estimate: EstimateReason | null
  /** What in the upstream's usage could not be so. */
  readonly doubt: UsageDoubt | null
}

/**
 * How reading on behind a client that had left ended: with a usage, without one, with the upstream's failure, or at a
 * bound (`number`: it did not begin).
 */
export type DrainOutcome = 'learned' | 'unsaid' | 'failed' | 'time' | 'bytes' | 'number' | 'stop'

/** Counts and times of this instance; every call is a few additions and never throws on outside data. */
export interface Metrics {
  requestStarted(): void
  requestEnded(end: RequestMeasures): void
  attemptEnded(end: AttemptMeasures): void
  /** Usages of attempts that a crash had left open. */
  usageRecovered(attempts: number): void
  /** Answers that are read on now, behind clients that have left. */
  drains(running: number): void
  drainEnded(outcome: DrainOutcome): void
  /** An attempt failed with `reason` and another one follows. */
  fallback(reason: string): void
  /** The first target of a request was chosen. */
  decided(policy: string, choice: 'best' | 'explored' | 'slo_relaxed' | 'refused'): void
  /** A second target was asked, as the first was late. */
  hedged(): void
  /** A limit or a budget said no: `key_rpm`, `team_budget`. */
  admissionRefused(reason: string): void
  /** An alert of a budget was told. */
  budgetAlert(kind: ScopeKind, threshold: AlertThreshold): void
  /** What is held now, and overrun so far. */
  admission(state: AdmissionState): void
  /** Requests that the planner knows of now. */
  plannerRequests(count: number): void
  targetState(target: string, state: 'closed' | 'open' | 'half_open'): void
  storeUp(isUp: boolean): void
  /** The store may lose what it is given: `evicts`, `forgets`. */
  storeRisk(risk: string, isSo: boolean): void
  /** Another process writes to the store under the name of this instance. */
  instanceTaken(isTaken: boolean): void
  /** Rows of the journal that the store does not have yet. */
  journal(rows: number, oldestAgeMs: number): void
  /** SQLite's write-ahead log: its size, and since when it has not been moved into the file as a whole. */
  writeAheadLog(bytes: number, checkpointAgeMs: number): void
  /** Bytes of the journal's log that could not be read back at the start. */
  journalBytesUnread(bytes: number): void
  /** Rows that the shared store had lost and that are gone here too. */
  rowsLost(rows: number): void
  /** Whether this instance is the ledger of record, and how old the oldest row is that it does not have. */
  archive(isHolder: boolean, lagMs: number): void
  /** Rows that left the shared store before the archive had them. */
  rowsUnarchived(rows: number): void
  /** Counters of so many hours and days did not say what the rows say, and were made anew. */
  countersRebuilt(count: number): void
  /** Tenants, providers and targets whose limits this instance keeps alone, as their store does not answer. */
  limitsLocal(count: number): void
  /** Purses of a tag were written from the ledger. */
  pursesWritten(why: 'founded' | 'seeded' | 'healed'): void
  storeDuration(operation: string, durationMs: number): void
  settingsReloaded(atMs: number): void
  settingsReloadFailed(): void
  /** An event of a stream was no JSON object and was left out. */
  streamEventDropped(): void
  /** Since a row of a provider's price list was last compared with its source. */
  priceAge(provider: string, ageMs: number): void
  /** A provider's price list cannot be used, and the last good one stays. */
  priceListKept(provider: string, isKept: boolean): void
  /** All of it in Prometheus' text format. */
  render(): Promise<string>
  readonly contentType: string
}

/** A value that is JSON text already, without secrets. */
export class JsonText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type LogMethod = (event: string, fields?: Readonly<Record<string, unknown>>) => void

/** Events are named noun.verb (`attempt.failed`); fields are data, never prose made of data. */
export interface Log {
  readonly debug: LogMethod
  readonly info: LogMethod
  readonly warn: LogMethod
  readonly error: LogMethod
}
