// The scopes that a configuration counts in: all of them, and those of one target.

import type { Scope } from '#core/admission.ts'
import type { Settings, TargetSettings } from '#core/settings.ts'

const NONE: readonly Scope[] = []

/** Each once. */
export function scopesOf(settings: Settings): readonly Scope[] {
  const scopes = new Map<string, Scope>()
  for (const key of settings.keys) for (const scope of key.scopes) scopes.set(scope.id, scope)
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
