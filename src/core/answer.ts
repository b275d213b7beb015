// What is known of an answer while it passes; filled by a transform, read by the pump and the meter.

import type { UpstreamFailure } from './errors.ts'
import type { TokenUsage } from './usage.ts'

export interface AnswerState {
  /** Non-empty text, reasoning, refusal, audio or a tool call has been seen: no fallback from here on. */
  content: boolean
  /** A finish reason has been seen: the answer is whole even if its end mark is missing. */
  finished: boolean
  /** The end mark has been seen; nothing after it counts. */
  done: boolean
  /** The upstream's last figures; they are totals, never summed. */
  usage: TokenUsage | null
  /** How many times it has said figures. */
  usageFigures: number
  /** `outputBytes` when it said the last ones. */
  usageAtBytes: number
  responseModel: string | null
  upstreamId: string | null
  failure: UpstreamFailure | null
  /** Bytes of output text seen or guessed, for an estimate where the upstream gives no usage. */
  outputBytes: number
  /** Events that were no JSON objects and were left out. */
  droppedEvents: number
}

/** One answer's way from upstream bytes to client bytes; used once, each chunk seen once. */
export interface AnswerTransform {
  readonly state: AnswerState
  /** Client bytes that came of this chunk are handed to the sink given at the making. */
  push(chunk: Uint8Array): void
  /** The upstream closed. What remains for the client, its end mark excepted, goes to the sink. */
  end(): void
}

export function newAnswerState(): AnswerState {
  return {
    content: false,
    finished: false,
    done: false,
    usage: null,
    usageFigures: 0,
    usageAtBytes: 0,
    responseModel: null,
    upstreamId: null,
    failure: null,
    outputBytes: 0,
    droppedEvents: 0,
  }
}

/** The last figures win. */
export function noteUsage(state: AnswerState, usage: TokenUsage): void {
  state.usage = usage
  state.usageFigures++
  state.usageAtBytes = state.outputBytes
}
