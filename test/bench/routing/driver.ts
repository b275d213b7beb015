// Plays a trace through a policy: the part of the gateway that sends, waits, retries and cancels, in virtual time.

import { EventQueue } from './event-queue.ts'
import { asDecision, asHedge, type Decision, type Line, MODEL, type Policy } from './protocol.ts'
import { RunRecord } from './run-record.ts'
import { emptyOutcome, type Outcome, type World } from './world.ts'

/** First attempts and retries; a hedge is not counted. */
const ATTEMPTS_MAX = 4
/** From the arrival on, a policy may ask for patience so long. */
const WAIT_MS_MAX = 120_000
const WAIT_MS_MIN = 1

const EVENT = { answered: 1, failed: 2, finished: 3, hedge: 4, again: 5 } as const

interface Attempt {
  readonly request: number
  readonly target: number
  readonly startedAt: number
  readonly isHedge: boolean
  readonly outcome: Outcome
  isLive: boolean
}

interface Request {
  readonly id: string
  readonly prefixHashes: readonly number[] | undefined
  readonly tried: string[]
  /** Attempts waiting for their first token. */
  waiting: number[]
  attempts: number
  /** Of the decision that is in force: hedges of an earlier one are void. */
  asked: number
  isAnswered: boolean
}

export class Driver {
  readonly #world: World
  readonly #policy: Policy
  readonly #record: RunRecord
  readonly #events = new EventQueue()
  readonly #attempts: Attempt[] = []
  readonly #requests: Request[] = []
  readonly #indexOf: ReadonlyMap<string, number>
  readonly #hedgeAsked: Int32Array

  constructor(world: World, policy: Policy) {
    this.#world = world
    this.#policy = policy
    this.#record = new RunRecord(world)
    this.#indexOf = new Map(world.targets.map((target, index) => [target.id, index]))
    this.#hedgeAsked = new Int32Array(world.trace.count)
  }

  run(): RunRecord {
    const { count } = this.#world.trace
    const handle = (at: number, kind: number, subject: number): void => this.#handle(at, kind, subject)
    for (let next = 0; next < count; ) {
      const arrivalAt = this.#world.arrivalAt(next)
      if (this.#events.nextAt <= arrivalAt) {
        this.#events.pop(handle)
      } else {
        this.#arrive(next, arrivalAt)
        next += 1
      }
    }
    while (this.#events.nextAt < Number.POSITIVE_INFINITY) this.#events.pop(handle)
    return this.#record
  }

  #arrive(index: number, at: number): void {
    const prefix = this.#world.trace.prefixes?.[index]
    this.#requests.push({
      id: `r${index}`,
      prefixHashes: prefix === undefined ? undefined : Array.from(prefix),
      tried: [],
      waiting: [],
      attempts: 0,
      asked: 0,
      isAnswered: false,
    })
    this.#ask(index, at)
  }

  #ask(index: number, at: number): void {
    const request = this.#requestOf(index)
    const decision = asDecision(
      this.#tell(requestLine(request, this.#world.inputTokens(index), at)),
      request.id,
    )
    request.asked += 1
    const chosen = decision.order[0]
    if (chosen === undefined) {
      this.#wait(index, decision, at)
      return
    }
    const target = this.#indexOf.get(chosen)
    if (target === undefined) throw new Error(`${request.id} was sent to "${chosen}", which is no target`)
    const isFirst = request.attempts === 0
    request.attempts += 1
    const outcome = this.#start(index, target, false, at)
    this.#record.decided(index, target, decision, isFirst, at, outcome)
    const hedgeAfterMs = decision.hedge_after_ms
    if (hedgeAfterMs === undefined || hedgeAfterMs === null || outcome.afterMs <= hedgeAfterMs) return
    this.#hedgeAsked[index] = request.asked
    this.#events.push(at + Math.max(0, Math.ceil(hedgeAfterMs)), EVENT.hedge, index)
  }

  #wait(index: number, decision: Decision, at: number): void {
    const waitMs = decision.wait_ms
    if (waitMs === undefined || at + waitMs > this.#world.arrivalAt(index) + WAIT_MS_MAX) {
      this.#record.gaveUp(index, at)
      return
    }
    this.#record.waits += 1
    this.#events.push(at + Math.max(WAIT_MS_MIN, Math.ceil(waitMs)), EVENT.again, index)
  }

  #start(index: number, target: number, isHedge: boolean, at: number): Outcome {
    const request = this.#requestOf(index)
    const outcome = emptyOutcome()
    const id = this.#world.targets[target]?.id ?? ''
    const ordinal = request.tried.filter((tried) => tried === id).length
    this.#world.start(index, target, ordinal, at, outcome)
    const attempt = this.#attempts.length
    this.#attempts.push({ request: index, target, startedAt: at, isHedge, outcome, isLive: true })
    request.tried.push(id)
    request.waiting.push(attempt)
    this.#tell({ type: 'attempt_started', at, id: request.id, target: id })
    this.#events.push(at + outcome.afterMs, outcome.error === null ? EVENT.answered : EVENT.failed, attempt)
    return outcome
  }

  #handle(at: number, kind: number, subject: number): void {
    if (kind === EVENT.again) this.#ask(subject, at)
    else if (kind === EVENT.hedge) this.#hedge(subject, at)
    else {
      const attempt = this.#attempts[subject]
      if (attempt === undefined || !attempt.isLive) return
      if (kind === EVENT.answered) this.#answered(subject, attempt, at)
      else if (kind === EVENT.failed) this.#failed(subject, attempt, at)
      else this.#finished(attempt, at)
    }
  }

  #hedge(index: number, at: number): void {
    const request = this.#requestOf(index)
    if (request.isAnswered || request.waiting.length !== 1) return
    if (this.#hedgeAsked[index] !== request.asked) return
    const { target } = asHedge(this.#tell({ type: 'hedge?', at, id: request.id }), request.id)
    if (target === null) return
    const hedge = this.#indexOf.get(target)
    if (hedge === undefined) throw new Error(`${request.id} was hedged at "${target}", which is no target`)
    this.#record.hedges += 1
    this.#start(index, hedge, true, at)
  }

  #answered(number: number, attempt: Attempt, at: number): void {
    const request = this.#requestOf(attempt.request)
    request.isAnswered = true
    for (const other of request.waiting) if (other !== number) this.#cancel(other, at)
    request.waiting = []
    this.#world.firstToken(attempt.request, attempt.target, at)
    this.#tell({ type: 'first_token', at, id: request.id, target: this.#idOf(attempt.target) })
    const outputTokens = this.#world.outputTokens(attempt.request)
    const streamMs = Math.round((outputTokens - 1) * attempt.outcome.msPerToken)
    this.#record.answered(attempt.request, at, attempt.outcome)
    this.#events.push(at + streamMs, EVENT.finished, number)
  }

  /** A loser has been read by its target, so its input is billed. */
  #cancel(number: number, at: number): void {
    const loser = this.#attempts[number]
    if (loser === undefined) return
    loser.isLive = false
    const { error } = loser.outcome
    if (error !== 'rate_limited' && error !== 'context_length') {
      this.#world.end(loser.target, 0, at)
      this.#bill(loser, 0)
    }
    this.#tell({
      type: 'cancelled',
      at,
      id: this.#requestOf(loser.request).id,
      target: this.#idOf(loser.target),
    })
  }

  #failed(number: number, attempt: Attempt, at: number): void {
    const { error, isInputBilled, retryAfterMs } = attempt.outcome
    if (error === null) return
    const request = this.#requestOf(attempt.request)
    attempt.isLive = false
    request.waiting = request.waiting.filter((other) => other !== number)
    if (error !== 'rate_limited' && error !== 'context_length') this.#world.end(attempt.target, 0, at)
    if (isInputBilled) this.#bill(attempt, 0)
    this.#record.failed(error)
    this.#tell({
      type: 'failed',
      at,
      id: request.id,
      target: this.#idOf(attempt.target),
      error,
      ...(retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs }),
    })
    if (request.waiting.length > 0) return
    if (request.attempts >= ATTEMPTS_MAX) this.#record.gaveUp(attempt.request, at)
    else this.#ask(attempt.request, at)
  }

  #finished(attempt: Attempt, at: number): void {
    attempt.isLive = false
    const outputTokens = this.#world.outputTokens(attempt.request)
    this.#world.end(attempt.target, outputTokens, at)
    this.#bill(attempt, outputTokens)
    this.#tell({
      type: 'finished',
      at,
      id: this.#requestOf(attempt.request).id,
      target: this.#idOf(attempt.target),
      input_tokens: this.#world.inputTokens(attempt.request),
      cached_tokens: attempt.outcome.cachedTokens,
      output_tokens: outputTokens,
    })
  }

  /** At the price of the instant the attempt was sent. */
  #bill(attempt: Attempt, outputTokens: number): void {
    const { request, target, outcome, startedAt } = attempt
    const inputTokens = this.#world.inputTokens(request)
    this.#record.costCny += this.#world.cost(
      target,
      inputTokens,
      outcome.cachedTokens,
      outputTokens,
      startedAt,
    )
  }

  #tell(line: Line): ReturnType<Policy['handle']> {
    return this.#policy.handle(line)
  }

  #idOf(target: number): string {
    return this.#world.targets[target]?.id ?? ''
  }

  #requestOf(index: number): Request {
    return this.#requests[index] as Request
  }
}

function requestLine(request: Request, inputTokens: number, at: number): Line {
  return {
    type: 'request',
    at,
    id: request.id,
    model: MODEL,
    input_tokens: inputTokens,
    ...(request.prefixHashes === undefined ? {} : { prefix_hashes: request.prefixHashes }),
    ...(request.tried.length === 0 ? {} : { tried: [...request.tried] }),
  }
}
