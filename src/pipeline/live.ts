// The configuration in force, compiled for the request path: the file's keys by digest, facts by target.

import type { DataAttributes } from '#core/data-policy.ts'
import { GatewayError } from '#core/errors.ts'
import { rateAt } from '#core/fx.ts'
import type { Micro } from '#core/money.ts'
import type { Capability, ModelRule, Provider, Quirks } from '#core/provider.ts'
import type {
  KeySettings,
  PolicySettings,
  ProviderSettings,
  Settings,
  TargetSettings,
} from '#core/settings.ts'
import type { UpstreamFormat } from '#core/wire-format.ts'
import type { Catalogue } from '#pricing/catalogue.ts'
import type { Price } from '#pricing/price.ts'

/** All that is known of a target before it is tried. */
export interface TargetFacts {
  readonly target: TargetSettings
  readonly settings: ProviderSettings
  readonly provider: Provider
  readonly quirks: Quirks
  readonly rule: Omit<ModelRule, 'match'>
  /** null: OpenAI chat. */
  readonly format: UpstreamFormat | null
  /** Without a trailing slash. */
  readonly baseUrl: string
  /** The address of a path below the base URL, or below its origin; made once, so not to be changed. */
  readonly urlOf: (path: string, fromOrigin: boolean) => URL
  /** Headers of OpenAI chat, by whether the upstream streams. */
  readonly headers: {
    readonly whole: Readonly<Record<string, string>>
    readonly streamed: Readonly<Record<string, string>>
  }
  /** Prices of the target's own model, for `priceAt`. */
  readonly prices: readonly Price[]
  readonly contextWindow: number | null
  /** Tokens of an answer at most, without its thinking; null: not known. */
  readonly maxOutput: number | null
  readonly data: DataAttributes
  readonly lacks: (capability: Capability) => boolean
  readonly lacksWhileThinking: (capability: Capability) => boolean
  readonly thinksByDefault: boolean
}

export interface Live {
  readonly settings: Settings
  readonly catalogue: Catalogue
  readonly keyByDigest: ReadonlyMap<string, KeySettings>
  /** Facts of a configured target, or of any `PROVIDER/MODEL` that a client names. */
  readonly factsOf: (target: TargetSettings) => TargetFacts
  /** A `PROVIDER/MODEL` that a client names directly; null when there is no such provider. */
  readonly directTarget: (name: string) => TargetSettings | null
  readonly policy: (name: string) => PolicySettings
  /** Book units per unit of a currency at an instant, micro; null: not known, or the book currency itself. */
  readonly rateOf: (currency: string, atMs: number) => Micro | null
}

export function compileLive(settings: Settings, catalogue: Catalogue): Live {
  const keyByDigest = new Map(settings.keys.map((key) => [key.digest, key]))
  const facts = new WeakMap<TargetSettings, TargetFacts>()
  return {
    settings,
    catalogue,
    keyByDigest,
    factsOf(target) {
      let made = facts.get(target)
      if (made === undefined) {
        made = compileFacts(target, settings, catalogue)
        facts.set(target, made)
      }
      return made
    },
    directTarget: directTargets(settings),
    policy(name) {
      const policy = settings.policies.get(name)
      if (policy === undefined) throw new GatewayError('internal_error', `no policy ${name}`)
      return policy
    },
    rateOf: (currency, atMs) =>
      currency === settings.currency ? null : (rateAt(settings.fx, currency, atMs)?.rate ?? null),
  }
}

/** Clients may name any model of a provider: the memory for them is bounded. */
const DIRECT_MAX = 10_000

function directTargets(settings: Settings): (name: string) => TargetSettings | null {
  const made = new Map<string, TargetSettings>()
  return (name) => {
    const slash = name.indexOf('/')
    if (slash < 1 || slash === name.length - 1) return null
    const provider = name.slice(0, slash)
    if (!settings.providers.has(provider)) return null
    const cached = made.get(name)
    if (cached !== undefined) return cached
    if (made.size >= DIRECT_MAX) made.clear()
    const model = name.slice(slash + 1)
    const target = {
      id: name,
      provider,
      model,
      weight: 1,
      priority: 0,
      contextWindow: null,
      capabilities: null,
    }
    made.set(name, target)
    return target
  }
}

/** Capabilities that a price list's `capabilities` speaks of; what it does not list of these, the model cannot do. */
const LISTED: ReadonlySet<Capability> = new Set(['tools', 'vision', 'video_input', 'audio_input', 'thinking'])
/** What a target's own `capabilities` speaks of: files too, of which no price list knows anything. */
const CONFIGURED: ReadonlySet<Capability> = new Set([...LISTED, 'file_input'])

function compileFacts(target: TargetSettings, settings: Settings, catalogue: Catalogue): TargetFacts {
  const providerSettings = settings.providers.get(target.provider)
  if (providerSettings === undefined)
    throw new GatewayError('internal_error', `no provider ${target.provider}`)
  const { provider } = providerSettings
  const rule = ruleOf(provider.models ?? [], target.model)
  const listed = catalogue.facts({
    providerName: target.provider,
    providerId: provider.id,
    model: target.model,
  })
  const choice = { model: target.model, baseUrl: providerSettings.baseUrl, secret: providerSettings.apiKey }
  const name = provider.chooseFormat?.(choice) ?? null
  const format =
    name === null ? null : (provider.formats?.find((candidate) => candidate.name === name) ?? null)
  const baseUrl = providerSettings.baseUrl ?? format?.baseUrl ?? provider.baseUrl ?? ''
  const lacks = lackOf(target, provider, format, rule, listed?.capabilities ?? null)
  const quirks = withoutSwitch(lacks, { ...provider.quirks, ...rule.quirks })
  return {
    target,
    settings: providerSettings,
    provider,
    quirks,
    prices: catalogue.prices({
      providerName: target.provider,
      providerId: provider.id,
      region: providerSettings.region,
      model: target.model,
    }),
    headers: { whole: { ...quirks.headers }, streamed: { ...quirks.headers, ...quirks.streamHeaders } },
    rule,
    format,
    baseUrl,
    urlOf: urlsBelow(baseUrl),
    contextWindow: target.contextWindow ?? rule.contextWindow ?? listed?.contextWindow ?? null,
    lacks,
    maxOutput: listed?.maxOutput ?? null,
    data: settings.targetData.get(target.id) ?? providerSettings.data,
    lacksWhileThinking: (capability) =>
      target.capabilities?.includes(capability) !== true &&
      (rule.cannotWhileThinking?.includes(capability) === true ||
        provider.cannotWhileThinking?.includes(capability) === true),
    thinksByDefault: rule.thinksByDefault === true,
  }
}

/** Whoever cannot call tools in parallel does not know the switch either; it is a wish, so it goes and is listed. */
function withoutSwitch(lacks: TargetFacts['lacks'], quirks: Quirks): Quirks {
  if (!lacks('parallel_tool_calls')) return quirks
  return { ...quirks, drops: [...(quirks.drops ?? []), 'parallel_tool_calls'] }
}

/** A dialect has a handful of paths; a query in one could be anything. */
const URLS_MAX = 16

function urlsBelow(baseUrl: string): TargetFacts['urlOf'] {
  const urls = new Map<string, URL>()
  return (path, fromOrigin) => {
    let url = urls.get(path)
    if (url === undefined) {
      if (urls.size >= URLS_MAX) urls.clear()
      url = new URL((fromOrigin ? new URL(baseUrl).origin : baseUrl) + path)
      urls.set(path, url)
    }
    return url
  }
}

/** The first rule that matches holds, so that a folder can list its exceptions before its rules. */
function ruleOf(rules: readonly ModelRule[], model: string): Omit<ModelRule, 'match'> {
  return rules.find((rule) => rule.match.test(model)) ?? {}
}

/**
 * What a target is known to lack. The configuration's list is final for what it can speak of; else the
 * provider's and the model's facts; else the price list. What nobody knows is assumed to be there.
 */
function lackOf(
  target: TargetSettings,
  provider: Provider,
  format: UpstreamFormat | null,
  rule: Omit<ModelRule, 'match'>,
  listed: readonly string[] | null,
): (capability: Capability) => boolean {
  const own = target.capabilities
  return (capability) => {
    if (format?.cannot?.includes(capability) === true) return true
    if (own !== null) {
      if (own.includes(capability)) return false
      if (CONFIGURED.has(capability)) return true
    }
    if (rule.can?.includes(capability) === true) return false
    if (rule.cannot?.includes(capability) === true || provider.cannot?.includes(capability) === true)
      return true
    // Lists of old models are empty for want of knowledge, not for want of ability.
    return (
      own === null &&
      listed !== null &&
      listed.length > 0 &&
      LISTED.has(capability) &&
      !listed.includes(capability)
    )
  }
}
