// The shape of a price list (`providers/*/prices.json`, `prices:` of the configuration).

/** Decimal strings in the entry's currency per its unit. */
export interface PriceTier {
  /** Whole-request bound on input tokens, inclusive; absent: no bound. */
  readonly input_tokens_up_to?: number
  readonly output_tokens_up_to?: number
  readonly input?: string
  readonly output?: string
  readonly cached_input?: string
  /** Hits of an explicit cache where they cost otherwise (DashScope). */
  readonly cached_input_explicit?: string
  readonly cache_write?: string
  /** Output price while the thinking mode is on. */
  readonly thinking_output?: string
}

export interface PriceTimeBand {
  /** IANA zone of the vendor. */
  readonly timezone: string
  readonly days: 'all' | 'mon-fri' | 'sat-sun'
  /** `HH:MM`, start included, end excluded; an end before the start wraps past midnight. */
  readonly start: string
  readonly end: string
  readonly effective_from?: string
  readonly effective_to?: string
  readonly tiers: readonly PriceTier[]
}

export interface PriceEntry {
  /** Model id, or a pattern ending in `*`. */
  readonly model: string
  readonly aliases?: readonly string[]
  readonly region?: string
  readonly currency: string
  readonly unit: 'per_million_tokens'
  /** In order; the first row that fits prices the whole request, past the last limit the last row does. */
  readonly tiers: readonly PriceTier[]
  readonly time_bands?: readonly PriceTimeBand[]
  /** Half-open; a bare date is 00:00 in Shanghai; absent: since ever, for ever. */
  readonly effective_from?: string
  readonly effective_to?: string
  /** True: prices the past only and is never used for a request of today. */
  readonly historic?: true
  readonly context_window?: number
  readonly max_output?: number
  readonly capabilities?: readonly string[]
  readonly source?: string
  readonly checked_on?: string
}
