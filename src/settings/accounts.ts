// `api_key` and `api_keys` of a provider → the keys it is asked with.

import type { AccountSettings } from '#core/settings.ts'
import { limitsOf } from './limits.ts'
import { describe, describeSecret, type Path } from './problems.ts'
import type { Config } from './schema.ts'
import { indexed, type Scope } from './scope.ts'

type ProviderConfig = Config['providers'][string]

export interface ProviderKeys {
  /** The only or the first one; null: none. */
  readonly apiKey: string | null
  /** Of several; empty: there is one at most. */
  readonly accounts: readonly AccountSettings[]
}

/** Keys that are empty are left out, so that an environment may have fewer of them. */
export function readKeys(scope: Scope, path: Path, config: ProviderConfig): ProviderKeys {
  const { api_key: single, api_keys: several } = config
  if (several === undefined) {
    const apiKey = single === undefined || single === '' ? null : single
    checkKey(scope, [...path, 'api_key'], apiKey)
    return { apiKey, accounts: [] }
  }
  if (single !== undefined) {
    scope.report.add([...path, 'api_keys'], {
      message: 'stands beside api_key',
      found: 'both',
      allowed: 'api_key for one key, api_keys for several',
    })
  }
  const accounts = readAccounts(scope, [...path, 'api_keys'], several)
  return { apiKey: accounts[0]?.apiKey ?? null, accounts: accounts.length < 2 ? [] : accounts }
}

function readAccounts(
  scope: Scope,
  path: Path,
  entries: NonNullable<ProviderConfig['api_keys']>,
): readonly AccountSettings[] {
  const accounts: AccountSettings[] = []
  const names = new Set<string>()
  for (const [index, entry] of indexed(entries)) {
    const { key, name = `key-${index + 1}`, limits } = typeof entry === 'string' ? { key: entry } : entry
    if (names.has(name)) {
      const allowed = 'another name for each key'
      scope.report.add([...path, index], {
        message: 'has the name of another key',
        found: describe(name),
        allowed,
      })
    }
    names.add(name)
    if (key === '') continue
    checkKey(scope, [...path, index], key)
    accounts.push({
      name,
      apiKey: key,
      limits: limitsOf(limits ?? {}),
    })
  }
  return accounts
}

/** It goes into a header. */
function checkKey(scope: Scope, path: Path, key: string | null): void {
  if (key === null || /^[\x21-\x7e]+( [\x21-\x7e]+)*$/.test(key)) return
  scope.report.add(path, {
    message: 'cannot be sent in a header',
    found: describeSecret(key),
    allowed: 'visible ASCII characters, without white space around them',
  })
}
