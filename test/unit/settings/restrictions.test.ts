// Models, providers, data, addresses and time that keys and teams are confined to.

import { describe, expect, test } from 'vitest'
import { config, problemsOf, settingsOf } from './fixtures.ts'

const KEY = { name: 'demo', key: 'sk-demo-0123456789' }
const withTeam = (team: object, key: object = {}) =>
  config({ teams: { growth: team }, keys: [{ ...KEY, team: 'growth', ...key }] })

test('what a key and its team say holds together', () => {
  const [key] = settingsOf(
    withTeam(
      {
        providers: ['main'],
        data_policy: { region: 'cn' },
        ip_ranges: ['10.0.0.0/8'],
        expires_at: '2026-12-31',
      },
      { data_policy: { retention: 'none' }, ip_ranges: ['10.1.0.0/16', '::1'], expires_at: '2027-01-01' },
    ),
  ).keys
  expect(key).toMatchObject({
    providers: ['main'],
    dataPolicies: [{ retentionMsMax: 0 }, { regions: ['cn'] }],
    // A date ends with its day in Shanghai.
    expiresAtMs: Date.parse('2026-12-31T16:00:00Z'),
  })
  expect(key?.ipRanges.map((ranges) => ranges.length)).toEqual([2, 1])
})

test('a key of the file says what it says, without its secret', () => {
  const [key] = settingsOf(config({ keys: [{ ...KEY, models: ['main/*'], rpm: 5 }] })).keys
  expect(key?.fields).toEqual({ models: ['main/*'], rpm: 5, tags: {} })
})

test('what a target says of data goes over what its provider says, whichever model asks', () => {
  const settings = settingsOf({
    providers: {
      main: { use: 'vendor', api_key: 'secret-of-vendor', retention: '30d', trains_on_data: true },
      lab: { use: 'hosted', base_url: 'https://lab.example', region: 'unknown' },
    },
    models: {
      a: { targets: [{ target: 'main/x', trains_on_data: false, filing_no: 'B-1' }, 'main/y'] },
      b: { targets: [{ target: 'main/x', filing_no: 'B-1', trains_on_data: false }, 'lab/z'] },
    },
  })
  const provider = { region: 'cn', retentionMs: 30 * 86_400_000, trainsOnData: true, filingNo: null }
  expect(settings.providers.get('main')?.data).toEqual(provider)
  expect(settings.providers.get('lab')?.data.region).toBeNull()
  expect([...settings.targetData]).toEqual([
    ['main/x', { ...provider, trainsOnData: false, filingNo: 'B-1' }],
  ])
})

describe('is a problem', () => {
  const target = (said: object): object => ({ target: 'main/x', ...said })
  test.each<[string, object, string]>([
    [
      'an unknown provider',
      config({ keys: [{ ...KEY, providers: ['mian'] }] }),
      'keys[0].providers[0]: there is none of that name',
    ],
    ['a provider that a team does not know', withTeam({ providers: ['x'] }), 'teams.growth.providers[0]'],
    [
      'a range with bits behind its prefix',
      withTeam({ ip_ranges: ['10.0.0.1/8'] }),
      'teams.growth.ip_ranges[0]',
    ],
    ['a day that is none', config({ keys: [{ ...KEY, expires_at: '2026-13-01' }] }), 'keys[0].expires_at'],
    [
      'an instant without its offset',
      withTeam({ expires_at: '2026-01-01T00:00:00' }),
      'teams.growth.expires_at',
    ],
    [
      'a retention without a unit',
      withTeam({ data_policy: { retention: '30' } }),
      'teams.growth.data_policy.retention',
    ],
    [
      'a filing that must not be',
      withTeam({ data_policy: { filing_no: false } }),
      'teams.growth.data_policy.filing_no',
    ],
    [
      'an empty choice of regions',
      withTeam({ data_policy: { region: [] } }),
      'teams.growth.data_policy.region',
    ],
    [
      'an unknown requirement',
      withTeam({ data_policy: { regoin: 'cn' } }),
      'teams.growth.data_policy.regoin',
    ],
    [
      'a proxy that is no address',
      config({ server: { trusted_proxies: ['proxy'] } }),
      'server.trusted_proxies[0]',
    ],
    ['a short secret', config({ secret: 'short' }), 'secret: is too short (found a string of 5 characters'],
    [
      'a target that says two things',
      config({
        models: { a: { targets: [target({ region: 'cn' })] }, b: { targets: [target({ region: 'eu' })] } },
      }),
      'models.b.targets[0]',
    ],
  ])('%s', (_what, file, says) => {
    const said = problemsOf(file).map(({ path, message, found }) => `${path}: ${message} (found ${found}`)
    expect(said).toHaveLength(1)
    expect(said[0]?.startsWith(says), said[0]).toBe(true)
  })
})
