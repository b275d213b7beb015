// What an instance says to the purses that a fleet shares, and what it hears. All limits of one tag are told of in one
// call. Money is text, for JSON's numbers end at 2^53.

import type { Scope } from '#core/admission.ts'

/** One tenant's limits, or those of one provider or target: what lies in one slot of a cluster. */
export function tagOf(scope: Scope): string {
  if (scope.kind === 'provider' || scope.kind === 'target') return `${scope.kind}:${scope.name}`
  return `org:${scope.kind === 'organisation' ? scope.name : (scope.organisation ?? '')}`
}

export interface MoneyAsk {
  /** Equal for equal periods. */
  readonly period: string
  /** Start of the present period, or '0' of one that has none; it names its sum. */
  readonly from: string
  /** Half-open, epoch ms; Redis says when it is over. */
  readonly startMs: number
  readonly endMs: number
  /** Of a rolling period: width of a part and length, ms; else 0. */
  readonly width: number
  readonly length: number
  readonly amount: string
  /** For requests that wait; `least`: the smallest of them. */
  readonly need: string
  readonly least: string
  /** Beyond that, for those that will come. */
  readonly ahead: string
  /** All that this instance has: less than it was lent gives back, more was taken while nobody could be asked. */
  readonly lent: string
  /** What of it nothing needs now. */
  readonly idle: string
}

export interface RateAsk {
  readonly limit: number
  readonly need: number
  readonly least: number
  readonly ahead: number
  /** Corrections of what was lent: bucket and difference; bucket 0 is the present one. */
  readonly fixes: readonly (readonly [bucket: number, difference: number])[]
}

export interface PlacesAsk {
  readonly limit: number
  readonly need: number
  readonly ahead: number
  readonly lent: number
  readonly idle: number
}

export interface ScopeAsk {
  readonly id: string
  readonly budget?: MoneyAsk
  readonly rpm?: RateAsk
  readonly tpm?: RateAsk
  readonly places?: PlacesAsk
}

/** The last sequence told before, the last one whose rows are told by now, and whether none was ever told. */
export type MarkMove = readonly [previous: number, last: number, isFirst: boolean]

export interface LeaseAsk {
  /** Instance, ':' and epoch. */
  readonly session: string
  /** One more for each call; the same when it is sent again. */
  readonly sequence: number
  /** Nobody may know this session yet. */
  readonly declares: boolean
  /** What it was lent comes free when nothing is heard of it for so long. */
  readonly keptMs: number
  /** All rows of former epochs of this instance are told, so what they were lent comes free. */
  readonly succeeds: boolean
  /** It goes, and all it was lent comes free. */
  readonly leaves: boolean
  readonly mark?: MarkMove
  readonly scopes: readonly ScopeAsk[]
}

export interface MoneyReply {
  /** `unseeded`: nobody has said what was spent. `period`: the period is another one by now. `quiet`: nothing is lent yet. */
  readonly state: 'lent' | 'quiet' | 'unseeded' | 'period'
  readonly granted?: string
  readonly spent?: string
  /** To all others, and what of that nothing needs. */
  readonly lent?: string
  readonly idle?: string
  readonly hungry?: boolean
}

export interface RateReply {
  readonly state: 'lent' | 'quiet'
  readonly granted: number
  readonly bucket: number
  /** In the window, with what is lent. */
  readonly used: number
  /** Until the least need fits; 0: it does. */
  readonly waitMs: number
  readonly resetMs: number
}

export interface PlacesReply {
  readonly state: 'lent' | 'quiet'
  readonly granted: number
  readonly lent: number
  readonly idle: number
  readonly hungry: boolean
}

export interface ScopeReply {
  readonly budget?: MoneyReply
  readonly rpm?: RateReply
  readonly tpm?: RateReply
  readonly places?: PlacesReply
}

/** `unfounded`: the tag holds nothing yet. `unknown`: the session must declare. `old`: a later call was heard. */
export type LeaseReply =
  | { readonly outcome: 'unfounded' | 'unknown' | 'old'; readonly now: number }
  | {
      readonly outcome: 'lent'
      /** By the store's clock, epoch ms. */
      readonly now: number
      readonly instances: number
      /** The mark, where it is below what was believed: rows behind it must be told again. */
      readonly gap?: string
      readonly scopes: readonly ScopeReply[]
    }

/** `from`: start of the period or number of the part. */
export type ChargeItem = readonly [
  scope: string,
  period: string,
  from: string,
  nano: string,
  width: number,
  length: number,
]

export interface ChargeAsk {
  readonly session: string
  readonly previous: number
  readonly last: number
  readonly isFirst: boolean
  readonly charges: readonly ChargeItem[]
  /** What leaves a lease with it: of this session (0), or of those before it (1). */
  readonly draws: readonly (readonly [scope: string, nano: string, whose: 0 | 1])[]
}

export interface ChargeReply {
  readonly outcome: 'applied' | 'duplicate' | 'gap' | 'unfounded'
  readonly mark: number
}

/** What was spent of one purse at the marks of its founding. */
export type FoundedPurse =
  | readonly [scope: string, period: string, start: string, nano: string]
  | readonly [
      scope: string,
      period: string,
      start: '',
      nano: '0',
      parts: readonly (readonly [string, string])[],
    ]

export interface Founding {
  /** '' for none. */
  readonly lifeBefore: string
  readonly life: string
  readonly quietMs: number
  readonly purses: readonly FoundedPurse[]
  readonly marks: readonly (readonly [session: string, sequence: string])[]
}

/** `spent`: of the purses asked about, in their order; null: of another period, or none. */
export interface TagSpent extends TagState {
  readonly spent: readonly (string | null)[]
}

export interface TagState {
  /** '' where the tag holds nothing. */
  readonly life: string
  readonly marks: ReadonlyMap<string, number>
}

/** The purses that all instances share. All methods throw where the store does not answer; what was sent may count then. */
export interface PursePort {
  lease(tag: string, ask: LeaseAsk): Promise<LeaseReply>
  charge(tag: string, ask: ChargeAsk): Promise<ChargeReply>
  /** False: somebody else did it, or it has another life by now. */
  found(tag: string, founding: Founding): Promise<boolean>
  state(tag: string): Promise<TagState>
  spent(tag: string, purses: readonly FoundedPurse[]): Promise<TagSpent>
  close(): void
}
