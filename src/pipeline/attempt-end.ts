// What an attempt is started with, and what is left of it at its end.

import { type AnswerState, newAnswerState } from '#core/answer.ts'
import type { UpstreamFailure } from '#core/errors.ts'
import type { Headers, UpstreamRequest } from '#core/ports.ts'
import type { PolicySettings } from '#core/settings.ts'
import type { TokenUsage } from '#core/usage.ts'
import type { AbortPlan, Left } from './abandoned.ts'
import type { Call } from './context.ts'
import type { TargetFacts } from './live.ts'

export interface AttemptInput {
  readonly call: Call
  readonly facts: TargetFacts
  readonly request: UpstreamRequest
  /** The upstream was asked to stream. */
  readonly streaming: boolean
  readonly timeouts: PolicySettings['timeouts']
  readonly ttftMs: number
  readonly requestId: string
  /** What becomes of it when the client leaves. */
  readonly onLeave: AbortPlan
  readonly costOf: (usage: TokenUsage, responseModel: string | null) => string | null
  /** The first byte of an answer that is no error. */
  readonly onFirstByte: () => void
  /** The first content of a stream, whether or not the client waits for it. */
  readonly onContent: () => void
  /** The first content is here: the client's head goes out, and writes follow. False from `write`: wait for resume. */
  readonly commit: () => void
  readonly write: (bytes: Uint8Array) => boolean
}

export interface AttemptEnd {
  readonly outcome: 'success' | 'failed' | 'cancelled'
  readonly failure: (UpstreamFailure & { readonly renew?: boolean }) | null
  /** The client has had content of this attempt. */
  readonly committed: boolean
  readonly state: AnswerState
  /** The whole answer, where it was not streamed. */
  readonly body: Uint8Array | null
  readonly httpStatus: number
  readonly headers: Headers
  readonly ttftMs: number | null
  readonly durationMs: number
  /** The request had been written, so the upstream may have worked on it. */
  readonly sent: boolean
  /** The upstream was asked to stream, so that what it made was seen as it came. */
  readonly streamed: boolean
  /** What became of it when its client left; null: the client stayed. */
  readonly left: Left | null
  /** It was aborted, and the upstream is thought to go on and bill all the same. */
  readonly billsOn: boolean
}

/** A running attempt as the dispatcher holds it. */
export interface RunningAttempt {
  readonly ended: Promise<AttemptEnd>
  /** The client has gone. */
  readonly leave: () => void
  readonly resume: () => void
  /** Another one was first. */
  readonly lose: () => void
}

/** The end of an attempt that was never sent; null: the client had gone before. */
export function unsentEnd(failure: UpstreamFailure | null, durationMs: number): AttemptEnd {
  return {
    outcome: failure === null ? 'cancelled' : 'failed',
    failure,
    committed: false,
    state: { ...newAnswerState(), failure },
    body: null,
    httpStatus: failure?.status ?? 0,
    headers: {},
    ttftMs: null,
    durationMs,
    sent: false,
    streamed: false,
    left: failure === null ? 'cancel' : null,
    billsOn: false,
  }
}
