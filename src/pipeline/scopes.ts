// The scopes that a configuration and the keys of the store count in: all of them, and those of one target.

import type { Scope } from '#core/admission.ts'
import type { Settings, TargetSettings } from '#core/settings.ts'
import type { KeyRing } from './key-ring.ts'

const NONE: readonly Scope[] = []

/** Each once; those of teams and organisations also where they have no keys yet. */
export function scopesOf(settings: Settings, keys: KeyRing): readonly Scope[] {
  const scopes = new Map<string, Scope>()
  for (const scope of settings.organisations.values()) if (scope !== null) scopes.set(scope.id, scope)
  for (const team of settings.teams.values()) for (const scope of team.scopes) scopes.set(scope.id, scope)
  for (const key of settings.keys) for (const scope of key.scopes) scopes.set(scope.id, scope)
  for (const scope of keys.scopes(settings)) scopes.set(scope.id, scope)
  for (const scope of settings.served.values()) scopes.set(scope.id, scope)
  return [...scopes.values()]
}

/** Its provider's and its own; none where nothing is limited. */
export function servedScopes(
  settings: Settings,
  target: Pick<TargetSettings, 'id' | 'provider'>,
): readonly Scope[] {
  const { served } = settings
  if (served.size === 0) return NONE
  const provider = served.get(target.provider)
  const own = served.get(target.id)
  if (provider === undefined) return own === undefined ? NONE : [own]
  return own === undefined ? [provider] : [provider, own]
}
