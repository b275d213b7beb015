// `providers:` of a configuration → the providers in force.

import type { Provider } from '#core/provider.ts'
import type { ProviderSettings } from '#core/settings.ts'
import { readKeys } from './accounts.ts'
import { isPrivateHost } from './addresses.ts'
import { providerData } from './data-policy.ts'
import { readDate } from './dates.ts'
import { describe, listNames, type Path } from './problems.ts'
import type { Config } from './schema.ts'
import { isPlainName, present, type Scope, templateAt } from './scope.ts'
import { splitTarget } from './target-name.ts'

type ProviderConfig = Config['providers'][string]

/** Those in order; the others are reported. */
export function readProviders(scope: Scope): ReadonlyMap<string, ProviderSettings> {
  const models = modelsByProvider(scope.config)
  const settings = new Map<string, ProviderSettings>()
  for (const [name, config] of Object.entries(scope.config.providers)) {
    const made = readProvider(scope, name, config, models.get(name) ?? [])
    if (made !== null) settings.set(name, made)
  }
  return settings
}

function readProvider(
  scope: Scope,
  name: string,
  config: ProviderConfig,
  models: readonly string[],
): ProviderSettings | null {
  const path = ['providers', name]
  const { report, folders } = scope
  if (!isPlainName(name) || name.includes('/')) {
    const allowed = 'a name without white space and slashes'
    report.add(path, { message: 'is no name for a provider', found: describe(name), allowed })
  }
  const baseUrl = readBaseUrl(scope, [...path, 'base_url'], config)
  const provider = folders.get(config.use)
  if (provider === undefined) {
    report.add([...path, 'use'], {
      message: 'there is no such folder in providers/',
      found: describe(config.use),
      allowed: listNames(folders.keys()),
      nearest: report.nearest(config.use, folders.keys()),
    })
    return null
  }
  const { apiKey, accounts } = readKeys(scope, path, config)
  if ((config.base_url ?? '') === '' && !hasOwnBaseUrl(provider, models, apiKey)) {
    report.add([...path, 'base_url'], {
      message: `is required: ${provider.title} has no address of its own`,
      found: 'nothing',
      allowed: 'an http or https URL',
    })
  }
  checkRegion(scope, name, config, provider)
  const region = regionOf(config, provider, baseUrl)
  const isDisabled = provider.keyRequired && apiKey === null
  if (isDisabled) scope.notices.push(disabledNotice(scope, name))
  return {
    name,
    provider,
    apiKey,
    accounts,
    baseUrl,
    region,
    data: providerData(config, region),
    allowPrivate: config.allow_private,
    onClientAbort: config.on_client_abort ?? null,
    enabled: !isDisabled,
    ...readFreeQuota(scope, [...path, 'free_quota'], config.free_quota),
  }
}

/** Nobody has a quota by default: it may have been used up before this gateway was there. */
function readFreeQuota(
  scope: Scope,
  path: Path,
  word: boolean | string | undefined,
): Pick<ProviderSettings, 'freeQuota'> {
  if (word === undefined || word === false) return {}
  return { freeQuota: { sinceMs: word === true ? null : readDate(scope, path, word) } }
}

function disabledNotice(scope: Scope, name: string): string {
  const path = ['providers', name]
  const several = scope.config.providers[name]?.api_keys
  const setting = several === undefined ? 'api_key' : 'api_keys'
  const places: Path[] =
    several === undefined
      ? [[...path, setting]]
      : several.flatMap((_, index) => [
          [...path, setting, index],
          [...path, setting, index, 'key'],
        ])
  const names = places.flatMap((place) => templateAt(scope, place)?.names ?? [])
  const what =
    names.length === 0 ? `providers.${name}.${setting}` : names.join(several === undefined ? ' and ' : ' or ')
  return `provider "${name}" is disabled: ${setting} is empty (set ${what})`
}

/** A folder may give an address by format rather than for all; then what is asked for decides. */
function hasOwnBaseUrl(provider: Provider, models: readonly string[], secret: string | null): boolean {
  if (provider.baseUrl !== undefined) return true
  const { chooseFormat, formats = [] } = provider
  if (chooseFormat === undefined) return false
  const hasUrl = (model: string): boolean => {
    const chosen = chooseFormat({ model, baseUrl: null, secret })
    return formats.find((format) => format.name === chosen)?.baseUrl !== undefined
  }
  return models.length === 0 ? formats.some((format) => format.baseUrl !== undefined) : models.every(hasUrl)
}

/** A region that no price speaks of would leave every target without a price, in silence. */
function checkRegion(scope: Scope, name: string, config: ProviderConfig, provider: Provider): void {
  const { region = '' } = config
  const listed = scope.priceRegions(provider.id)
  // Where nothing hangs on it, it is a label.
  if (region === '' || (provider.regions === undefined && listed.length === 0)) return
  const own = Object.entries(scope.config.prices)
    .filter(([pattern]) => pattern.startsWith(`${name}/`))
    .flatMap(([, price]) => price.region ?? [])
  const hosts = (provider.regions ?? []).map((known) => known.region)
  const known = new Set([provider.region, ...hosts, ...listed, ...own])
  if (known.has(region)) return
  scope.report.add(['providers', name, 'region'], {
    message: `${provider.title} has no such region`,
    found: describe(region),
    allowed: listNames(known),
    nearest: scope.report.nearest(region, known),
  })
}

function regionOf(config: ProviderConfig, provider: Provider, baseUrl: string | null): string {
  if (config.region !== undefined && config.region !== '') return config.region
  if (baseUrl === null) return provider.region
  const host = new URL(baseUrl).hostname
  const match = provider.regions?.find(
    (candidate) => host === candidate.host || host.endsWith(`.${candidate.host}`),
  )
  return match?.region ?? provider.region
}

/** null: none given, or one that is reported. */
function readBaseUrl(scope: Scope, path: Path, config: ProviderConfig): string | null {
  const text = config.base_url ?? ''
  if (text === '') return null
  const fault = faultOfBaseUrl(text, config.allow_private)
  if (fault === null) return text.replace(/\/+$/, '')
  scope.report.add(path, {
    ...fault,
    found: describe(templateAt(scope, path)?.text ?? withoutSecrets(text)),
  })
  return null
}

function faultOfBaseUrl(
  text: string,
  allowPrivate: boolean,
): { readonly message: string; readonly allowed: string } | null {
  const allowed = 'an http or https URL such as https://api.example.com/v1'
  if (!URL.canParse(text) || /\s/.test(text)) return { message: 'is no URL', allowed }
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return { message: 'is no http or https URL', allowed }
  if (url.username !== '' || url.password !== '')
    return { message: 'holds credentials', allowed: 'a URL without credentials; the key belongs in api_key' }
  if (/[?#]/.test(text)) return { message: 'has a query or a fragment', allowed: 'a URL without them' }
  if (!allowPrivate && isPrivateHost(url.hostname)) {
    return {
      message: 'has a loopback or private host',
      allowed: 'a public host, or allow_private: true beside it',
    }
  }
  return null
}

/** Credentials and queries may be secrets. */
function withoutSecrets(text: string): string {
  return text.replace(/\/\/[^/?#]*@/, '//***@').replace(/[?#].*$/s, '?…')
}

function modelsByProvider(config: Config): ReadonlyMap<string, readonly string[]> {
  const models = new Map<string, string[]>()
  for (const model of Object.values(config.models)) {
    for (const entry of present(model.targets)) {
      const name = splitTarget(typeof entry === 'string' ? entry : entry.target)
      if (name === null) continue
      const known = models.get(name.provider)
      if (known === undefined) models.set(name.provider, [name.model])
      else known.push(name.model)
    }
  }
  return models
}
