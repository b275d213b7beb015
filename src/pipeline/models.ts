// Which models a key may use, and what a model name stands for.

import { editDistance } from '#core/edit-distance.ts'
import { GatewayError } from '#core/errors.ts'
import type { KeySettings, ModelSettings, PolicySettings, TargetSettings } from '#core/settings.ts'
import type { Live } from './live.ts'

export interface ResolvedModel {
  readonly targets: readonly TargetSettings[]
  readonly policy: PolicySettings
}

/** @throws GatewayError `model_not_found` with near matches, `model_not_allowed` */
export function resolveModel(live: Live, key: KeySettings, name: string): ResolvedModel {
  const model = live.settings.models.get(name)
  if (model !== undefined) {
    if (!isAllowed(key, name)) throw notAllowed(key, name)
    if (!hasProvider(key, model)) throw providerNotAllowed(key, name)
    return { targets: model.targets, policy: live.policy(model.policy) }
  }
  const direct = live.directTarget(name)
  if (direct === null) throw notFound(live, key, name)
  if (!isAllowed(key, name)) throw notAllowed(key, name)
  if (!isProviderAllowed(key, direct.provider)) throw providerNotAllowed(key, name)
  return { targets: [direct], policy: live.policy('default') }
}

export function isAllowed(key: KeySettings, name: string): boolean {
  if (key.models === null) return true
  return key.models.some(
    (entry) => entry === name || (entry.endsWith('/*') && name.startsWith(entry.slice(0, -1))),
  )
}

export function isProviderAllowed(key: KeySettings, provider: string): boolean {
  return key.providers === null || key.providers.includes(provider)
}

function hasProvider(key: KeySettings, model: ModelSettings): boolean {
  return model.targets.some((target) => isProviderAllowed(key, target.provider))
}

/** Names for `GET /v1/models`: the configuration's models, and its targets where the key may name them. */
export function listModels(
  live: Live,
  key: KeySettings,
): readonly { readonly id: string; readonly ownedBy: string }[] {
  const listed = new Map<string, string>()
  for (const model of live.settings.models.values()) {
    if (isAllowed(key, model.name) && hasProvider(key, model)) listed.set(model.name, 'sluice')
  }
  for (const model of live.settings.models.values()) {
    for (const target of model.targets) {
      const enabled = live.settings.providers.get(target.provider)?.enabled === true
      if (!enabled || listed.has(target.id)) continue
      if (isAllowed(key, target.id) && isProviderAllowed(key, target.provider))
        listed.set(target.id, target.provider)
    }
  }
  return [...listed].map(([id, ownedBy]) => ({ id, ownedBy }))
}

function notAllowed(key: KeySettings, name: string): GatewayError {
  const message = `key "${key.name}" may not use model "${clip(name)}"; it may use ${key.models?.join(', ') || 'none'}`
  return new GatewayError('model_not_allowed', message, { param: 'model' })
}

function providerNotAllowed(key: KeySettings, name: string): GatewayError {
  const message = `key "${key.name}" may use no provider of model "${clip(name)}"; it may use ${key.providers?.join(', ') || 'none'}`
  return new GatewayError('model_not_allowed', message, { param: 'model' })
}

function notFound(live: Live, key: KeySettings, name: string): GatewayError {
  const near = nearest(
    name,
    listModels(live, key).map((model) => model.id),
  )
  const message = `there is no model "${clip(name)}"; ${hintOf(near)}`
  return new GatewayError('model_not_found', message, { param: 'model' })
}

/**
 * What a `PROVIDER/MODEL` that a client named itself was probably meant to be: configured targets of that provider
 * first, then what its price list knows. null: the configuration has that name, as a model or as a target.
 */
export function nearDirect(live: Live, key: KeySettings, name: string): readonly string[] | null {
  const direct = live.settings.models.has(name) ? null : live.directTarget(name)
  const settings = direct === null ? undefined : live.settings.providers.get(direct.provider)
  if (direct === null || settings === undefined) return null
  const targets = [...live.settings.models.values()]
    .flatMap((model) => model.targets)
    .filter((target) => target.provider === direct.provider)
    .map((target) => target.model)
  if (targets.includes(direct.model)) return null
  const query = { providerName: direct.provider, providerId: settings.provider.id }
  const known = [targets, live.catalogue.models(query)].map((names) =>
    names.filter((model) => model !== direct.model && isAllowed(key, `${direct.provider}/${model}`)),
  )
  const near = known.flatMap((names) => nearest(direct.model, new Set(names)))
  return [...new Set(near)].slice(0, 3).map((model) => `${direct.provider}/${model}`)
}

export function noSuchDirect(name: string, near: readonly string[], why: string): GatewayError {
  const message = `there is no model "${clip(name)}": ${why}; ${hintOf(near)}`
  return new GatewayError('model_not_found', message, { param: 'model' })
}

function hintOf(near: readonly string[]): string {
  return near.length === 0
    ? 'GET /v1/models lists the names'
    : `did you mean ${near.map((id) => `"${id}"`).join(' or ')}?`
}

function clip(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`
}

/** Up to three names that hold the one asked for, or are a small edit distance from it. */
export function nearest(name: string, known: Iterable<string>): readonly string[] {
  const asked = name.toLowerCase().slice(0, 100)
  return [...known]
    .map((id) => ({
      id,
      // A name that was only cut short is nearer than any misspelling.
      distance: id.toLowerCase().includes(asked) ? 0 : editDistance(asked, id.toLowerCase()),
    }))
    .filter(({ id, distance }) => distance <= Math.max(2, Math.floor(id.length / 3)))
    .sort((a, b) => a.distance - b.distance || a.id.length - b.id.length)
    .slice(0, 3)
    .map(({ id }) => id)
}
