// What the planner is asked: a request, and the targets that may serve it with all that is known of them beforehand.

import type { Capability } from '#core/provider.ts'
import type { PolicySettings } from '#core/settings.ts'
import type { QuotaLimits } from './quota.ts'
import type { LatencyPrior } from './ttft.ts'

/** Prices of a target in book currency, of the instant; NaN: not known. */
export interface Quote {
  readonly cost: (atMs: number, inputTokens: number, cachedTokens: number, outputTokens: number) => number
  /** Per million tokens at this request's tier. */
  readonly inputPrice: (atMs: number, inputTokens: number, outputTokens: number) => number
  readonly outputPrice: (atMs: number, inputTokens: number, outputTokens: number) => number
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
  readonly limits: QuotaLimits
  readonly sharedLimits: { readonly id: string; readonly limits: QuotaLimits } | null
  readonly prior: LatencyPrior | null
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
  /** Each names a whole prefix of the prompt, of 512 tokens more than the one before. */
  readonly prefixes: readonly (string | number)[]
  readonly session: string | null
  /** Hidden thinking precedes the first content: such requests are estimated apart. */
  readonly isThinking: boolean
  /** Targets of attempts that have been made. */
  readonly tried: readonly string[]
}

export interface PlannerDecision {
  readonly id: string
  /** Best first, without those tried; empty: refused, or with `waitMs` to be asked again then. */
  readonly order: readonly string[]
  readonly waitMs: number | null
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
