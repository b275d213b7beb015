// The lines of the replay protocol (`sluice decide`), as objects. `at` is Unix time in virtual milliseconds.

/** What all requests ask for; the configuration knows it by this name. */
export const MODEL = 'chat'

export interface RequestLine {
  readonly type: 'request'
  readonly at: number
  readonly id: string
  readonly model: string
  readonly input_tokens: number
  /** Each names its whole prefix, of 512 tokens more than the one before. */
  readonly prefix_hashes?: readonly number[]
  readonly tried?: readonly string[]
}

export interface AttemptStartedLine {
  readonly type: 'attempt_started'
  readonly at: number
  readonly id: string
  readonly target: string
}

export interface FirstTokenLine {
  readonly type: 'first_token'
  readonly at: number
  readonly id: string
  readonly target: string
}

export interface FinishedLine {
  readonly type: 'finished'
  readonly at: number
  readonly id: string
  readonly target: string
  readonly input_tokens: number
  readonly cached_tokens: number
  readonly output_tokens: number
}

export type AttemptError = 'rate_limited' | 'timeout' | 'server_error' | 'connect' | 'context_length'

export interface FailedLine {
  readonly type: 'failed'
  readonly at: number
  readonly id: string
  readonly target: string
  readonly error: AttemptError
  readonly retry_after_ms?: number
}

export interface CancelledLine {
  readonly type: 'cancelled'
  readonly at: number
  readonly id: string
  readonly target: string
}

export interface HedgeLine {
  readonly type: 'hedge?'
  readonly at: number
  readonly id: string
}

export type Line =
  | RequestLine
  | AttemptStartedLine
  | FirstTokenLine
  | FinishedLine
  | FailedLine
  | CancelledLine
  | HedgeLine

export interface Decision {
  readonly id: string
  /** Empty: refused, or, with `wait_ms`, to be asked again. */
  readonly order: readonly string[]
  readonly explore?: boolean
  readonly propensity?: number
  readonly hedge_after_ms?: number | null
  readonly expected_cost?: number
  readonly p_slo?: number
  readonly wait_ms?: number
}

export interface HedgeAnswer {
  readonly id: string
  readonly target: string | null
}

export type Answer = Decision | HedgeAnswer

/** A policy under test: a decision for `request`, a hedge's target for `hedge?`, null for all else. */
export interface Policy {
  handle(line: Line): Answer | null
  close?(): void
}

/** @throws Error when a policy answers a request with anything else */
export function asDecision(answer: Answer | null, id: string): Decision {
  if (answer !== null && answer.id === id && 'order' in answer && Array.isArray(answer.order)) return answer
  throw new Error(`a decision for ${id} was due, not ${JSON.stringify(answer)}`)
}

/** @throws Error when a policy answers `hedge?` with anything else */
export function asHedge(answer: Answer | null, id: string): HedgeAnswer {
  if (answer !== null && answer.id === id && 'target' in answer) return answer
  throw new Error(`a hedge's target for ${id} was due, not ${JSON.stringify(answer)}`)
}
