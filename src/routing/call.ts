// One request of a client while it is under way: its clock, its attempts, what was decided for it.

import type { FailureKind } from '#core/errors.ts'
import { isOfTheKey } from './account.ts'
import { wasSetBack } from './clock.ts'
import type { PlannerRequest } from './request.ts'
import type { Attempt } from './target-state.ts'

export interface Call {
  request: PlannerRequest
  /** The SLO's clock runs from here, over all attempts. */
  readonly arrivedAtMs: number
  /** Attempts decided, hedges not counted. */
  attempts: number
  readonly running: Attempt[]
  /** Of the last decision. */
  worth: number
  exploring: string | null
  /** With which probability its target was chosen. */
  propensity: number
  /** False: no target was likely to meet the SLO. */
  meetsSlo: boolean
  /** Of the first decision: P(within the SLO). */
  promised: number
  isHedged: boolean
  /** Its last attempt has failed, and no other has been sent since. */
  hasFailed: boolean
  /** A window of this size was too small. */
  windowMin: number
  /** By target, keys that failed it: others may still be asked with. */
  readonly spent: Map<string, Set<string>>
}

export function openCall(request: PlannerRequest, nowMs: number): Call {
  return {
    request,
    arrivedAtMs: nowMs,
    attempts: 0,
    running: [],
    worth: 0,
    exploring: null,
    propensity: 1,
    meetsSlo: true,
    promised: 0,
    isHedged: false,
    hasFailed: false,
    windowMin: 0,
    spent: new Map(),
  }
}

/** Requests whose end nobody tells are forgotten, by count and by age. */
const CALLS_MAX = 50_000
const AGE_MS_MAX = 1_800_000

export class Calls {
  readonly #calls = new Map<string, Call>()

  /** The same request again is its next attempt. */
  open(request: PlannerRequest, nowMs: number): Call {
    const known = this.#calls.get(request.id)
    if (known !== undefined && !isAnother(known, request, nowMs)) {
      known.request = request
      return known
    }
    this.abandon(request.id, nowMs)
    this.#forgetOld(nowMs)
    const call = openCall(request, nowMs)
    this.#calls.set(request.id, call)
    return call
  }

  get size(): number {
    return this.#calls.size
  }

  get(id: string): Call | undefined {
    return this.#calls.get(id)
  }

  /** It has ended; what still runs for it is no longer waited for. */
  abandon(id: string, nowMs: number): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    for (const attempt of call.running) attempt.target.cancelled(attempt, nowMs)
    this.#calls.delete(id)
  }

  #forgetOld(nowMs: number): void {
    for (const [id, { request, arrivedAtMs }] of this.#calls) {
      const ageMsMax = Math.max(AGE_MS_MAX, 2 * request.policy.timeouts.totalMs)
      if (this.#calls.size < CALLS_MAX && nowMs - arrivedAtMs <= ageMsMax) return
      this.abandon(id, nowMs)
    }
  }
}

/** A new request under the id of one that nobody has ended: it names no attempts, though there were some. */
function isAnother(call: Call, request: PlannerRequest, nowMs: number): boolean {
  if (wasSetBack(call.arrivedAtMs, nowMs)) return true
  if (call.attempts === 0 || request.tried.length > 0) return false
  return call.running.length > 0 || !call.hasFailed
}

/** Time to first token that the SLO allows for this prompt; Infinity: any. */
export function ttftBarMs({ policy, inputTokens }: PlannerRequest): number {
  const { ttftMs, ttftMsPer1kInput } = policy.slo
  return ttftMs === null ? Number.POSITIVE_INFINITY : ttftMs + (ttftMsPer1kInput * inputTokens) / 1000
}

export function runningAt(call: Call, target: string): Attempt | undefined {
  return call.running.find((attempt) => attempt.target.id === target)
}

/** A key that failed: with another one the target may be asked again, unless it is the target that failed. */
export function noteSpent({ spent }: Call, { target, account }: Attempt, kind: FailureKind): void {
  if (target.accounts.length < 2) return
  let keys = spent.get(target.id)
  if (keys === undefined) {
    keys = new Set()
    spent.set(target.id, keys)
  }
  for (const { id } of isOfTheKey(kind) ? [account] : target.accounts) keys.add(id ?? '')
}
