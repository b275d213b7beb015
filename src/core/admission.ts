// Words of admission: who may spend how much and how fast. One step checks everything and takes everything, or
// takes nothing; how that is done stands in store/admission.

import type { Nano } from './money.ts'

/** Whose purse or whose rate. Tenants ask; providers and targets are asked of. */
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
  /** Periods of this length, counted from 1970-01-01 00:00 in the books' time zone. */
  | { readonly kind: 'fixed'; readonly lengthMs: number }
  | { readonly kind: 'calendar'; readonly unit: 'day' | 'week' | 'month' }
  /** Always the last so many milliseconds. */
  | { readonly kind: 'rolling'; readonly lengthMs: number }

export interface Budget {
  readonly amountNano: Nano
  readonly period: BudgetPeriod
}

export interface Scope {
  readonly kind: ScopeKind
  /** Key's, team's, organisation's or provider's name, or `PROVIDER/MODEL`. */
  readonly name: string
  readonly limits: Limits
  readonly budget: Budget | null
}

/** What an attempt may cost and weigh at most. */
export interface Claim {
  readonly costNano: Nano
  readonly tokens: number
}

export type LimitKind = 'budget' | 'rpm' | 'tpm' | 'concurrency'

/** Which limit said no, and how it stands. Amounts of a budget are nano, of a rate requests or tokens. */
export interface Refusal {
  readonly kind: ScopeKind
  readonly name: string
  readonly limit: LimitKind
  readonly allowed: bigint
  /** Spent, or used in the last 60 seconds, or running. */
  readonly used: bigint
  /** Of a budget: held for requests that run. */
  readonly held: bigint
  readonly asked: bigint
  /** When it may be worth asking again; null: not by waiting. */
  readonly retryAfterMs: number | null
  /** When the period of a budget ends, epoch ms; null: it does not. */
  readonly resetAtMs: number | null
}

/** How the tightest rates of a tenant stand, for `x-ratelimit-…`. */
export interface RateState {
  readonly limit: number
  readonly remaining: number
  readonly resetMs: number
}

export interface RateStates {
  readonly requests: RateState | null
  readonly tokens: RateState | null
}

/** A request that was let in. Every call is synchronous; `close` comes once, after the last attempt's end. */
export interface Grant {
  readonly rates: RateStates
  /** Before an attempt: takes what it may cost, in its tenants' scopes and in the target's. null: taken. */
  begin(targetScopes: readonly Scope[], claim: Claim, nowMs: number): Refusal | null
  /** The attempt ended: what was held becomes what was spent. Again for the same attempt has no effect. */
  settle(costNano: Nano, tokens: number, nowMs: number): void
  /** A long stream lives on: the hold does too. */
  extend(untilMs: number): void
  close(nowMs: number): void
}
