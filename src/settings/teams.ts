// `organisations:` and `teams:` of a configuration: who keys belong to, and what that allows them.

import type { Scope as Counted } from '#core/admission.ts'
import { checkModels, isAllowedBy } from './allowed-models.ts'
import { readCounted } from './limits.ts'
import { describe, listNames, type Path } from './problems.ts'
import { present, type Scope } from './scope.ts'

export interface Team {
  readonly organisation: string | null
  /** What its keys may use at most; null: all. */
  readonly models: readonly string[] | null
  /** Its own scope and its organisation's, where something is limited. */
  readonly counted: readonly Counted[]
}

export function readTeams(scope: Scope): ReadonlyMap<string, Team> {
  const organisations = new Map<string, Counted | null>()
  for (const [name, config] of Object.entries(scope.config.organisations)) {
    organisations.set(name, readCounted(scope, ['organisations', name], 'organisation', name, config))
  }
  const teams = new Map<string, Team>()
  for (const [name, config] of Object.entries(scope.config.teams)) {
    const path = ['teams', name]
    const { organisation = null, models } = config
    if (organisation !== null)
      checkNamed(scope, [...path, 'organisation'], organisation, scope.declared.organisations)
    if (models !== undefined) checkModels(scope, [...path, 'models'], models)
    const own = readCounted(scope, path, 'team', name, config)
    const above = organisation === null ? null : (organisations.get(organisation) ?? null)
    teams.set(name, {
      organisation,
      models: models === undefined ? null : present(models),
      counted: [own, above].filter((counted) => counted !== null),
    })
  }
  return teams
}

/** Reports a name that nothing of this file has. */
export function checkNamed(scope: Scope, path: Path, name: string, known: ReadonlySet<string>): void {
  if (known.has(name)) return
  scope.report.add(path, {
    message: 'there is none of that name',
    found: describe(name),
    allowed: known.size === 0 ? 'nothing: none is declared' : listNames(known),
    nearest: scope.report.nearest(name, known),
  })
}

/** What both a key and its team allow; null: all. */
export function commonModels(
  ofKey: readonly string[] | null,
  ofTeam: readonly string[] | null,
): readonly string[] | null {
  if (ofKey === null || ofTeam === null) return ofKey ?? ofTeam
  const common = [
    ...ofKey.filter((entry) => isAllowedBy(ofTeam, entry)),
    ...ofTeam.filter((entry) => isAllowedBy(ofKey, entry)),
  ]
  return [...new Set(common)]
}
