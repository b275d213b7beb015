// What the planner is asked: a request, and the targets that may serve it with all that is known of them beforehand.

import type { Limits } from '#core/admission.ts'
import type { Capability } from '#core/provider.ts'
import type { PolicySettings } from '#core/settings.ts'
import type { LatencyPrior } from './ttft.ts'

/** Prices of a target in book currency, of the instant; NaN: not known. */
export interface Quote {
  readonly cost: (atMs: number, inputTokens: number, cachedTokens: number, outputTokens: number) => number
  /** Per million tokens at this request's tier. */
  readonly inputPrice: (atMs: number, inputTokens: number, outputTokens: number) => number
  readonly outputPrice: (atMs: number, inputTokens: number, outputTokens: number) => number
}

/** One upstream key of several. */
export interface PlannerAccount {
  readonly id: string
  /** Declared for this key, over all targets; of the provider's name and the key's. */
  readonly limits: Limits
  readonly sharedId: string
}

/** A target with what is known of it without asking it. Made once for a configuration. */
export interface PlannerTarget {
  /** `PROVIDER/MODEL`. */
  readonly id: string
  readonly weight: number
  /** Lowest first. */
  readonly priority: number
  /** null: unknown. */
  readonly contextWindow: number | null
  /** Declared limits that it shares with nobody, and those of its provider. */
  readonly limits: Limits
  readonly sharedLimits: { readonly id: string; readonly limits: Limits } | null
  /** Keys that it can be asked with; empty: there is one, or none is needed. */
  readonly accounts: readonly PlannerAccount[]
  readonly prior: LatencyPrior | null
  /** Hidden thinking precedes the first content: such answers are estimated apart. */
  readonly isThinking: boolean
  readonly lacks: (capability: Capability) => boolean
  readonly quote: Quote
}

export interface PlannerRequest {
  readonly id: string
  /** The name that was asked for: answers are as long as those to it usually are. */
  readonly model: string
  readonly policy: PolicySettings
  readonly targets: readonly PlannerTarget[]
  readonly needs: readonly Capability[]
  readonly inputTokens: number
  /** What the client allows; null: it does not say. */
  readonly outputTokensMax: number | null
  /** What a context window must hold: the prompt and the answer asked for. */
  readonly windowTokens: number
  /** False: only the end of its answer is seen, which teaches nothing of the time to the first token. */
  readonly isStreamed: boolean
  /** Each names a whole prefix of the prompt, of 512 tokens more than the one before. */
  readonly prefixes: readonly (string | number)[]
  readonly session: string | null
  /** By target, what comes first whatever else is known of it: lower before higher; null: all alike. */
  readonly ranks: readonly number[] | null
  /**
   * Whoever asks keeps to declared limits himself, so that a limit which the upstream has not been seen to enforce is no
   * reason to wait.
   */
  readonly keepsLimits: boolean
  /** So long it may wait in all for limits or ejected targets; null: as long as waiting is worth it. */
  readonly patienceMs: number | null
  /** Targets of attempts that have been made. */
  readonly tried: readonly string[]
}

export interface PlannerDecision {
  readonly id: string
  /** Best first, without those tried; empty: refused, or with `waitMs` to be asked again then. */
  readonly order: readonly string[]
  /** The key for each of them; null: its only one. */
  readonly accounts: readonly (string | null)[]
  readonly waitMs: number | null
  /** Of a refusal: when a target may be had again; null: not by waiting. */
  readonly soonestMs: number | null
  /** True: the first of the order is not the best known, but might be. */
  readonly explore: boolean
  /** With which probability this first was chosen. */
  readonly propensity: number
  /** When to ask for a hedge; null: not at all. */
  readonly hedgeAfterMs: number | null
  /** Of the attempt at the first of the order, book currency; NaN: unpriced. */
  readonly expectedCost: number
  readonly pSlo: number
}
