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
  const hint =
    near.length === 0
      ? 'GET /v1/models lists the names'
      : `did you mean ${near.map((id) => `"${id}"`).join(' or ')}?`
  return new GatewayError('model_not_found', `there is no model "${clip(name)}"; ${hint}`, { param: 'model' })
}

function clip(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`
}

/** Up to three names at a small edit distance. */
function nearest(name: string, known: readonly string[]): readonly string[] {
  const asked = name.toLowerCase().slice(0, 100)
  return known
    .map((id) => ({ id, distance: editDistance(asked, id.toLowerCase()) }))
    .filter(
      ({ id, distance }) =>
        distance <= Math.max(2, Math.floor(id.length / 3)) || id.toLowerCase().includes(asked),
    )
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ id }) => id)
}
