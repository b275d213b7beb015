// The compiled configuration that the pipeline reads: frozen, replaced whole on reload. No parsing here.

import type { Limits, Scope } from './admission.ts'
import type { BillFormat } from './bill.ts'
import type { DataAttributes, DataPolicy } from './data-policy.ts'
import type { FinanceSettings } from './finance.ts'
import type { FxRates } from './fx.ts'
import type { IpRange } from './ip-ranges.ts'
import type { KeyFields } from './keys.ts'
import type { PriceEntry, UnpricedRule } from './price.ts'
import type { Capability, Provider } from './provider.ts'

export interface Settings {
  readonly server: {
    readonly host: string
    readonly port: number
    readonly drainMs: number
    readonly bodyBytesMax: number
    /** How long nothing of a body may arrive, and how long all of it may take. */
    readonly bodyIdleMs: number
    readonly bodyMsMax: number
    /** Answers whose client has left. */
    readonly abandoned: {
      readonly drainMs: number
      readonly bytesMax: number
      readonly drainsMax: number
    }
    /** Peers whose `x-forwarded-for` is believed. */
    readonly trustedProxies: readonly IpRange[]
  }
  readonly admin: { readonly token: string | null }
  readonly metrics: { readonly public: boolean }
  /** Store URL: `sqlite:PATH`, `memory:`, or one of Redis (store-url.ts). */
  readonly store: string
  readonly ledger: {
    /** Rows of requests and attempts stay this long. */
    readonly retentionMs: number
    /** What an answered request survives: the death of the process, or the loss of power too. */
    readonly durability: 'process' | 'power'
    /** Whether this instance keeps the rows of a fleet; auto: where no other one does. */
    readonly archive: 'auto' | 'on' | 'off'
    /** Rows stay in Redis this long, and until the archive has them. */
    readonly redisRowsMs: number
  }
  /** The pepper of key digests; null: one that was made once and is kept beside the store. */
  readonly secret: string | null
  readonly currency: string
  /** Of targets without a price, under a budget. */
  readonly unpriced: UnpricedRule
  /** What becomes of limits when the store that all instances share does not answer. */
  readonly onStoreLoss: 'lease' | 'deny'
  /** Of reports and of calendar budgets; an IANA name. */
  readonly timeZone: string
  /** For reports; nothing of it decides about a request. */
  readonly finance: FinanceSettings
  readonly fx: FxRates
  readonly providers: ReadonlyMap<string, ProviderSettings>
  /** `prices:` of the file, by `PROVIDER/MODEL` pattern, in file order. */
  readonly prices: readonly { readonly pattern: string; readonly entry: PriceEntry }[]
  readonly models: ReadonlyMap<string, ModelSettings>
  readonly policies: ReadonlyMap<string, PolicySettings>
  readonly organisations: ReadonlyMap<string, Scope | null>
  readonly teams: ReadonlyMap<string, TeamSettings>
  readonly keys: readonly ConfiguredKey[]
  /** How bills of providers are read, by the name under `providers:`. */
  readonly bills: ReadonlyMap<string, BillFormat>
  /** What is limited of what serves: providers by name, targets by `PROVIDER/MODEL`. */
  readonly served: ReadonlyMap<string, Scope>
  /** What targets do with data, by `PROVIDER/MODEL`, where they say more of it than their provider. */
  readonly targetData: ReadonlyMap<string, DataAttributes>
  /** Lines for the operator: disabled providers and targets, assumptions. */
  readonly notices: readonly string[]
}

/**
 * What becomes of an upstream call whose client leaves. `cancel`: it is aborted, and what came is booked. `drain`: it is
 * read on for its usage. `estimate`: it is aborted, and what it will bill all the same is estimated.
 */
export type OnClientAbort = 'cancel' | 'drain' | 'estimate'

export interface ProviderSettings {
  /** The name under `providers:`; the first part of a target. */
  readonly name: string
  readonly provider: Provider
  /** null: none given (allowed where the folder needs none); of several the first. */
  readonly apiKey: string | null
  /** Several keys at the provider, used as one pool; empty: there is one at most. */
  readonly accounts: readonly AccountSettings[]
  /** As configured, without a trailing slash; null: the folder's own. */
  readonly baseUrl: string | null
  readonly region: string
  readonly allowPrivate: boolean
  /** null: as the folder's facts have it. */
  readonly onClientAbort: OnClientAbort | null
  readonly data: DataAttributes
  /** False: its key resolved to empty. */
  readonly enabled: boolean
  /** Its account has the free quotas of the list, since then or (null) since each was first used; absent: it has not. */
  readonly freeQuota?: { readonly sinceMs: number | null }
}

/** One of several keys at a provider. */
export interface AccountSettings {
  readonly name: string
  readonly apiKey: string
  /** What the provider lets through with this key, over all its models. */
  readonly limits: Limits
}

export interface TargetSettings {
  /** `PROVIDER/MODEL`. */
  readonly id: string
  readonly provider: string
  readonly model: string
  readonly weight: number
  /** Lowest first. */
  readonly priority: number
  /** null: the catalogue's, else unknown. */
  readonly contextWindow: number | null
  /** null: the catalogue's, else assumed able. */
  readonly capabilities: readonly Capability[] | null
}

export interface ModelSettings {
  readonly name: string
  readonly policy: string
  readonly targets: readonly TargetSettings[]
}

export const SORTS = ['value', 'price', 'latency', 'throughput', 'weighted', 'priority'] as const

export type Sort = (typeof SORTS)[number]

/** What a request is to be answered within, and what that is worth. */
export interface Slo {
  /** To the first token, for an empty prompt; null: no bar. */
  readonly ttftMs: number | null
  /** Added for each thousand tokens of the prompt. */
  readonly ttftMsPer1kInput: number
  /** Per output token, on average; null: no bar. */
  readonly tpotMs: number | null
  /** Share of requests that should be within, where the value is found. */
  readonly attainment: number
  /** Of one request within, book currency; `auto`: found so that `attainment` is met. */
  readonly value: number | 'auto'
}

export const PERCENTILES = ['p50', 'p75', 'p90', 'p99'] as const

/** Bars at percentiles; all that are given must hold. */
export type Percentiles = { readonly [percentile in (typeof PERCENTILES)[number]]?: number | undefined }

export const ON_NO_CANDIDATE = ['best_value', 'fastest', 'cheapest', 'reject'] as const

export interface PolicySettings {
  readonly name: string
  /** Of its content: another one for each change. */
  readonly version: string
  readonly sort: Sort
  readonly slo: Slo
  /** Book currency per million tokens, at the request's tier and hour; null: no bound. */
  readonly maxPrice: { readonly input: number | null; readonly output: number | null } | null
  /** Milliseconds to the first token; targets that miss it come after those that do not. */
  readonly preferredMaxLatency: Percentiles | null
  /** Tokens per second. */
  readonly preferredMinThroughput: Percentiles | null
  readonly affinity: 'priced' | 'session' | 'none'
  readonly explore: { readonly maxShare: number }
  readonly hedge: { readonly enabled: boolean; readonly maxExtraCost: number; readonly maxShare: number }
  /** When no target meets the SLO. */
  readonly onNoCandidate: (typeof ON_NO_CANDIDATE)[number]
  readonly retry: {
    readonly attempts: number
    readonly onStatusCodes: readonly number[]
    readonly respectRetryAfter: boolean
  }
  readonly outlierDetection: {
    readonly consecutive5xx: number
    readonly baseEjectionMs: number
    readonly maxEjectionMs: number
  }
  /** What targets must do with data; null: nothing is required. */
  readonly dataPolicy: DataPolicy | null
  /** `stop`, or the names of providers that may be asked after a refusal by another one's content filter. */
  readonly onModeration: 'stop' | readonly string[]
  readonly timeouts: {
    readonly connectMs: number
    /** null: not set by the file, so the default depends on thinking. */
    readonly ttftMs: number | null
    readonly idleMs: number
    readonly totalMs: number
  }
}

/** What a key, its team or both at once confine their requests to. */
export interface Restrictions {
  /** Model names or `PROVIDER/*`; null: all. */
  readonly models: readonly string[] | null
  /** null: all. */
  readonly providers: readonly string[] | null
  /** Each of these must be met. */
  readonly dataPolicies: readonly DataPolicy[]
  /** Each of these lists must hold the client's address. */
  readonly ipRanges: readonly (readonly IpRange[])[]
  readonly expiresAtMs: number | null
}

export interface TeamSettings extends Restrictions {
  readonly organisation: string | null
  /** Its own limits and its organisation's. */
  readonly scopes: readonly Scope[]
}

/** A key as requests see it, wherever it is kept; restrictions are those of the key and its team together. */
export interface KeySettings extends Restrictions {
  readonly name: string
  /** With its team and its organisation among them, so that rows say whom they belong to. */
  readonly tags: Readonly<Record<string, string>>
  readonly team: string | null
  /** Its team's. */
  readonly organisation: string | null
  /** Its own limits, its team's and its organisation's; empty where nothing is limited. */
  readonly scopes: readonly Scope[]
}

/** A key of the configuration file. */
export interface ConfiguredKey extends KeySettings {
  /** HMAC-SHA-256 of the key under the pepper, hex; the key itself is not kept. */
  readonly digest: string
  /** As the file says it. */
  readonly fields: KeyFields
}
