// Text of a configuration file → the settings in force, or everything that is wrong with it at once. Reading and
// watching the file is the runtime's.

import type { Provider } from '#core/provider.ts'
import type { Settings } from '#core/settings.ts'
import { readBills } from './bills.ts'
import { readTargetData } from './data-policy.ts'
import { readDocument } from './document.ts'
import { type Environment, expand, Templates } from './expand.ts'
import { readFinance } from './finance.ts'
import { readRates } from './fx.ts'
import { readKeys } from './keys.ts'
import { readServed } from './limits.ts'
import { disabledTargetNotices, readModels } from './models.ts'
import { parseConfig } from './parse.ts'
import { readPolicies } from './policies.ts'
import { readPrices } from './prices.ts'
import { type Problem, Report } from './problems.ts'
import { readProviders } from './providers.ts'
import { declaredNames, type Scope } from './scope.ts'
import { readBase } from './server.ts'
import { readOrganisations, readTeams } from './teams.ts'

export type { Problem } from './problems.ts'

export interface LoadInput {
  /** YAML or JSON. */
  readonly text: string
  /** The folders of providers/, by name. */
  readonly providers: ReadonlyMap<string, Provider>
  readonly env: Environment
  /** Entries of `prices` over those of the text; absent: none. */
  readonly prices?: Readonly<Record<string, unknown>>
  /** The regions that a folder's price list speaks of; absent: no list is known. */
  readonly priceRegions?: (folder: string) => readonly string[]
  /**
   * HMAC-SHA-256 of a key, hex, under the pepper that `secret` says; null: the one kept beside the store that the second
   * argument says.
   */
  readonly digest: (key: string, secret: string | null, store: string) => string
}

export type LoadResult = { readonly settings: Settings } | { readonly problems: readonly Problem[] }

/** Never throws on what a file can hold. */
export function loadSettings(input: LoadInput): LoadResult {
  const report = new Report()
  const document = readDocument(input.text, report)
  if (document === undefined) return { problems: report.problems }
  const templates = new Templates()
  const data = expand(withPrices(document, input.prices), { env: input.env, templates, report })
  const config = parseConfig(data, templates, report)
  if (config === null) return { problems: report.problems }
  const scope: Scope = {
    config,
    declared: declaredNames(data),
    timeZone: config.time_zone,
    report,
    folders: input.providers,
    priceRegions: input.priceRegions ?? (() => []),
    templates,
    notices: [],
  }
  const settings = compile(scope, input)
  if (report.problems.length > 0) return { problems: report.problems }
  return { settings: freeze(settings) }
}

function withPrices(document: unknown, prices: LoadInput['prices']): unknown {
  if (prices === undefined || typeof document !== 'object' || document === null) return document
  const own: unknown = 'prices' in document ? document.prices : {}
  return { ...document, prices: { ...(typeof own === 'object' ? own : {}), ...prices } }
}

/** Whole only when the report is empty. */
function compile(scope: Scope, { env, digest }: LoadInput): Settings {
  const base = readBase(scope, env)
  const providers = readProviders(scope)
  const fx = readRates(scope)
  const prices = readPrices(scope)
  const models = readModels(scope)
  const policies = readPolicies(scope)
  const organisations = readOrganisations(scope)
  const teams = readTeams(scope, organisations)
  const keys = readKeys(scope, teams, (key) => digest(key, base.secret, base.store))
  const served = readServed(scope)
  const targetData = readTargetData(scope, providers)
  const bills = readBills(scope, providers)
  const { notices } = scope
  notices.push(...disabledTargetNotices(models, providers))
  if (keys.length === 0)
    notices.push('no keys stand here: only those made by `sluice keys create` are let in')
  return {
    ...base,
    currency: scope.config.currency,
    unpriced: scope.config.unpriced,
    finance: readFinance(scope),
    onStoreLoss: scope.config.on_store_loss,
    fx,
    providers,
    prices,
    models,
    policies,
    organisations,
    teams,
    keys,
    bills,
    served,
    targetData,
    notices,
  }
}

/** Null when some provider can be asked; else what to set. */
export function noProviderEnabled(settings: Settings): string | null {
  const providers = [...settings.providers.values()]
  if (providers.some((provider) => provider.enabled)) return null
  if (providers.length === 0) return 'no provider is configured: add one under providers'
  const disabled = settings.notices.filter((notice) => notice.startsWith('provider '))
  return `no provider is enabled; give at least one its key:\n${disabled.map((line) => `  ${line}`).join('\n')}`
}

/** Maps stay maps (their type is read-only); what they hold is frozen. A provider's folder is not ours to freeze. */
function freeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (value instanceof Map) for (const part of value.values()) freeze(part)
  else {
    for (const [name, part] of Object.entries(value)) if (name !== 'provider') freeze(part)
    Object.freeze(value)
  }
  return value
}
