// The shape of a price list (`providers/*/prices.json`, `prices:` of the configuration).

/** What becomes of a target without a price under a budget; see pricing/unpriced.ts. */
export const UNPRICED_RULES = ['deny', 'bound', 'allow_flagged'] as const

export type UnpricedRule = (typeof UNPRICED_RULES)[number]

/** What a price is for one of. Tokens alone have prices for parts; all other units have one price, `price`. */
export const PRICE_UNITS = [
  'per_million_tokens',
  'per_image',
  'per_10k_chars',
  'per_million_utf8_bytes',
  'per_second',
  'per_hour',
  'per_gpu_second',
  'per_video',
  'per_voice',
  'per_call',
] as const

export type PriceUnit = (typeof PRICE_UNITS)[number]

/** Facts of a request that choose among rows beside its lengths: `{ resolution: '720P' }`; a list means any of it. */
export interface PriceCondition {
  /** The tier that the answer says it was served by: `batch`, `flex`, `priority`. */
  readonly service_tier?: string | readonly string[]
  readonly resolution?: string | readonly string[]
  readonly audio?: boolean
  readonly input_video?: boolean
}

/** Decimal strings in the entry's currency per its unit. */
export interface PriceTier {
  /** Absent: the row is for all requests. */
  readonly when?: PriceCondition
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
  /** Tokens of sound and images, where they cost otherwise than text. */
  readonly audio_input?: string
  readonly image_input?: string
  readonly audio_output?: string
  /** Of one unit, where that is no token. */
  readonly price?: string
}

/** The members of a tier that are prices of tokens. */
export const TOKEN_PRICE_NAMES = [
  'input',
  'output',
  'cached_input',
  'cached_input_explicit',
  'cache_write',
  'thinking_output',
  'audio_input',
  'image_input',
  'audio_output',
] as const satisfies readonly (keyof PriceTier)[]

/** The members of a tier that are prices. */
export const PRICE_NAMES = [...TOKEN_PRICE_NAMES, 'price'] as const satisfies readonly (keyof PriceTier)[]

export interface PriceTimeBand {
  /** IANA zone of the vendor. */
  readonly timezone: string
  readonly days: 'all' | 'mon-fri' | 'sat-sun'
  /** `HH:MM`, start included, end excluded; an end before the start wraps past midnight. */
  readonly start: string
  readonly end: string
  /** Days of the vendor's calendar (holidays) on which the band does not hold. */
  readonly except_dates?: readonly string[]
  readonly effective_from?: string
  readonly effective_to?: string
  readonly tiers: readonly PriceTier[]
}

/** What is billed beside the tiers: per call, per voice, per million tokens (created) or token-hours (stored). */
export const PRICE_ITEMS = [
  'search_call',
  'tool_call',
  'cache_call',
  'cache_creation',
  'cache_storage_hour',
  'cache_storage_minute',
  'voice_clone',
  'voice_design',
] as const

export type PriceItemName = (typeof PRICE_ITEMS)[number]

export interface PriceItem {
  readonly item: PriceItemName
  readonly price: string
  readonly effective_from?: string
  readonly effective_to?: string
}

/** How a vendor counts the characters of a text; see pricing/characters.ts. */
export const CHARACTER_RULES = ['each', 'each_without_markup', 'han_double'] as const

export type CharacterRule = (typeof CHARACTER_RULES)[number]

/** Units of what is given free or paid ahead. */
export const QUOTA_UNITS = ['tokens', 'input_tokens', 'characters', 'seconds', 'images', 'voices'] as const

export type QuotaUnit = (typeof QUOTA_UNITS)[number]

/** What a vendor gives a new account; what is left of it is a balance of the configuration. */
export interface FreeQuota {
  readonly amount: number
  readonly unit: QuotaUnit
  /** From activation; absent: for ever. */
  readonly valid_days?: number
  readonly every?: 'month'
}

/** A share of the list price by contract: "0.85" is 15 % off. */
export interface PriceDiscount {
  readonly discount: string
  readonly effective_from?: string
  readonly effective_to?: string
}

/** A free quota or a prepaid package; used before anything is billed. */
export interface PriceBalance {
  readonly id: string
  readonly kind: 'free_quota' | 'package'
  readonly unit: QuotaUnit
  /** What there is of it at its start, or at the start of each month. */
  readonly amount: number
  readonly every?: 'month'
  readonly effective_from?: string
  readonly effective_to?: string
}

export interface PriceEntry {
  /** Model id, or a pattern ending in `*`. */
  readonly model: string
  readonly aliases?: readonly string[]
  readonly region?: string
  readonly currency: string
  readonly unit: PriceUnit
  /**
   * In order; the first row that fits prices the whole request, past the last limit the last row does. Empty in the
   * configuration alone: the list's price holds, with this entry's discounts and balances.
   */
  readonly tiers: readonly PriceTier[]
  readonly time_bands?: readonly PriceTimeBand[]
  readonly items?: readonly PriceItem[]
  /** Absent: only counts that the vendor reports can be billed. */
  readonly character_rule?: CharacterRule
  /** To whole units; absent: parts of a unit are billed as such. */
  readonly rounding?: 'up' | 'half_up'
  /** Units billed at least. */
  readonly minimum?: number
  /** So much of a video given in is billed, with all of the video made. */
  readonly input_seconds_up_to?: number
  /** How many GPUs a second of this model takes. */
  readonly gpus?: number
  readonly free_quota?: FreeQuota
  readonly discounts?: readonly PriceDiscount[]
  readonly balances?: readonly PriceBalance[]
  /** Half-open; a bare date is 00:00 in Shanghai; absent: since ever, for ever. */
  readonly effective_from?: string
  readonly effective_to?: string
  /** True: prices the past only and is never used for a request of today. */
  readonly historic?: true
  /** True: its source says a part of the price only. It is shown and compared, and nothing is billed by it. */
  readonly quoted_only?: true
  /** True: a price far from those of its kind is meant so. */
  readonly unusual?: true
  readonly context_window?: number
  readonly max_output?: number
  readonly capabilities?: readonly string[]
  readonly source?: string
  readonly checked_on?: string
}
