// The shape of a collection of price entries: more kinds, units and remarks than the gateway bills by.

import type { PriceTimeBand } from '#core/price.ts'

export interface CollectedEntry {
  readonly provider: string
  readonly model: string
  readonly aliases?: readonly string[]
  readonly kind: string
  readonly region?: string | null
  readonly currency: string
  readonly unit: string
  readonly tiers: readonly CollectedTier[]
  readonly time_bands?: readonly CollectedBand[]
  readonly effective_from?: string | null
  readonly effective_to?: string | null
  readonly status?: string
  readonly cache_rule?: string
  readonly char_rule?: string
  readonly id_kind?: string
  readonly note?: string
  readonly free_quota?: string
  readonly cache_storage_per_million_tokens_hour?: string
  readonly voice_clone_one_off?: string
  readonly voice_design_one_off?: string
  readonly tools?: { readonly search_strategy_agent_per_1000_calls?: number }
  readonly audio_input?: string | number
  readonly image_input?: string | number
  readonly audio_output?: string | number
  readonly price_history?: readonly CollectedPast[]
  readonly quoted_only?: true
  readonly context_window?: number | null
  readonly max_output?: number | null
  readonly capabilities?: readonly string[]
  readonly source?: string
  readonly source_date?: string | null
}

export type CollectedTier = Readonly<Record<string, unknown>>
export type CollectedBand = Omit<PriceTimeBand, 'tiers'> & { readonly tiers: readonly CollectedTier[] }

/** What an older source had. */
export interface CollectedPast {
  readonly as_of: string
  readonly source: string
  readonly unit: string
  readonly tiers: readonly CollectedTier[]
}
