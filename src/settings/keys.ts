// `keys:` of a configuration → keys by digest. The keys themselves go no further.

import type { KeySettings } from '#core/settings.ts'
import { checkModels } from './allowed-models.ts'
import { readCounted } from './limits.ts'
import { describe, describeSecret, formatPath, type Path } from './problems.ts'
import type { Config } from './schema.ts'
import { indexed, present, type Scope, templateAt } from './scope.ts'
import { checkNamed, commonModels, type Team } from './teams.ts'

type KeyConfig = NonNullable<Config['keys'][number]>

/** Shorter ones can be guessed. */
const KEY_CHARS_MIN = 12

export function readKeys(scope: Scope, teams: ReadonlyMap<string, Team>): readonly KeySettings[] {
  const names = new Map<string, Path>()
  const digests = new Map<string, Path>()
  const keys: KeySettings[] = []
  for (const [index, config] of indexed(scope.config.keys)) {
    const path = ['keys', index]
    const digest = scope.digest(config.key)
    checkName(scope, [...path, 'name'], config.name)
    checkOnce(scope, [...path, 'name'], names, config.name, describe(config.name))
    if (checkKey(scope, [...path, 'key'], config.key)) {
      checkOnce(scope, [...path, 'key'], digests, digest, 'the same key')
    }
    if (config.models !== undefined) checkModels(scope, [...path, 'models'], config.models)
    if (config.team !== undefined) checkNamed(scope, [...path, 'team'], config.team, scope.declared.teams)
    keys.push(keyOf(scope, path, config, digest, teams))
  }
  return keys
}

function keyOf(
  scope: Scope,
  path: Path,
  config: KeyConfig,
  digest: string,
  teams: ReadonlyMap<string, Team>,
): KeySettings {
  const { name, tags, team = null } = config
  const belongsTo = team === null ? null : (teams.get(team) ?? null)
  const organisation = belongsTo?.organisation ?? null
  const own = readCounted(scope, path, 'key', name, config)
  const models = config.models === undefined ? null : present(config.models)
  return {
    name,
    digest,
    models: commonModels(models, belongsTo?.models ?? null),
    tags: withOwners(scope, [...path, 'tags'], tags, { team, organisation }),
    team,
    organisation,
    scopes: [...(own === null ? [] : [own]), ...(belongsTo?.counted ?? [])],
  }
}

/**
 * Rows carry their key's tags for ever, and so whom it belonged to: what a team has spent stays its own when its keys
 * come and go.
 */
function withOwners(
  scope: Scope,
  path: Path,
  tags: KeySettings['tags'],
  owners: { readonly team: string | null; readonly organisation: string | null },
): KeySettings['tags'] {
  const declared = { team: scope.declared.teams, organisation: scope.declared.organisations }
  const owned: Record<string, string> = { ...tags }
  for (const name of ['team', 'organisation'] as const) {
    const owner = owners[name]
    const said = tags[name]
    if (said !== undefined && said !== owner && (owner !== null || declared[name].has(said))) {
      scope.report.add([...path, name], {
        message: `is not whom the key belongs to`,
        found: describe(said),
        allowed: owner === null ? `no name of the file's ${name}s` : `${owner}, or nothing`,
      })
    }
    if (owner !== null) owned[name] = owner
  }
  return owned
}

function checkName(scope: Scope, path: Path, name: string): void {
  if (/^[^\p{C}]{1,200}$/u.test(name) && name.trim() === name) return
  const allowed = 'up to 200 visible characters'
  scope.report.add(path, { message: 'is no name for a key', found: describe(name), allowed })
}

function checkOnce(scope: Scope, path: Path, seen: Map<string, Path>, value: string, found: string): void {
  const first = seen.get(value)
  if (first === undefined) seen.set(value, path)
  else
    scope.report.add(path, {
      message: `is that of ${formatPath(first)} too`,
      found,
      allowed: 'each one once',
    })
}

/** False: it is not to be compared with others either. */
function checkKey(scope: Scope, path: Path, key: string): boolean {
  const template = templateAt(scope, path)
  const found = template === null ? describeSecret(key) : `${template.text}, which is ${describeSecret(key)}`
  if (key.length < KEY_CHARS_MIN) {
    scope.report.add(path, { message: 'is too short', found, allowed: `${KEY_CHARS_MIN} characters or more` })
    return false
  }
  // Clients send it in a header, where white space would end it.
  if (!/^[\x21-\x7e]+$/.test(key)) {
    scope.report.add(path, {
      message: 'cannot be sent in a header',
      found,
      allowed: 'visible ASCII characters',
    })
    return false
  }
  return true
}
