// One of the upstream keys that a target can be asked with: its quota, its cooldown, and what the cache behind it has.
// Most targets have one.

import type { FailureKind } from '#core/errors.ts'
import { type BreakerRules, ejectionMs } from './breaker.ts'
import { Odds } from './odds.ts'
import { type Expected, PrefixLog, UNSEEN } from './prefixes.ts'
import type { Quota } from './quota.ts'
import type { PlannerRequest } from './request.ts'

/** Failures that say something of the key alone, where there are others. */
const OF_THE_KEY: ReadonlySet<FailureKind> = new Set(['auth', 'quota'])

export function isOfTheKey(kind: FailureKind): boolean {
  return kind === 'rate_limit' || OF_THE_KEY.has(kind)
}

export class AccountState {
  /** null: the only one. */
  readonly id: string | null
  readonly prefixes = new PrefixLog()
  readonly refusals = new Odds()
  /** Of this target with this key, and of all targets with it. */
  quota: Quota
  sharedQuota: Quota | null
  inFlight = 0
  sentAtMs = Number.NEGATIVE_INFINITY
  /** It was refused as a key. */
  ejectedFor: FailureKind | null = null
  ejectedSinceMs = 0
  ejectedUntilMs = Number.NEGATIVE_INFINITY
  #ejections = 0

  constructor(id: string | null, quota: Quota, sharedQuota: Quota | null) {
    this.id = id
    this.quota = quota
    this.sharedQuota = sharedQuota
  }

  /** Until it may be used for such a request; Infinity: not by waiting. */
  waitMs({ inputTokens, keepsLimits }: PlannerRequest, nowMs: number): number {
    // Limits of one key among several are nobody else's to keep.
    const isKept = keepsLimits && this.id === null
    const own = waitOf(this.quota, inputTokens, isKept, nowMs)
    const shared = this.sharedQuota === null ? 0 : waitOf(this.sharedQuota, inputTokens, isKept, nowMs)
    return Math.max(own, shared, this.ejectedUntilMs - nowMs, 0)
  }

  /** Minutes of its limits that such a request takes. */
  minutesOf(tokens: number): number {
    const own = this.quota.minutesOf(tokens)
    return this.sharedQuota === null ? own : Math.max(own, this.sharedQuota.minutesOf(tokens))
  }

  isCoolingDown(nowMs: number): boolean {
    return this.quota.isCooling(nowMs) || this.sharedQuota?.isCooling(nowMs) === true
  }

  /** Tokens of the prompt that its cache may have. */
  expect({ prefixes, session, inputTokens, policy }: PlannerRequest, nowMs: number): Expected {
    if (policy.affinity === 'none') return UNSEEN
    if (prefixes.length > 0) return this.prefixes.expect(prefixes, inputTokens, nowMs)
    return session === null ? UNSEEN : this.prefixes.expectSession(session, inputTokens, nowMs)
  }

  answered(): void {
    this.#ejections = 0
    this.ejectedUntilMs = Number.NEGATIVE_INFINITY
    this.ejectedFor = null
  }

  /** The key itself was refused: it has no money left, or is not valid. */
  eject(kind: FailureKind, rules: BreakerRules, nowMs: number): void {
    if (nowMs < this.ejectedUntilMs) return
    this.ejectedFor = kind
    this.ejectedSinceMs = nowMs
    this.ejectedUntilMs = nowMs + ejectionMs(this.#ejections, rules)
    this.#ejections++
  }
}

function waitOf(quota: Quota, tokens: number, isKept: boolean, nowMs: number): number {
  return isKept && quota.isUntested(nowMs) ? 0 : quota.waitMs(tokens, nowMs)
}

/**
 * The key to ask with: of those that may be used now the one whose cache has most of the prompt, else the one that has
 * least to do; else the one that comes back first. `spent`: keys that have failed this request.
 */
export function chooseAccount(
  accounts: readonly AccountState[],
  request: PlannerRequest,
  spent: ReadonlySet<string> | undefined,
  nowMs: number,
): AccountState {
  const [only] = accounts
  if (only !== undefined && accounts.length === 1) return only
  let best: AccountState | null = null
  let bestWaitMs = Number.POSITIVE_INFINITY
  let bestTokens = 0
  for (const account of accounts) {
    if (spent?.has(account.id ?? '') === true) continue
    const waitMs = account.waitMs(request, nowMs)
    const tokens = waitMs > 0 ? 0 : account.expect(request, nowMs).tokens
    if (best !== null && !isBetter(account, waitMs, tokens, best, bestWaitMs, bestTokens)) continue
    best = account
    bestWaitMs = waitMs
    bestTokens = tokens
  }
  return best ?? (only as AccountState)
}

function isBetter(
  account: AccountState,
  waitMs: number,
  tokens: number,
  best: AccountState,
  bestWaitMs: number,
  bestTokens: number,
): boolean {
  if (waitMs !== bestWaitMs) return waitMs < bestWaitMs
  if (tokens !== bestTokens) return tokens > bestTokens
  if (account.inFlight !== best.inFlight) return account.inFlight < best.inFlight
  return account.sentAtMs < best.sentAtMs
}
