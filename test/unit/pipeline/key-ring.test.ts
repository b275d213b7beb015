import { beforeEach, describe, expect, test } from 'vitest'
import { GatewayError } from '#core/errors.ts'
import type { StoredKey, StoredSecret } from '#core/keys.ts'
import { authenticate } from '#pipeline/authenticate.ts'
import type { Deps } from '#pipeline/context.ts'
import { KeyRing } from '#pipeline/key-ring.ts'
import { scopesOf } from '#pipeline/scopes.ts'
import { compileStoredKey } from '#settings/stored-keys.ts'
import { CREATED_MS, storedKey } from '../../support/stored-keys.ts'
import { config, digest, vendor } from '../settings/fixtures.ts'
import { liveWith } from './support.ts'

const live = liveWith([vendor], {
  ...config(),
  teams: { growth: { rpm: 10 } },
  keys: [{ name: 'file', key: 'sk-file-0123456789' }],
})
const { settings } = live

let ring: KeyRing
let tickMs: number

beforeEach(() => {
  tickMs = 0
  ring = new KeyRing(compileStoredKey, () => tickMs)
  ring.checked(true)
})

const secretOf = (text: string, endsAtMs: number | null = null): StoredSecret => ({
  digest: digest(text),
  pepper: 'p',
  hint: 'sk-…',
  createdAtMs: CREATED_MS,
  endsAtMs,
})

const add = (changes: Partial<StoredKey>): void => ring.apply([storedKey(changes)])

/** What the request of a bearer of `secret` is told. */
function ask(secret: string, nowMs = CREATED_MS): string {
  const deps = { digestKey: digest, keys: ring } as unknown as Deps
  const asker = {
    authorization: `Bearer ${secret}`,
    peer: () => ({ address: '127.0.0.1', forwardedFor: null }),
  }
  try {
    return authenticate(deps, live, asker, nowMs).name
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return `${error.code}: ${error.message}`
  }
}

describe('a key of the store', () => {
  test('is found by each of its secrets, until that one ends', () => {
    add({ secrets: [secretOf('new'), secretOf('old', CREATED_MS + 10)] })
    expect([ask('new'), ask('old'), ask('older')]).toEqual([
      'web',
      'web',
      'invalid_api_key: the API key is not known here',
    ])
    expect(ask('old', CREATED_MS + 10)).toMatch(/^invalid_api_key: .*was rotated.*2026-06-01T00:00:00.010Z/)
    expect(ask('new', CREATED_MS + 10)).toBe('web')
  })

  test.each([
    ['revoked', { revokedAtMs: CREATED_MS }],
    ['deleted', { deletedAtMs: CREATED_MS }],
  ])('that was %s is told so', (_what, ended) => {
    add({ secrets: [secretOf('k')], ...ended })
    expect(ask('k')).toMatch(/^invalid_api_key: the API key was revoked at 2026-06-01/)
    expect(ring.named('web', settings)).toBeNull()
    expect(scopesOf(settings, ring).map(({ id }) => id)).toEqual(['team:growth'])
  })

  test('expires with the first of its own date and that of its team', () => {
    add({ secrets: [secretOf('k')], fields: { expires_at: '2026-06-01T10:00:00+08:00' } })
    const endMs = Date.parse('2026-06-01T10:00:00+08:00')
    expect(ask('k', endMs - 1)).toBe('web')
    expect(ask('k', endMs)).toBe('invalid_api_key: the API key expired at 2026-06-01T02:00:00.000Z')
  })

  test('of a team that is not there may not be used', () => {
    add({ secrets: [secretOf('k')], fields: { team: 'gone' } })
    expect(ask('k')).toMatch(/^forbidden: .*"gone"/)
  })

  test('counts in its own scopes and in those of its team', () => {
    add({ secrets: [secretOf('k')], fields: { team: 'growth', rpm: 5 } })
    expect(ring.named('web', settings)?.scopes.map(({ id }) => id)).toEqual(['key:web', 'team:growth'])
    expect(scopesOf(settings, ring).map(({ id }) => id)).toEqual(['team:growth', 'key:web'])
  })
})

describe('what is applied', () => {
  test('late changes nothing', () => {
    add({ version: 2, secrets: [secretOf('b')] })
    add({ version: 1, secrets: [secretOf('a')] })
    expect([ask('a'), ask('b')]).toEqual(['invalid_api_key: the API key is not known here', 'web'])
  })

  test('of a name that was deleted leaves the next of that name alone', () => {
    add({ secrets: [secretOf('a')] })
    add({ version: 2, secrets: [secretOf('a')], deletedAtMs: CREATED_MS })
    add({ id: 'key_0002', secrets: [secretOf('b')] })
    ring.purge(CREATED_MS + 1)
    expect(ask('a')).toBe('invalid_api_key: the API key is not known here')
    expect(ask('b')).toBe('web')
    expect([ring.isNameTaken('web'), ring.hadName('web'), ring.hadName('other'), ring.size]).toEqual([
      true,
      true,
      false,
      1,
    ])
  })

  test('as a whole forgets all others', () => {
    add({ secrets: [secretOf('a')] })
    add({ id: 'key_0002', name: 'two', secrets: [secretOf('b')] })
    ring.keepOnly([storedKey({ id: 'key_0002' })])
    expect([ring.isNameTaken('web'), ring.isNameTaken('two')]).toEqual([false, true])
  })

  test('under another pepper is counted', () => {
    add({ secrets: [secretOf('a')] })
    expect([ring.countOfOtherPepper('p'), ring.countOfOtherPepper('q')]).toEqual([0, 1])
  })
})

describe('a store that does not answer', () => {
  const KNOWN = 'sk-known-0123456789'

  test('is waited for a minute; then its keys are not let in, since they may be revoked, and those of the file are', () => {
    ring = new KeyRing(compileStoredKey, () => tickMs)
    expect(ask(KNOWN)).toMatch(/^store_unavailable/)
    add({ secrets: [secretOf(KNOWN)] })
    expect(ask(KNOWN)).toMatch(/^store_unavailable/)
    ring.checked(false)
    tickMs = 60_000
    expect(ask(KNOWN)).toBe('web')
    tickMs = 60_001
    expect([ask(KNOWN), ask('sk-unknown-0123456789')]).toEqual([
      expect.stringMatching(/^store_unavailable/),
      expect.stringMatching(/^store_unavailable/),
    ])
    expect(ask('sk-file-0123456789')).toBe('file')
    ring.checked(false)
    expect(ask(KNOWN)).toBe('web')
  })
})

test('a hundred thousand keys are found, each by its digest, and compiled when they are asked for', () => {
  let compiled = 0
  ring = new KeyRing(
    (key, of) => {
      compiled++
      return compileStoredKey(key, of)
    },
    () => 0,
  )
  ring.checked(true)
  const count = 100_000
  ring.apply(
    Array.from({ length: count }, (_, index) =>
      storedKey({
        id: `key_${index}`,
        name: `k${index}`,
        secrets: [{ ...secretOf(''), digest: `d${index}` }],
      }),
    ),
  )
  expect([ring.size, compiled]).toEqual([count, 0])
  for (let index = 0; index < count; index += 1_000) {
    expect(ring.find(`d${index}`, settings, CREATED_MS)?.name).toBe(`k${index}`)
    expect(ring.find(`d${index}`, settings, CREATED_MS)?.name).toBe(`k${index}`)
  }
  expect(compiled).toBe(100)
})
