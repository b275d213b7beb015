// `keys:` of a configuration → keys by digest. The keys themselves go no further.

import type { ConfiguredKey, KeySettings, TeamSettings } from '#core/settings.ts'
import { readCounted } from './limits.ts'
import { describe, describeSecret, formatPath, type Path } from './problems.ts'
import { checkNamed, readRestrictions, together } from './restrictions.ts'
import type { Config } from './schema.ts'
import { indexed, type Names, type Scope, templateAt } from './scope.ts'

type KeyConfig = NonNullable<Config['keys'][number]>

/** All that may be said of a key but its secret. */
export type KeyWanted = Omit<KeyConfig, 'key'>

/** Shorter ones can be guessed. */
const KEY_CHARS_MIN = 12

export function readKeys(
  scope: Scope,
  teams: ReadonlyMap<string, TeamSettings>,
  digest: (key: string) => string,
): readonly ConfiguredKey[] {
  const names = new Map<string, Path>()
  const digests = new Map<string, Path>()
  const keys: ConfiguredKey[] = []
  for (const [index, config] of indexed(scope.config.keys)) {
    const path = ['keys', index]
    const digested = digest(config.key)
    checkOnce(scope, [...path, 'name'], names, config.name, describe(config.name))
    if (checkKey(scope, [...path, 'key'], config.key)) {
      checkOnce(scope, [...path, 'key'], digests, digested, 'the same key')
    }
    const { key: _secret, name: _name, ...fields } = config
    keys.push({ ...readKey(scope, path, config, teams), digest: digested, fields: plain(fields) })
  }
  return keys
}

/** A key from what is said of it, in the file or elsewhere; what is wrong with it is reported at `path`. */
export function readKey(
  names: Names,
  path: Path,
  wanted: KeyWanted,
  teams: ReadonlyMap<string, TeamSettings>,
): KeySettings {
  const { name, tags, team = null } = wanted
  checkName(names, [...path, 'name'], name)
  if (team !== null) checkNamed(names, [...path, 'team'], team, names.declared.teams)
  const belongsTo = team === null ? null : (teams.get(team) ?? null)
  const organisation = belongsTo?.organisation ?? null
  const own = readCounted(names, path, 'key', name, wanted, organisation)
  return {
    ...together(readRestrictions(names, path, wanted), belongsTo),
    name,
    tags: withOwners(names, [...path, 'tags'], tags, { team, organisation }),
    team,
    organisation,
    scopes: [...(own === null ? [] : [own]), ...(belongsTo?.scopes ?? [])],
  }
}

/** Without holes and without what is absent. */
function plain(fields: object): ConfiguredKey['fields'] {
  return JSON.parse(JSON.stringify(fields)) as ConfiguredKey['fields']
}

/**
 * Rows carry their key's tags for ever, and so whom it belonged to: what a team has spent stays its own when its keys
 * come and go.
 */
function withOwners(
  { declared: known, report }: Names,
  path: Path,
  tags: KeySettings['tags'],
  owners: { readonly team: string | null; readonly organisation: string | null },
): KeySettings['tags'] {
  const declared = { team: known.teams, organisation: known.organisations }
  const owned: Record<string, string> = { ...tags }
  for (const name of ['team', 'organisation'] as const) {
    const owner = owners[name]
    const said = tags[name]
    if (said !== undefined && said !== owner && (owner !== null || declared[name].has(said))) {
      report.add([...path, name], {
        message: `is not whom the key belongs to`,
        found: describe(said),
        allowed: owner === null ? `no name of the file's ${name}s` : `${owner}, or nothing`,
      })
    }
    if (owner !== null) owned[name] = owner
  }
  return owned
}

function checkName({ report }: Names, path: Path, name: string): void {
  if (/^[^\p{C}]{1,200}$/u.test(name) && name.trim() === name) return
  const allowed = 'up to 200 visible characters'
  report.add(path, { message: 'is no name for a key', found: describe(name), allowed })
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
