// `keys:` of a configuration → keys by digest. The keys themselves go no further.

import type { KeySettings } from '#core/settings.ts'
import { describe, describeSecret, formatPath, listNames, type Path } from './problems.ts'
import type { Config } from './schema.ts'
import { indexed, isPlainName, present, type Scope, templateAt } from './scope.ts'
import { splitTarget } from './target-name.ts'

type KeyConfig = NonNullable<Config['keys'][number]>

/** Shorter ones can be guessed. */
const KEY_CHARS_MIN = 12

export function readKeys(scope: Scope): readonly KeySettings[] {
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
    checkModels(scope, [...path, 'models'], config)
    keys.push({
      name: config.name,
      digest,
      models: config.models === undefined ? null : present(config.models),
      tags: config.tags,
    })
  }
  return keys
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

function checkModels(scope: Scope, path: Path, config: KeyConfig): void {
  const { report, declared } = scope
  for (const [index, entry] of indexed(config.models ?? [])) {
    if (declared.models.has(entry)) continue
    const target = splitTarget(entry)
    const isKnown = target !== null && declared.providers.has(target.provider)
    if (isKnown && (target.model === '*' || !target.model.includes('*')) && isPlainName(entry)) continue
    report.add([...path, index], {
      message: 'is no model of this file',
      found: describe(entry),
      allowed: `${listNames(declared.models)}; PROVIDER/* or PROVIDER/MODEL of ${listNames(declared.providers)}`,
      nearest: report.nearest(entry, [
        ...declared.models,
        ...[...declared.providers].map((name) => `${name}/${target?.model ?? '*'}`),
      ]),
    })
  }
}
