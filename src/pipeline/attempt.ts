// One upstream call, from the signed request to its end. Nothing reaches the client before the first content;
// from then on bytes flow, and the end itself is handed back, because it waits for the journal.

import { type AnswerState, type AnswerTransform, newAnswerState } from '#core/answer.ts'
import { ownFailure, type UpstreamFailure } from '#core/errors.ts'
import {
  ANSWER_BODY_BYTES_MAX,
  ERROR_BODY_BYTES_MAX,
  HELD_BYTES_MAX,
  RETRY_AFTER_MS_MAX,
} from '#core/limits.ts'
import type { Headers, Timer, TransportFault, UpstreamCall, UpstreamHandler } from '#core/ports.ts'
import { concatBytes } from '#wire/bytes.ts'
import { readErrorBody, readRetryAfter, toFailure } from '#wire/openai-chat/failure.ts'
import { billsOn, type Drain, type Left } from './abandoned.ts'
import { answerKind } from './answer-kind.ts'
import type { AttemptEnd, AttemptInput, RunningAttempt } from './attempt-end.ts'
import type { Deps } from './context.ts'
import { AttemptDeadline, type DeadlinePhase } from './deadline.ts'
import { type AnswerOptions, convertAnswer, openAnswer } from './translate.ts'

export function startAttempt(deps: Deps, input: AttemptInput): RunningAttempt {
  return new Attempt(deps, input)
}

/** How long an upstream may take to close its answer behind the end mark. */
const LINGER_MS = 1_000
/** And how long to say there what it has not said before: its usage. */
const LATE_USAGE_MS = 250

class Attempt implements RunningAttempt, UpstreamHandler {
  readonly ended: Promise<AttemptEnd>
  readonly #deps: Deps
  readonly #input: AttemptInput
  readonly #startedMs: number
  readonly #deadline: AttemptDeadline
  readonly #call: UpstreamCall
  /** Made when the first bytes of a stream come. */
  #transform: AnswerTransform | null = null
  #state: AnswerState = newAnswerState()
  #resolve: (end: AttemptEnd) => void = () => undefined
  #over = false
  #upstreamEnded = false
  #awaitsUsage = false
  #linger: Timer | null = null
  #sent = false
  #paused = false
  /** The client has left. */
  #isAlone = false
  #drain: Drain | null = null
  #drainedBytes = 0
  #committed = false
  #status = 0
  #headers: Headers = {}
  /** What the bytes are: events to transform, or a body to gather. */
  #gathers: 'events' | 'answer' | 'error' = 'answer'
  /** The first bytes have been looked at: they say more than the content type does. */
  #isKnown = false
  readonly #parts: Uint8Array[] = []
  #gatheredBytes = 0
  #held: Uint8Array[] = []
  #heldBytes = 0
  #ttftMs: number | null = null

  constructor(deps: Deps, input: AttemptInput) {
    this.#deps = deps
    this.#input = input
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#startedMs = deps.clock.monotonicMs()
    const { totalMs, connectMs } = input.timeouts
    this.#deadline = new AttemptDeadline(deps.clock, totalMs, connectMs, (phase) => this.#expired(phase))
    this.#call = deps.upstream.send(input.request, this)
  }

  readonly leave = (): void => {
    if (this.#over || this.#isAlone) return
    // From here on nothing is for the client.
    this.#isAlone = true
    const { policy } = this.#input.onLeave
    const { finished, usage, usageAtBytes, outputBytes } = this.#state
    const isKnown = finished && usage !== null && usageAtBytes === outputBytes
    // What was not written is not billed, and what is known need not be learned.
    if (!this.#sent || isKnown) this.#finishLeft('cancel')
    else if (policy === 'drain') this.#startDrain()
    else this.#finishLeft(policy)
  }

  /** Another attempt has content: this one is not waited for, and its bill estimated where the vendor works on. */
  readonly lose = (): void => {
    if (this.#over) return
    this.#isAlone = true
    this.#finishLeft(this.#input.onLeave.stopsBilling ? 'cancel' : 'estimate')
  }

  #startDrain(): void {
    const drain = this.#deps.drains.enter(() => this.#finishLeft('stop'))
    if (typeof drain === 'string') return this.#finishLeft(drain)
    this.#drain = drain
    this.#held = []
    this.#deadline.enter('drain', drain.msMax, this.#deps.clock.monotonicMs())
    if (this.#paused) this.#call.resume()
    this.#paused = false
  }

  #finishLeft(left: Left): void {
    this.#finish('cancelled', null, null, left)
  }

  readonly resume = (): void => {
    if (!this.#paused || this.#over) return
    this.#paused = false
    this.#deadline.enter('idle', this.#input.timeouts.idleMs, this.#deps.clock.monotonicMs())
    this.#call.resume()
  }

  #answerOptions(): AnswerOptions {
    const { requestId, costOf } = this.#input
    return { requestId, nowMs: this.#deps.clock.nowMs(), costOf, out: (bytes) => this.#out(bytes) }
  }

  onConnected(): void {
    this.#sent = true
    if (this.#isAlone) return
    const lastsMs = this.#input.streaming ? this.#input.ttftMs : null
    this.#deadline.enter('first_token', lastsMs, this.#deps.clock.monotonicMs())
  }

  onHead(status: number, headers: Headers): void {
    this.#status = status
    this.#headers = headers
    const encoding = headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity')
      return this.#fail('protocol', `content-encoding ${encoding}, unasked`)
    this.#isKnown = status < 200 || status >= 300
    if (this.#isKnown) this.#gathers = 'error'
    // A whole answer is no stream, nor is a web page of some proxy, which fails as the JSON that it is not.
    else if (this.#input.streaming && !/\/(json|html)/.test(headers['content-type'] ?? ''))
      this.#gathers = 'events'
  }

  onBytes(chunk: Uint8Array): void {
    if (this.#over) return
    if (this.#drain !== null) {
      this.#drainedBytes += chunk.length
      if (this.#drainedBytes > this.#drain.bytesMax) return this.#finishLeft('bytes')
    }
    if (!this.#isKnown) {
      this.#input.onFirstByte()
      const kind = answerKind(chunk)
      this.#isKnown = kind !== null
      this.#gathers = kind ?? this.#gathers
    }
    if (this.#gathers === 'events') this.#pushEvents(chunk)
    else this.#gather(chunk)
  }

  #gather(chunk: Uint8Array): void {
    this.#gatheredBytes += chunk.length
    if (this.#gathers === 'error') {
      if (this.#gatheredBytes <= ERROR_BODY_BYTES_MAX) this.#parts.push(chunk)
      else this.#onEnd()
    } else if (this.#gatheredBytes <= ANSWER_BODY_BYTES_MAX) this.#parts.push(chunk)
    else this.#fail('protocol', `an answer above ${ANSWER_BODY_BYTES_MAX} bytes`)
  }

  #openTransform(): AnswerTransform {
    let transform = this.#transform
    if (transform === null) {
      const { call, facts } = this.#input
      transform = openAnswer(call, facts, this.#answerOptions())
      this.#transform = transform
      this.#state = transform.state
    }
    return transform
  }

  #pushEvents(chunk: Uint8Array): void {
    if (this.#over) return
    const transform = this.#openTransform()
    transform.push(chunk)
    const { state } = transform
    const nowMs = this.#deps.clock.monotonicMs()
    if (this.#ttftMs === null && state.content) this.#onContent(nowMs)
    // Content that came before a failure goes out, also where one read brought both.
    if (state.failure !== null) return this.#finish('failed', state.failure)
    if (state.done) return this.#onDone(state, nowMs)
    if (this.#ttftMs === null) {
      if (this.#heldBytes > HELD_BYTES_MAX)
        return this.#fail('protocol', `${HELD_BYTES_MAX} bytes without content`)
    } else if (!this.#paused && !this.#isAlone) this.#deadline.extend(this.#input.timeouts.idleMs, nowMs)
  }

  /** Behind the end mark only a usage that has not come yet is awaited, and not for long. */
  #onDone(state: AnswerState, nowMs: number): void {
    if (state.usage !== null || !state.finished || this.#upstreamEnded) this.#onEnd()
    else if (!this.#awaitsUsage) {
      this.#awaitsUsage = true
      this.#deadline.enter('idle', LATE_USAGE_MS, nowMs)
    }
  }

  #onContent(nowMs: number): void {
    this.#ttftMs = nowMs - this.#startedMs
    this.#input.onContent()
    if (this.#isAlone) return
    this.#deadline.enter('idle', this.#input.timeouts.idleMs, nowMs)
    if (this.#input.call.streaming) this.#commit()
  }

  #commit(): void {
    if (this.#isAlone) return
    this.#committed = true
    this.#input.commit()
    const held = this.#held
    this.#held = []
    for (const bytes of held) this.#out(bytes)
  }

  #out(bytes: Uint8Array): void {
    if (this.#isAlone) return
    if (!this.#committed) {
      this.#held.push(bytes)
      this.#heldBytes += bytes.length
    } else if (!this.#input.write(bytes) && !this.#paused && !this.#upstreamEnded) {
      this.#paused = true
      // A slow reader is no fault of the upstream: only the total goes on counting.
      this.#deadline.enter('idle', null, this.#deps.clock.monotonicMs())
      this.#call.pause()
    }
  }

  onEnd(): void {
    this.#upstreamEnded = true
    this.#linger?.cancel()
    this.#onEnd()
  }

  #onEnd(): void {
    if (this.#over) return
    if (this.#gathers === 'error') return this.#finish('failed', this.#readFailure())
    if (this.#gathers === 'answer') return this.#onWholeAnswer()
    const transform = this.#openTransform()
    transform.end()
    const { state } = transform
    if (state.failure !== null) return this.#finish('failed', state.failure)
    // An end mark alone proves nothing: gateways between write one behind a cut stream too.
    if (!state.finished) return this.#fail('truncated', 'the stream ended without a finish reason')
    if (!this.#input.call.streaming) return this.#finish('success', null, concatBytes(this.#held))
    if (!this.#committed) this.#commit()
    this.#finish('success', null)
  }

  #onWholeAnswer(): void {
    if (this.#status === 0) return this.#fail('protocol', 'the answer has no head')
    const { state, bytes } = convertAnswer(
      concatBytes(this.#parts),
      this.#input.call,
      this.#input.facts,
      this.#answerOptions(),
    )
    this.#state = state
    if (state.failure !== null) return this.#finish('failed', state.failure)
    if (!this.#input.call.streaming) return this.#finish('success', null, bytes)
    this.#ttftMs = this.#deps.clock.monotonicMs() - this.#startedMs
    this.#held.push(bytes)
    this.#commit()
    this.#finish('success', null)
  }

  #readFailure(): AttemptEnd['failure'] {
    const retryAfterMs = readRetryAfter(this.#headers, this.#deps.clock.nowMs(), RETRY_AFTER_MS_MAX)
    const { errors } = this.#input.facts.provider
    return toFailure(readErrorBody(concatBytes(this.#parts)), this.#status, errors, retryAfterMs)
  }

  onFault(fault: TransportFault, cause: unknown): void {
    if (this.#over) return
    // An answer whose finish reason came is whole, however the connection ended.
    if (this.#gathers === 'events' && this.#state.finished) return this.#onEnd()
    const text = cause instanceof Error ? cause.message : String(cause)
    if (fault === 'timeout' || fault === 'protocol') this.#fail(fault, text)
    else this.#fail(this.#status === 0 ? 'connection' : 'truncated', `${fault}: ${text}`)
  }

  #expired(phase: DeadlinePhase): void {
    if (this.#over) return
    if (this.#drain !== null) return this.#finishLeft('time')
    if (phase === 'idle' && this.#state.finished) return this.#onEnd()
    this.#fail(phase === 'connect' ? 'connection' : 'timeout', `${phase} deadline`)
  }

  #fail(kind: UpstreamFailure['kind'], message: string): void {
    this.#finish('failed', ownFailure(kind, this.#status, message))
  }

  #finish(
    outcome: AttemptEnd['outcome'],
    failure: AttemptEnd['failure'],
    body: Uint8Array | null = null,
    left: Left | null = null,
  ): void {
    if (this.#over) return
    this.#over = true
    this.#deadline.cancel()
    this.#drain?.end()
    if (outcome !== 'success' || this.#paused) this.#call.abort()
    else if (!this.#upstreamEnded) {
      // The connection is kept for the next request if its end follows soon.
      this.#linger = this.#deps.clock.after(LINGER_MS, () => this.#call.abort())
    }
    const alone = this.#isAlone ? (left ?? (outcome === 'success' ? 'learned' : 'failed')) : null
    this.#resolve({
      outcome: alone === 'learned' ? 'cancelled' : outcome,
      failure,
      committed: this.#committed,
      state: this.#state,
      body,
      httpStatus: this.#status,
      headers: this.#headers,
      ttftMs: this.#ttftMs,
      durationMs: this.#deps.clock.monotonicMs() - this.#startedMs,
      sent: this.#sent,
      streamed: this.#input.streaming,
      left: alone,
      billsOn: billsOn(alone, this.#input.onLeave),
    })
  }
}
