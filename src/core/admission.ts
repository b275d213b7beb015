// Words of admission: who may spend how much and how fast. One step checks everything and takes everything, or
// takes nothing; how that is done stands in store/admission.

import type { Nano } from './money.ts'

/** Whose purse or whose rate. Keys, teams and organisations ask; providers and targets are asked of. */
export type ScopeKind = 'key' | 'team' | 'organisation' | 'provider' | 'target'

export interface Limits {
  /** No 60 seconds contain more requests. */
  readonly rpm: number | null
  /** No 60 seconds contain more tokens, input and output. */
  readonly tpm: number | null
  readonly concurrency: number | null
}

export const NO_LIMITS: Limits = Object.freeze({ rpm: null, tpm: null, concurrency: null })

export type BudgetPeriod =
  | { readonly kind: 'life' }
  /** Periods of this length, counted from 1970-01-01 00:00 of the zone. */
  | { readonly kind: 'fixed'; readonly lengthMs: number; readonly timeZone?: string }
  /** `timeZone` absent: Asia/Shanghai. */
  | { readonly kind: 'calendar'; readonly unit: 'day' | 'week' | 'month'; readonly timeZone?: string }
  /** Always the last so many milliseconds. */
  | { readonly kind: 'rolling'; readonly lengthMs: number }

export interface Budget {
  readonly amountNano: Nano
  readonly period: BudgetPeriod
  /** Strict: all that can be billed is bounded before it is sent, so that nothing is ever overspent. */
  readonly isStrict: boolean
}

/** Something that has a limit or a budget; what has neither is no scope. */
export interface Scope {
  /** `KIND:NAME`, the same over changes of the configuration. */
  readonly id: string
  readonly kind: ScopeKind
  /** Name of the key, team, organisation or provider, or `PROVIDER/MODEL`. */
  readonly name: string
  /** Whom a key or a team belongs to; absent: nobody. All limits of a tenant lie together. */
  readonly organisation?: string
  readonly limits: Limits
  readonly budget: Budget | null
}

/** What an attempt may cost and weigh. */
export interface Claim {
  /** Held until the attempt has ended. */
  readonly costNano: Nano
  /** Beyond what is held it may come to this; the same under a strict budget. */
  readonly worstNano: Nano
  readonly tokens: number
}

export type LimitKind = 'budget' | 'rpm' | 'tpm' | 'concurrency'

/** Which limit said no, and how it stands. Amounts of a budget are nano, of a rate requests or tokens. */
export interface Refusal {
  readonly scope: Scope
  readonly limit: LimitKind
  readonly allowed: bigint
  /** Spent, or used in the last 60 seconds, or running; null: the ledger has not said yet what was spent. */
  readonly used: bigint | null
  /** Of a budget: held for requests that run. */
  readonly held: bigint
  readonly asked: bigint
  /** When it may be worth asking again; null: not by waiting. */
  readonly retryAfterMs: number | null
  /** When the period of a budget ends, epoch ms; null: it does not. */
  readonly resetAtMs: number | null
  /**
   * `lease`: what this instance was lent does not suffice, and more may be had (`Grant.refill`). `store`: the store that
   * counts for all instances does not answer. Absent: the limit itself.
   */
  readonly cause?: 'lease' | 'store'
}

/** How the tightest rate of a caller stands, for `x-ratelimit-…`. */
export interface RateState {
  readonly limit: number
  readonly remaining: number
  /** Until all of it is there again. */
  readonly resetMs: number
}

export interface RateStates {
  readonly requests: RateState | null
  readonly tokens: RateState | null
}

/** One attempt's wish: all of it or nothing. */
export interface Ask {
  /** Of the target: each attempt counts. The caller's own scopes count a request once. */
  readonly targetScopes: readonly Scope[]
  readonly claim: Claim
  /** The attempt's start, which dates its charge. */
  readonly atMs: number
  /** The hold is gone by then, whatever happens. */
  readonly untilMs: number
}

/** The holds of one request: a lease of its owner. Every call is synchronous. */
export interface Grant {
  /** Takes what an attempt may cost. null: taken; else nothing was. */
  begin(ask: Ask): Refusal | null
  /** After a refusal by a lease: resolves when it is worth another `begin`, within a bound; null: it never is. */
  refill(ask: Ask): Promise<void> | null
  /** The attempt ended: what was held becomes what was spent. Again, for the same attempt, has no effect. */
  settle(costNano: Nano, tokens: number): void
  /** The holds of an attempt that runs beside: the same request, so that rates and places count it once. */
  fork(): Grant
  /** A long stream lives on, and its hold with it. */
  extend(untilMs: number): void
  /** The request is over: what is still held comes free. */
  close(): void
}

export interface Admission {
  /** Holds of a request that has asked for nothing yet. */
  open(owner: string, callerScopes: readonly Scope[]): Grant
  /** Whether an attempt would be let in; takes nothing. */
  check(targetScopes: readonly Scope[], claim: Claim): Refusal | null
  /** What the tightest budget still has, nano; null: there is none. */
  affordableNano(scopes: readonly Scope[]): bigint | null
  rates(scopes: readonly Scope[]): RateStates
  /** null: the scope has no budget. */
  budgetState(scope: Scope): BudgetState | null
  /** Asks how scopes stand over all instances, within a deadline; what is then told is as of now. */
  refresh(scopes: readonly Scope[]): Promise<void>
  /** True: limits of these are kept by this instance alone for now, as the store that all share does not answer. */
  isLocal(scopes: readonly Scope[]): boolean
  readonly state: AdmissionState
}

export interface AdmissionState {
  readonly heldNano: bigint
  /** What running requests may cost beyond what is held for them: the bound on overspending. */
  readonly overshootNano: bigint
  /** Tokens reported beyond what had been claimed, since the start. */
  readonly overrunTokens: number
  /** Billed beyond the worst that had been claimed, since the start: a provider did not keep a bound. */
  readonly overrunNano: bigint
}

/** One budget as operators see it. */
export interface BudgetState {
  readonly scope: Scope
  /** null: the ledger has not said yet. */
  readonly spentNano: bigint | null
  readonly heldNano: bigint
  /** What its running requests may cost beyond that. */
  readonly overshootNano: bigint
  readonly resetAtMs: number | null
}
