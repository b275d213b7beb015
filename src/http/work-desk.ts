// Work that may take longer than a request: who asks gets its result, or a number to come back with.

import type { Context } from 'hono'
import { GatewayError } from '#core/errors.ts'
import { ReportError, type ReportProgress } from '#core/ledger.ts'
import { REPORT_KEPT_MS, REPORTS_MAX } from '#core/limits.ts'
import type { Clock, Random } from '#core/ports.ts'

/** What is done within this time is the answer itself. */
const ANSWER_MS = 3_000

interface Work {
  readonly id: string
  progress: number
  result: Record<string, unknown> | null
  failure: GatewayError | null
}

export class WorkDesk {
  readonly #clock: Clock
  readonly #random: Random
  /** Oldest first. */
  readonly #kept = new Map<string, Work>()

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock
    this.#random = random
  }

  /** @throws GatewayError when it fails at once, or too much runs */
  async ask(
    context: Context,
    run: (onProgress: ReportProgress) => Promise<Record<string, unknown>>,
  ): Promise<Response> {
    if (this.#kept.size >= REPORTS_MAX) this.#makeRoom()
    const id = this.#random.requestId().replace(/^req_/, 'job_')
    const work: Work = { id, progress: 0, result: null, failure: null }
    // It counts from the start, so that the bound holds for what runs too.
    this.#kept.set(id, work)
    const done = run((share) => {
      work.progress = share
    }).then(
      (result) => {
        work.result = result
      },
      (cause: unknown) => {
        work.failure = failureOf(cause)
      },
    )
    await Promise.race([done, new Promise<void>((resolve) => void this.#clock.after(ANSWER_MS, resolve))])
    if (work.result !== null || work.failure !== null) this.#kept.delete(id)
    else void done.then(() => this.#clock.after(REPORT_KEPT_MS, () => void this.#kept.delete(id)))
    return answer(context, work)
  }

  find(context: Context, id: string): Response {
    const work = this.#kept.get(id)
    if (work === undefined)
      throw new GatewayError('not_found', `there is no job "${id.slice(0, 100)}"`, { param: 'id' })
    return answer(context, work)
  }

  #makeRoom(): void {
    const [done] = [...this.#kept.values()].filter(
      ({ result, failure }) => result !== null || failure !== null,
    )
    if (done === undefined)
      throw new GatewayError('overloaded', 'too many jobs run: try again', { retryAfterMs: 5_000 })
    this.#kept.delete(done.id)
  }
}

function answer(context: Context, { id, progress, result, failure }: Work): Response {
  if (failure !== null) throw failure
  if (result !== null) return context.json(result)
  context.header('location', `/admin/v1/jobs/${id}`)
  return context.json({ id, status: 'running', progress }, 202)
}

function failureOf(cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause
  if (cause instanceof ReportError) {
    const code = cause.reason === 'busy' || cause.reason === 'too_slow' ? 'overloaded' : 'invalid_request'
    return new GatewayError(code, cause.message, {
      cause,
      ...(code === 'overloaded' ? { retryAfterMs: 5_000 } : {}),
    })
  }
  if (cause instanceof TypeError) return new GatewayError('internal_error', 'the job failed', { cause })
  return new GatewayError('store_unavailable', 'the store does not answer', { cause, retryAfterMs: 1_000 })
}
