// Circuit breaker and cooldown of one target. Pure transitions: state and instant in, state out.

import type { FailureKind } from '#core/errors.ts'
import { wasSetBack } from './clock.ts'

export interface BreakerState {
  readonly state: 'closed' | 'open' | 'half_open'
  readonly consecutiveFailures: number
  /** Times ejected in a row; each doubles the next ejection. */
  readonly ejections: number
  /** Open until then; 0 when closed. */
  readonly untilMs: number
  readonly sinceMs: number
  /** The failure that opened it. */
  readonly reason: FailureKind | null
  /** A half-open target lets one probe through at a time. */
  readonly probing: boolean
}

export interface BreakerRules {
  readonly consecutive5xx: number
  readonly baseEjectionMs: number
  readonly maxEjectionMs: number
}

export const CLOSED: BreakerState = Object.freeze({
  state: 'closed',
  consecutiveFailures: 0,
  ejections: 0,
  untilMs: 0,
  sinceMs: 0,
  reason: null,
  probing: false,
})

/** Failures that say the target is unwell; several in a row open the breaker. */
const COUNTED: ReadonlySet<FailureKind> = new Set([
  'server',
  'connection',
  'timeout',
  'protocol',
  'truncated',
  'overloaded',
])
/** Failures that say at once: not now, whoever asks. */
const IMMEDIATE: ReadonlySet<FailureKind> = new Set(['rate_limit', 'quota', 'auth', 'model_unavailable'])
/** A rate limit without `retry-after`: most vendors recover within a second or a minute; try soon. */
const RATE_LIMIT_COOLDOWN_MS = 1_000

/** Failures that say something of the target. */
export function isBlamed(kind: FailureKind): boolean {
  return COUNTED.has(kind) || IMMEDIATE.has(kind)
}

/** The state as time alone has made it: an open breaker whose time is up, or whose clock was set back, is half-open. */
export function atInstant(breaker: BreakerState, nowMs: number): BreakerState {
  if (breaker.state !== 'open') return breaker
  if (nowMs < breaker.untilMs && !wasSetBack(breaker.sinceMs, nowMs)) return breaker
  return { ...breaker, state: 'half_open', sinceMs: breaker.untilMs, probing: false }
}

/** May a request go there now? */
export function admits(breaker: BreakerState): boolean {
  return breaker.state === 'closed' || (breaker.state === 'half_open' && !breaker.probing)
}

export function onSent(breaker: BreakerState): BreakerState {
  return breaker.state === 'half_open' ? { ...breaker, probing: true } : breaker
}

/** A good answer to a request that was sent before does not end a cooldown that the vendor asked for. */
export function onSuccess(breaker: BreakerState): BreakerState {
  return breaker.state === 'open' && breaker.reason === 'rate_limit' ? breaker : CLOSED
}

/** An answer that says nothing about the target's health: the client left, or the request itself was bad. */
export function onNeutral(breaker: BreakerState): BreakerState {
  return breaker.probing ? { ...breaker, probing: false } : breaker
}

export function onFailure(
  breaker: BreakerState,
  kind: FailureKind,
  rules: BreakerRules,
  nowMs: number,
  retryAfterMs: number | null,
): BreakerState {
  if (breaker.state === 'open') return onLateFailure(breaker, kind, nowMs, retryAfterMs)
  if (IMMEDIATE.has(kind)) {
    const waitMs =
      kind === 'rate_limit' ? (retryAfterMs ?? RATE_LIMIT_COOLDOWN_MS) : ejectionMs(breaker.ejections, rules)
    return opened(breaker, kind, nowMs, waitMs)
  }
  if (!COUNTED.has(kind)) return onNeutral(breaker)
  const consecutiveFailures = breaker.consecutiveFailures + 1
  const mustOpen = breaker.state === 'half_open' || consecutiveFailures >= rules.consecutive5xx
  if (!mustOpen) return { ...breaker, consecutiveFailures }
  const waitMs = Math.max(ejectionMs(breaker.ejections, rules), retryAfterMs ?? 0)
  return opened({ ...breaker, consecutiveFailures }, kind, nowMs, Math.min(waitMs, rules.maxEjectionMs))
}

/**
 * Requests that ran when the target was ejected fail too: they are the same outage, not the next one. New is only a
 * rate limit that lasts longer.
 */
function onLateFailure(
  breaker: BreakerState,
  kind: FailureKind,
  nowMs: number,
  retryAfterMs: number | null,
): BreakerState {
  const untilMs = nowMs + (retryAfterMs ?? RATE_LIMIT_COOLDOWN_MS)
  return kind === 'rate_limit' && untilMs > breaker.untilMs ? { ...breaker, untilMs, reason: kind } : breaker
}

function opened(breaker: BreakerState, reason: FailureKind, nowMs: number, waitMs: number): BreakerState {
  return {
    state: 'open',
    consecutiveFailures: breaker.consecutiveFailures,
    ejections: breaker.ejections + 1,
    untilMs: nowMs + waitMs,
    sinceMs: nowMs,
    reason,
    probing: false,
  }
}

export function ejectionMs(ejections: number, rules: BreakerRules): number {
  return Math.min(rules.baseEjectionMs * 2 ** Math.min(ejections, 20), rules.maxEjectionMs)
}
