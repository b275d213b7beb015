// Whether and where to try again after a failed attempt. Who is to blame stands in core/errors.ts.

import { ERRORS, FAILURE_KINDS, type UpstreamFailure } from '#core/errors.ts'
import { ATTEMPTS_MAX, RETRY_WAIT_MS_MAX } from '#core/limits.ts'
import type { PolicySettings } from '#core/settings.ts'

export type Next =
  | { readonly kind: 'give_up' }
  /** Another target, or this one again where it may be over by then; `waitMs` is for this one. */
  | { readonly kind: 'again'; readonly mayBeSame: boolean; readonly waitMs: number }

const GIVE_UP: Next = { kind: 'give_up' }
const ELSEWHERE: Next = { kind: 'again', mayBeSame: false, waitMs: 0 }

/** Failures that may be over a moment later on the same target. */
const PASSING: ReadonlySet<UpstreamFailure['kind']> = new Set([
  'connection',
  'server',
  'overloaded',
  'rate_limit',
])
const RETRY_BASE_MS = 200

export interface RetryInput {
  readonly failure: UpstreamFailure
  readonly policy: PolicySettings
  /** Attempts made, this one included. */
  readonly attempts: number
  readonly random: () => number
}

/** The decision before any content has reached the client; afterwards there is none to make. */
export function decideNext(input: RetryInput): Next {
  const { failure, policy } = input
  if (input.attempts >= Math.min(policy.retry.attempts, ATTEMPTS_MAX)) return GIVE_UP
  // A provider's refusal for content is an answer, unless the policy names who may be asked instead.
  if (failure.kind === 'moderation') return policy.onModeration === 'stop' ? GIVE_UP : ELSEWHERE
  if (failure.kind === 'context_length') return ELSEWHERE
  if (!isRetryable(failure, policy)) return GIVE_UP
  if (!PASSING.has(failure.kind)) return ELSEWHERE
  const doubledMs = RETRY_BASE_MS * 2 ** (input.attempts - 1) * (0.5 + input.random())
  const backoffMs = Math.min(doubledMs, RETRY_WAIT_MS_MAX)
  const askedMs = policy.retry.respectRetryAfter ? (failure.retryAfterMs ?? 0) : 0
  if (askedMs > RETRY_WAIT_MS_MAX) return ELSEWHERE
  return { kind: 'again', mayBeSame: true, waitMs: Math.max(backoffMs, askedMs) }
}

/** The list names statuses as the upstream sent them or as we would answer them. */
function isRetryable(failure: UpstreamFailure, policy: PolicySettings): boolean {
  const codes = policy.retry.onStatusCodes
  return codes.includes(failure.status) || codes.includes(ERRORS[FAILURE_KINDS[failure.kind]].status)
}
