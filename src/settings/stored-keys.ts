// Keys that come through the admin API: what is wrong with one, all at once, as for a key of the file; and what one that
// is kept means under the configuration in force.

import { type FieldProblem, GatewayError } from '#core/errors.ts'
import type { KeyFields, StoredKey } from '#core/keys.ts'
import { JSON_DEPTH_MAX } from '#core/limits.ts'
import type { KeySettings, Settings } from '#core/settings.ts'
import { Templates } from './expand.ts'
import { type KeyWanted, readKey } from './keys.ts'
import { keyShape } from './limits-schema.ts'
import { isRecord, parseConfig } from './parse.ts'
import { describe, formatPath, Report } from './problems.ts'
import { readRestrictions } from './restrictions.ts'
import type { Declared, Names } from './scope.ts'

/** Where the file would have it; the words for what is allowed there are the same. */
const PATH = ['keys', 0] as const
const PREFIX = `${formatPath(PATH)}.`

const FIELDS: ReadonlySet<string> = new Set(['name', 'tags', ...Object.keys(keyShape)])
/** The file's schema wants a secret; that of a stored key is made when the rest is in order. */
const ANY_SECRET = 'sk-any-secret'

/** So that the rest can be judged too. */
const NO_NAME = 'unnamed'

/** Tags are repeated in every row of the ledger. */
const TAGS_MAX = 32
const TAG_CHARS_MAX = 200

export interface KeyInput {
  readonly name: string
  readonly fields: KeyFields
}

/**
 * `before`: what the key says until now, where it is changed: a key that has expired may be changed all the same.
 * @throws GatewayError `invalid_request` with everything that is wrong
 */
export function readKeyInput(
  body: unknown,
  settings: Settings,
  nowMs: number,
  before: KeyFields = {},
): KeyInput {
  if (!isRecord(body)) throw invalid('the body', body, 'a JSON object')
  if (!isShallow(body, JSON_DEPTH_MAX)) throw invalid('the body', 'deep nesting', `${JSON_DEPTH_MAX} levels`)
  const report = new Report()
  const known = knownFields(body, report)
  const data = { providers: {}, models: {}, keys: [{ ...known, key: ANY_SECRET }] }
  const wanted = parseConfig(data, new Templates(), report)?.keys[0]
  if (wanted !== undefined) {
    const names = { declared: declaredIn(settings), report, timeZone: settings.timeZone }
    const key = readKey(names, PATH, wanted, settings.teams)
    checkTags(wanted.tags, report)
    if (wanted.expires_at !== before.expires_at) checkExpiry(names, wanted, nowMs)
    if (report.problems.length === 0) return { name: key.name, fields: fieldsOf(wanted) }
  }
  throw invalidFields(report.problems.map((problem) => ({ ...problem, field: fieldAt(problem.path) })))
}

/** @throws GatewayError `forbidden` when its team is no longer there: without it nobody would bound what it spends */
export function compileStoredKey({ name, fields }: StoredKey, settings: Settings): KeySettings {
  const names = { declared: declaredIn(settings), report: new Report(), timeZone: settings.timeZone }
  if (fields.team !== undefined && !settings.teams.has(fields.team)) {
    const message = `key "${name}" belongs to team "${fields.team}", which is no longer configured`
    throw new GatewayError('forbidden', message)
  }
  return readKey(names, PATH, { tags: {}, ...fields, name } as KeyWanted, settings.teams)
}

/** One problem a field, in the words of the configuration's own. */
export function invalidFields(
  problems: readonly (Omit<FieldProblem, 'field'> & { field: string })[],
): GatewayError {
  const said = problems.map(({ field, message, found, allowed, nearest }) => {
    const near = nearest === null ? '' : `; did you mean "${nearest}"?`
    return `${field}: ${message} (found ${found}; allowed: ${allowed}${near})`
  })
  const fields = problems.map(({ field, message, found, allowed, nearest }) => ({
    field,
    message,
    found,
    allowed,
    nearest,
  }))
  return new GatewayError('invalid_request', said.join('\n'), {
    param: problems[0]?.field ?? null,
    problems: fields,
  })
}

export function invalid(field: string, found: unknown, allowed: string): GatewayError {
  const text = typeof found === 'string' ? found : describe(found)
  return invalidFields([{ field, message: 'is not what it must be', found: text, allowed, nearest: null }])
}

/** Names that the file does not have either are reported; the secret is not the client's to choose. */
function knownFields(body: Readonly<Record<string, unknown>>, report: Report): Record<string, unknown> {
  const known: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(body)) {
    if (FIELDS.has(field)) known[field] = value
    else {
      report.add([...PATH, field], {
        message: field === 'key' ? 'is made by Sluice and shown once' : 'unknown field',
        found: field === 'key' ? 'a key' : describe(field),
        allowed: [...FIELDS].join(', '),
        nearest: field === 'key' ? null : report.nearest(field, FIELDS),
      })
    }
  }
  const { name } = body
  if (typeof name === 'string' && name !== '') return known
  const allowed = 'up to 200 visible characters'
  report.add([...PATH, 'name'], { message: 'is required', found: describe(name), allowed })
  return { ...known, name: NO_NAME }
}

function checkTags(tags: Readonly<Record<string, string>>, report: Report): void {
  const entries = Object.entries(tags)
  const isFine =
    entries.length <= TAGS_MAX &&
    entries.every(([name, value]) => name.length <= TAG_CHARS_MAX && value.length <= TAG_CHARS_MAX)
  if (isFine) return
  const allowed = `at most ${TAGS_MAX}, names and values of up to ${TAG_CHARS_MAX} characters`
  report.add([...PATH, 'tags'], { message: 'are too many or too long', found: describe(tags), allowed })
}

function checkExpiry(names: Names, wanted: KeyWanted, nowMs: number): void {
  const { report } = names
  const { expiresAtMs } = readRestrictions({ ...names, report: new Report() }, PATH, wanted)
  if (expiresAtMs === null || expiresAtMs > nowMs) return
  const allowed = `an instant after ${new Date(nowMs).toISOString()}; revoking ends a key at once`
  report.add([...PATH, 'expires_at'], { message: 'is over', found: describe(wanted.expires_at), allowed })
}

/** As it is kept: without name and secret, without what is absent. */
function fieldsOf(wanted: KeyWanted & { readonly key: string }): KeyFields {
  const { name: _name, key: _key, tags, ...fields } = wanted
  const kept = Object.keys(tags).length === 0 ? fields : { ...fields, tags }
  return JSON.parse(JSON.stringify(kept)) as KeyFields
}

function fieldAt(path: string): string {
  if (path.startsWith(PREFIX)) return path.slice(PREFIX.length)
  return path.startsWith(formatPath(PATH)) ? path.slice(formatPath(PATH).length) || 'the body' : path
}

const declared = new WeakMap<Settings, Declared>()

function declaredIn(settings: Settings): Declared {
  let names = declared.get(settings)
  if (names === undefined) {
    names = {
      providers: new Set(settings.providers.keys()),
      models: new Set(settings.models.keys()),
      policies: new Set(settings.policies.keys()),
      currencies: new Set(settings.fx.keys()),
      organisations: new Set(settings.organisations.keys()),
      teams: new Set(settings.teams.keys()),
    }
    declared.set(settings, names)
  }
  return names
}

function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((part) => isShallow(part, levels - 1))
}
