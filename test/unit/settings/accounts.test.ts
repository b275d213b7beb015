import { expect, test } from 'vitest'
import { config, problemsOf, settingsOf } from './fixtures.ts'

const withKeys = (provider: object): object => config({ providers: { main: { use: 'vendor', ...provider } } })
const SECRET = 'sk-very-secret-1'

test('several keys are a pool, by name, each with its limits', () => {
  const settings = settingsOf(
    withKeys({ api_keys: [SECRET, { key: 'sk-2', name: 'spare', limits: { rpm: 60, tpm: 9 } }] }),
  )
  expect(settings.providers.get('main')).toMatchObject({
    apiKey: SECRET,
    enabled: true,
    accounts: [
      { name: 'key-1', apiKey: SECRET, limits: { rpm: null, tpm: null, concurrency: null } },
      { name: 'spare', apiKey: 'sk-2', limits: { rpm: 60, tpm: 9, concurrency: null } },
    ],
  })
})

test('one key that is left is no pool; none disables the provider and says what to set', () => {
  const env = { FIRST: 'sk-1' }
  const keys = ['${FIRST:-}', '${SECOND:-}']
  expect(settingsOf(withKeys({ api_keys: keys }), env).providers.get('main')).toMatchObject({
    apiKey: 'sk-1',
    accounts: [],
    enabled: true,
  })
  const none = settingsOf(withKeys({ api_keys: keys }), {})
  expect(none.providers.get('main')?.enabled).toBe(false)
  expect(none.notices.join('\n')).toContain('api_keys is empty (set FIRST or SECOND)')
})

test.each([
  ['both settings', { api_key: 'sk-1', api_keys: ['sk-2'] }, 'providers.main.api_keys'],
  [
    'a name twice',
    {
      api_keys: [
        { key: 'a', name: 'x' },
        { key: 'b', name: 'x' },
      ],
    },
    'providers.main.api_keys[1]',
  ],
  ['a key that no header holds', { api_keys: [`${SECRET}\n`] }, 'providers.main.api_keys[0]'],
  ['a key of another type', { api_keys: [7] }, 'providers.main.api_keys[0]'],
  ['an unknown member', { api_keys: [{ key: SECRET, rpm: 5 }] }, 'providers.main.api_keys[0].rpm'],
])('%s is a problem, and no secret is shown', (_, provider, path) => {
  const problems = problemsOf(withKeys(provider))
  expect(problems.map((problem) => problem.path)).toContain(path)
  expect(JSON.stringify(problems)).not.toContain(SECRET)
})
