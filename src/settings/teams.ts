// `organisations:` and `teams:` of a configuration: who keys belong to, and what that allows them.

import type { Scope as Counted } from '#core/admission.ts'
import type { TeamSettings } from '#core/settings.ts'
import { readCounted } from './limits.ts'
import { checkNamed, readRestrictions } from './restrictions.ts'
import type { Scope } from './scope.ts'

/** null: nothing of it is limited. */
export function readOrganisations(scope: Scope): ReadonlyMap<string, Counted | null> {
  const organisations = new Map<string, Counted | null>()
  for (const [name, config] of Object.entries(scope.config.organisations)) {
    organisations.set(name, readCounted(scope, ['organisations', name], 'organisation', name, config))
  }
  return organisations
}

export function readTeams(
  scope: Scope,
  organisations: ReadonlyMap<string, Counted | null>,
): ReadonlyMap<string, TeamSettings> {
  const teams = new Map<string, TeamSettings>()
  for (const [name, config] of Object.entries(scope.config.teams)) {
    const path = ['teams', name]
    const { organisation = null } = config
    if (organisation !== null)
      checkNamed(scope, [...path, 'organisation'], organisation, scope.declared.organisations)
    const own = readCounted(scope, path, 'team', name, config, organisation)
    const above = organisation === null ? null : (organisations.get(organisation) ?? null)
    teams.set(name, {
      ...readRestrictions(scope, path, config),
      organisation,
      scopes: [own, above].filter((counted) => counted !== null),
    })
  }
  return teams
}
