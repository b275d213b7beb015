// What a request itself says of its routing, and what that means for a target. Fields and units are OpenRouter's:
// https://openrouter.ai/docs/guides/routing/provider-selection

import type { DataPolicy } from '#core/data-policy.ts'
import type { Percentiles, TargetSettings } from '#core/settings.ts'

export type WishedSort = 'price' | 'throughput' | 'latency'

/** Of a request that says nothing there are none at all (null): that is the common case. */
export interface Wishes {
  /** Models asked for in order, without suffixes and each once; the first is `model`, or `models[0]` without it. */
  readonly names: readonly string[]
  /** `x-sluice-policy`. */
  readonly policy: string | null
  /** By `:floor` (price), `:nitro` (throughput) or `provider.sort`; it holds for all names. */
  readonly sort: WishedSort | null
  /** Providers of the configuration or `PROVIDER/MODEL`, like `only` and `ignore`; null: no order is asked for. */
  readonly order: readonly string[] | null
  readonly only: readonly string[] | null
  readonly ignore: readonly string[] | null
  /**
   * "false: use only the primary/custom provider, and return the upstream error if it's unavailable": only what `order`
   * names; without one only the first target of the plan.
   * @see https://openrouter.ai/docs/sdks/go/api-reference/models/providerpreferences
   */
  readonly allowFallbacks: boolean
  /** "Only use providers that support all parameters in your request." */
  readonly requireParameters: boolean
  readonly denyDataCollection: boolean
  /** US dollars per million tokens: OpenRouter's `prompt` and `completion`. */
  readonly maxPriceUsd: { readonly input: number | null; readonly output: number | null } | null
  /** To the first token, in milliseconds. */
  readonly preferredMaxLatencyMs: Percentiles | null
  /** Tokens per second. */
  readonly preferredMinThroughput: Percentiles | null
}

/**
 * `provider.data_collection: "deny"`: "use only providers that do not train on user data. Providers may still retain
 * prompts". For `unmetBy`, so what is not known of a target does not meet it.
 * @see https://openrouter.ai/docs/client-sdks/python/components/videogenerationrequestdatacollection
 */
export const NO_DATA_COLLECTION: DataPolicy = {
  regions: null,
  retentionMsMax: null,
  trainsOnData: false,
  filingNos: null,
}

export interface WishRefusal {
  readonly reason: 'only' | 'ignore' | 'order'
  readonly detail: string
}

type Named = Pick<TargetSettings, 'id' | 'provider'>

/** Why a target may not be used under the request's wishes; null: it may. */
export function refusedByWish(wishes: Wishes, target: Named): WishRefusal | null {
  const { ignore, only, order } = wishes
  if (ignore?.some((entry) => isNamed(entry, target)) === true) {
    return { reason: 'ignore', detail: '`provider.ignore` names it' }
  }
  if (only !== null && !only.some((entry) => isNamed(entry, target))) {
    return { reason: 'only', detail: '`provider.only` does not name it' }
  }
  if (wishes.allowFallbacks || order === null || order.some((entry) => isNamed(entry, target))) return null
  return { reason: 'order', detail: '`provider.order` does not name it, and `allow_fallbacks` is false' }
}

/** Rank by `order`: 0 first; targets that it does not name come after all those that it names. */
export function precedence(wishes: Wishes, target: Named): number {
  const { order } = wishes
  if (order === null) return 0
  const rank = order.findIndex((entry) => isNamed(entry, target))
  return rank === -1 ? order.length : rank
}

function isNamed(entry: string, target: Named): boolean {
  return entry === target.provider || entry === target.id
}
