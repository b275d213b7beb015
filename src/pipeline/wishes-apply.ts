// Wishes on what is configured: the policy that a request goes by. Which targets it may use is in wishes.ts.

import type { GatewayError } from '#core/errors.ts'
import type { PolicySettings, Settings } from '#core/settings.ts'
import { invalid } from '#wire/openai-chat/request.ts'
import type { Live } from './live.ts'
import { nearest } from './models.ts'
import type { Wishes } from './wishes.ts'
import { clip } from './wishes-fields.ts'

/** Names of policies that an error lists. */
const LISTED_MAX = 20

/** The policy of `x-sluice-policy`. @throws GatewayError `invalid_request` when there is none of that name. */
export function namedPolicy(live: Live, name: string): PolicySettings {
  const { policies } = live.settings
  const policy = policies.get(name)
  if (policy !== undefined) return policy
  const known = [...policies.keys()]
  const more = known.length > LISTED_MAX ? `, and ${known.length - LISTED_MAX} more` : ''
  const what = `there is no policy "${clip(name)}", which the header \`x-sluice-policy\` names`
  throw invalid(null, `${what}${hintOf(name, known)}; known: ${known.slice(0, LISTED_MAX).join(', ')}${more}`)
}

/** A policy that a request names itself lifts no bound of its model's own: what is bound there stays bound. */
export function withBounds(policy: PolicySettings, own: PolicySettings): PolicySettings {
  if (policy === own || own.maxPrice === null) return policy
  return { ...policy, maxPrice: tighter(policy.maxPrice, own.maxPrice) }
}

/**
 * `policy` as this request wants it; its name stays. A hard bound of the policy cannot be lifted: of two the tighter
 * one holds. Preferences are the request's where it has some.
 * @throws GatewayError `invalid_request` for names that are not configured, and for dollars without a rate
 */
export function applyWishes(
  live: Live,
  policy: PolicySettings,
  wishes: Wishes,
  atMs: number,
): PolicySettings {
  for (const member of ['order', 'only', 'ignore'] as const) checkNames(live, wishes, member)
  const { sort, preferredMaxLatencyMs, preferredMinThroughput } = wishes
  const maxPrice = tighter(policy.maxPrice, bookPrice(live, wishes.maxPriceUsd, atMs))
  const isAsked = sort !== null || preferredMaxLatencyMs !== null || preferredMinThroughput !== null
  if (!isAsked && maxPrice === policy.maxPrice) return policy
  return {
    ...policy,
    sort: sort ?? policy.sort,
    maxPrice,
    preferredMaxLatency: preferredMaxLatencyMs ?? policy.preferredMaxLatency,
    preferredMinThroughput: preferredMinThroughput ?? policy.preferredMinThroughput,
  }
}

function checkNames(live: Live, wishes: Wishes, member: 'order' | 'only' | 'ignore'): void {
  const { providers } = live.settings
  const param = `provider.${member}`
  for (const entry of wishes[member] ?? []) {
    if (providers.has(entry)) continue
    const slash = entry.indexOf('/')
    const provider = slash === -1 ? entry : entry.slice(0, slash)
    if (!providers.has(provider)) throw notConfigured(param, 'provider', provider, providers.keys())
    const targets = targetsOf(live.settings)
    // A target that no model lists can only be asked by its own name.
    if (targets.has(entry) || wishes.names.includes(entry)) continue
    // Of its provider only: to compare with tens of thousands would take a second.
    const near = [...targets].filter((id) => id.startsWith(`${provider}/`))
    throw notConfigured(param, 'target', entry, near)
  }
}

function notConfigured(param: string, kind: string, name: string, known: Iterable<string>): GatewayError {
  return invalid(param, `\`${param}\`: there is no ${kind} "${clip(name)}"${hintOf(name, known)}`)
}

function hintOf(name: string, known: Iterable<string>): string {
  const near = nearest(name, known)
  return near.length === 0 ? '' : `; did you mean ${near.map((id) => `"${id}"`).join(' or ')}?`
}

const targetIds = new WeakMap<Settings, ReadonlySet<string>>()

/** Of all models; made once for a configuration, which may have tens of thousands. */
function targetsOf(settings: Settings): ReadonlySet<string> {
  let ids = targetIds.get(settings)
  if (ids === undefined) {
    ids = new Set([...settings.models.values()].flatMap(({ targets }) => targets.map(({ id }) => id)))
    targetIds.set(settings, ids)
  }
  return ids
}

type MaxPrice = PolicySettings['maxPrice']

const MICRO = 1_000_000

/** In book currency at the rate in force, in its millionths: prices have no more places. */
function bookPrice(live: Live, dollars: Wishes['maxPriceUsd'], atMs: number): MaxPrice {
  if (dollars === null || live.settings.currency === 'USD') return dollars
  const rate = live.rateOf('USD', atMs)
  if (rate === null) {
    const message =
      '`provider.max_price` is in US dollars, and the configuration has no `fx` for USD at this time'
    throw invalid('provider.max_price', message)
  }
  const convert = (amount: number | null) =>
    amount === null ? null : Math.round(amount * Number(rate)) / MICRO
  return { input: convert(dollars.input), output: convert(dollars.output) }
}

function tighter(own: MaxPrice, asked: MaxPrice): MaxPrice {
  if (own === null || asked === null) return own ?? asked
  return { input: least(own.input, asked.input), output: least(own.output, asked.output) }
}

function least(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other
  return Math.min(one, other)
}
