// The `provider` object of a request, as on OpenRouter, in its units, and what contradicts itself in it.

import { PROVIDERS_ASKED_MAX } from '#core/limits.ts'
import { isObject } from '#wire/json-object.ts'
import { invalid, wrong } from '#wire/openai-chat/request.ts'
import type { WishedSort, Wishes } from './wishes.ts'
import {
  checkMembers,
  clip,
  readChoice,
  readFlag,
  readNames,
  readPercentiles,
  readPrice,
} from './wishes-fields.ts'

type Json = Readonly<Record<string, unknown>>

/** What `provider` says. */
export type Preferences = Omit<Wishes, 'names' | 'policy'>

/** Of a request without `provider`. */
export const NO_PREFERENCES: Preferences = {
  sort: null,
  order: null,
  only: null,
  ignore: null,
  allowFallbacks: true,
  requireParameters: false,
  denyDataCollection: false,
  maxPriceUsd: null,
  preferredMaxLatencyMs: null,
  preferredMinThroughput: null,
}

const MEMBERS = [
  'order',
  'only',
  'ignore',
  'allow_fallbacks',
  'require_parameters',
  'data_collection',
  'sort',
  'max_price',
  'preferred_max_latency',
  'preferred_min_throughput',
] as const

const MS_PER_SECOND = 1000

/** @throws GatewayError `invalid_request` */
export function readPreferences(provider: unknown): Preferences {
  if (provider === null) return NO_PREFERENCES
  if (!isObject(provider)) throw wrong('provider', provider, 'an object')
  checkMembers(provider, 'provider', MEMBERS)
  const order = readProviders(provider, 'order')
  const only = readProviders(provider, 'only')
  const ignore = readProviders(provider, 'ignore')
  const allowFallbacks = readFlag(provider['allow_fallbacks'], 'provider.allow_fallbacks', true)
  checkLists(order, only, ignore, allowFallbacks)
  return {
    sort: readSort(provider['sort'] ?? null),
    order: order?.length === 0 ? null : order,
    only,
    ignore: ignore?.length === 0 ? null : ignore,
    allowFallbacks,
    requireParameters: readFlag(provider['require_parameters'], 'provider.require_parameters', false),
    denyDataCollection:
      readChoice(provider['data_collection'], 'provider.data_collection', ['allow', 'deny']) === 'deny',
    maxPriceUsd: readMaxPrice(provider['max_price'] ?? null),
    // "Maximum p50 latency (seconds)": https://openrouter.ai/docs/agent-sdk/typescript/models/percentilelatencycutoffs
    preferredMaxLatencyMs: readPercentiles(
      provider['preferred_max_latency'],
      'provider.preferred_max_latency',
      MS_PER_SECOND,
    ),
    preferredMinThroughput: readPercentiles(
      provider['preferred_min_throughput'],
      'provider.preferred_min_throughput',
      1,
    ),
  }
}

function readProviders(provider: Json, member: 'order' | 'only' | 'ignore'): readonly string[] | null {
  return readNames(provider[member], `provider.${member}`, PROVIDERS_ASKED_MAX)
}

type Names = readonly string[] | null

/** Lists that leave nothing, or say two things of one provider, are mistakes: no reading of them is the right one. */
function checkLists(order: Names, only: Names, ignore: Names, allowFallbacks: boolean): void {
  if (only?.length === 0) {
    throw invalid(
      'provider.only',
      '`provider.only` is empty, so no provider is left; name one or leave it out',
    )
  }
  if (order?.length === 0 && !allowFallbacks) {
    const message = '`provider.order` is empty and `allow_fallbacks` false, so no provider is left'
    throw invalid('provider.order', message)
  }
  const shut = only?.find((entry) => covers(ignore, entry))
  if (shut !== undefined) {
    const message = `"${clip(shut)}" is in \`provider.only\` and in \`provider.ignore\`; it can be in one of them`
    throw invalid('provider.ignore', message)
  }
  for (const entry of order ?? []) {
    if (covers(ignore, entry)) {
      const message = `"${clip(entry)}" is in \`provider.order\` and in \`provider.ignore\`; it can be in one of them`
      throw invalid('provider.order', message)
    }
    if (only !== null && !covers(only, entry) && !only.some((name) => name.startsWith(`${entry}/`))) {
      const message = `"${clip(entry)}" is in \`provider.order\` but not in \`provider.only\`, which leaves it out`
      throw invalid('provider.order', message)
    }
  }
}

/** By its own name, or a `PROVIDER/MODEL` by its provider's. */
function covers(list: Names, entry: string): boolean {
  if (list === null) return false
  if (list.includes(entry)) return true
  const slash = entry.indexOf('/')
  return slash !== -1 && list.includes(entry.slice(0, slash))
}

const SORTS: readonly WishedSort[] = ['price', 'throughput', 'latency']

/**
 * "Can be a string (e.g. "price") or an object with by and partition fields". Of the partitions "“model” (default)
 * groups endpoints by model before sorting (fallback models remain fallbacks), “none” sorts all endpoints together";
 * here fallback models remain fallbacks.
 * @see https://openrouter.ai/docs/client-sdks/typescript/models/partition
 */
function readSort(sort: unknown): WishedSort | null {
  if (!isObject(sort)) return readChoice(sort, 'provider.sort', SORTS)
  checkMembers(sort, 'provider.sort', ['by', 'partition'])
  readChoice(sort['partition'], 'provider.sort.partition', ['model'])
  return readChoice(sort['by'], 'provider.sort.by', SORTS)
}

/**
 * "USD price per million tokens, for prompt and completion"; of OpenRouter's other members (`request`, `image`,
 * `audio`) nothing is bounded here, so they are refused.
 * @see https://openrouter.ai/docs/client-sdks/typescript/models/maxprice
 */
function readMaxPrice(price: unknown): Wishes['maxPriceUsd'] {
  if (price === null) return null
  if (!isObject(price)) throw wrong('provider.max_price', price, 'an object of `prompt` and `completion`')
  checkMembers(price, 'provider.max_price', ['prompt', 'completion'])
  const input = readPrice(price['prompt'], 'provider.max_price.prompt')
  const output = readPrice(price['completion'], 'provider.max_price.completion')
  return input === null && output === null ? null : { input, output }
}
