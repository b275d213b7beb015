// Reports that take longer than a request may: who asks gets a number and comes back for the result.

import { GatewayError } from '#core/errors.ts'
import { ReportError, type ReportProgress } from '#core/ledger.ts'
import { REPORT_KEPT_MS, REPORT_ROWS_MAX, REPORTS_MAX } from '#core/limits.ts'
import type { Clock, Random } from '#core/ports.ts'
import type { Report, ReportQuery } from '#pipeline/finance/report-words.ts'

/** A report that is made within this time is the answer itself; a store that is away has said so by then. */
const ANSWER_MS = 3_000

export interface KeptReport {
  readonly id: string
  readonly query: ReportQuery
  /** 0 to 1. */
  progress: number
  report: Report | null
  failure: GatewayError | null
}

export interface ReportDeskOptions {
  readonly clock: Clock
  readonly random: Random
  readonly run: (query: ReportQuery, onProgress: ReportProgress) => Promise<Report>
}

export class ReportDesk {
  readonly #options: ReportDeskOptions
  /** Oldest first. */
  readonly #kept = new Map<string, KeptReport>()

  constructor(options: ReportDeskOptions) {
    this.#options = options
  }

  find(id: string): KeptReport | null {
    return this.#kept.get(id) ?? null
  }

  /** The report, or where it can be asked for. @throws GatewayError when it fails at once, or too many are there */
  async ask(query: ReportQuery): Promise<Report | KeptReport> {
    const { clock, random, run } = this.#options
    if (this.#kept.size >= REPORTS_MAX) this.#makeRoom()
    const id = random.requestId().replace(/^req_/, 'rep_')
    const kept: KeptReport = { id, query, progress: 0, report: null, failure: null }
    // It counts from the start, so that the bound holds for those that run too.
    this.#kept.set(id, kept)
    const made = run(query, (share) => {
      kept.progress = share
    }).then(
      (report) => {
        kept.report = report
        kept.progress = 1
        this.#forgetLarge()
      },
      (cause: unknown) => {
        kept.failure = failureOf(cause)
      },
    )
    await Promise.race([made, new Promise<void>((resolve) => void clock.after(ANSWER_MS, resolve))])
    if (kept.report === null && kept.failure === null) {
      void made.then(() => clock.after(REPORT_KEPT_MS, () => this.#kept.delete(id)))
      return kept
    }
    this.#kept.delete(id)
    if (kept.failure !== null) throw kept.failure
    return kept.report ?? kept
  }

  /** A finished report gives way to a new one. */
  #makeRoom(): void {
    for (const [id, kept] of this.#kept) {
      if (kept.report === null && kept.failure === null) continue
      this.#kept.delete(id)
      return
    }
    throw new GatewayError('overloaded', `${REPORTS_MAX} reports are being made: wait for one of them`, {
      retryAfterMs: 5_000,
    })
  }

  /** The newest stays. */
  #forgetLarge(): void {
    let rows = 0
    for (const [id, { report }] of [...this.#kept].reverse()) {
      if (report === null) continue
      if (rows > 0 && rows + report.rows.length > REPORT_ROWS_MAX) this.#kept.delete(id)
      rows += report.rows.length
    }
  }
}

function failureOf(cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause
  if (!(cause instanceof ReportError))
    return new GatewayError('store_unavailable', 'the store does not answer', { cause, retryAfterMs: 1_000 })
  const { reason, message } = cause
  if (reason === 'busy') return new GatewayError('overloaded', message, { cause, retryAfterMs: 1_000 })
  if (reason === 'too_slow') return new GatewayError('overloaded', message, { cause, shouldRetry: false })
  if (reason === 'gone') return new GatewayError('gone', message, { cause, param: 'from' })
  return new GatewayError('invalid_request', message, { cause, param: 'group_by' })
}
