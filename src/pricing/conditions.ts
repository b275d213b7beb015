// Facts of a request beside its lengths that choose among the rows of a price.

import type { PriceCondition } from '#core/price.ts'
import { type OtherUsage, PLAIN_SERVICE_TIERS } from '#core/usage.ts'

/** All that must be so; words in lower case. */
export interface Conditions {
  readonly serviceTier: ReadonlySet<string> | null
  readonly resolution: ReadonlySet<string> | null
  readonly audio: boolean | null
  readonly inputVideo: boolean | null
}

export function readConditions(when: PriceCondition | undefined): Conditions | null {
  if (when === undefined) return null
  return {
    serviceTier: words(when.service_tier),
    resolution: words(when.resolution),
    audio: when.audio ?? null,
    inputVideo: when.input_video ?? null,
  }
}

function words(value: string | readonly string[] | undefined): ReadonlySet<string> | null {
  if (value === undefined) return null
  return new Set((typeof value === 'string' ? [value] : value).map((word) => word.toLowerCase()))
}

/** What a usage does not say is not so: a row that asks for it does not fit. */
export function areMet(conditions: Conditions, usage: OtherUsage | undefined): boolean {
  if (usage === undefined) return false
  return (
    isOneOf(conditions.serviceTier, usage.serviceTier) &&
    isOneOf(conditions.resolution, usage.resolution) &&
    (conditions.audio === null || conditions.audio === usage.audio) &&
    (conditions.inputVideo === null || conditions.inputVideo === usage.inputVideo)
  )
}

function isOneOf(allowed: ReadonlySet<string> | null, value: string | undefined): boolean {
  return allowed === null || (value !== undefined && allowed.has(value.toLowerCase()))
}

/** A tier of service that must have rows of its own, lest it be billed as the plain one unseen. */
export function specialTier(usage: OtherUsage): string | null {
  const tier = usage.serviceTier?.toLowerCase()
  return tier === undefined || PLAIN_SERVICE_TIERS.has(tier) ? null : tier
}
