// Limits and budgets of keys, teams, organisations, providers and targets.

import { describe, expect, test } from 'vitest'
import { config, problemsOf, settingsOf } from './fixtures.ts'

const HOUR_MS = 3_600_000
const KEY = { name: 'demo', key: 'sk-demo-0123456789' }

const keyOf = (changes: object, rest: object = {}) =>
  settingsOf(config({ keys: [{ ...KEY, ...changes }], ...rest })).keys[0]

test('a key without limits has no scopes', () => {
  expect(keyOf({})).toMatchObject({ team: null, organisation: null, scopes: [] })
})

test('a key counts in its own scope, its team and its organisation', () => {
  const key = keyOf(
    { team: 'growth', rpm: 600, tpm: 2_000_000, concurrency: 8 },
    {
      organisations: { acme: { max_budget: '100000', budget_duration: 'month' } },
      teams: { growth: { organisation: 'acme', max_budget: '5000.5', budget_mode: 'strict' } },
    },
  )
  expect(key).toMatchObject({
    team: 'growth',
    organisation: 'acme',
    tags: { team: 'growth', organisation: 'acme' },
  })
  expect(key?.scopes).toEqual([
    {
      id: 'key:demo',
      kind: 'key',
      name: 'demo',
      organisation: 'acme',
      limits: { rpm: 600, tpm: 2_000_000, concurrency: 8 },
      budget: null,
    },
    {
      id: 'team:growth',
      kind: 'team',
      name: 'growth',
      organisation: 'acme',
      limits: { rpm: null, tpm: null, concurrency: null },
      budget: { amountNano: 5_000_500_000_000n, period: { kind: 'life' }, isStrict: true },
    },
    {
      id: 'organisation:acme',
      kind: 'organisation',
      name: 'acme',
      limits: { rpm: null, tpm: null, concurrency: null },
      budget: {
        amountNano: 100_000_000_000_000n,
        period: { kind: 'calendar', unit: 'month' },
        isStrict: false,
      },
    },
  ])
})

test('a tag of one’s own may be called team where no team has that name', () => {
  expect(keyOf({ tags: { team: 'blue' } }, { teams: { growth: {} } })?.tags).toEqual({ team: 'blue' })
})

test('keys of one team share its scope', () => {
  const { keys } = settingsOf(
    config({
      teams: { growth: { rpm: 10 } },
      keys: [
        { ...KEY, team: 'growth' },
        { name: 'other', key: 'sk-other-0123456789', team: 'growth' },
      ],
    }),
  )
  expect(keys[0]?.scopes[0]).toBe(keys[1]?.scopes[0])
})

test.each([
  ['30d', { kind: 'fixed', lengthMs: 720 * HOUR_MS }],
  ['12h', { kind: 'fixed', lengthMs: 12 * HOUR_MS }],
  ['day', { kind: 'calendar', unit: 'day' }],
  ['week', { kind: 'calendar', unit: 'week' }],
  ['month', { kind: 'calendar', unit: 'month' }],
  ['rolling:24h', { kind: 'rolling', lengthMs: 24 * HOUR_MS }],
  ['rolling:7d', { kind: 'rolling', lengthMs: 168 * HOUR_MS }],
])('budget_duration %s', (duration, period) => {
  expect(keyOf({ max_budget: '1', budget_duration: duration })?.scopes[0]?.budget?.period).toEqual(period)
})

test('calendar budgets and those of whole days go by the time zone of the books', () => {
  const zone = 'America/New_York'
  const periodOf = (budget_duration: string) => {
    const keys = [{ ...KEY, max_budget: '1', budget_duration }]
    return settingsOf(config({ time_zone: zone, keys })).keys[0]?.scopes[0]?.budget?.period
  }
  expect(periodOf('day')).toEqual({ kind: 'calendar', unit: 'day', timeZone: zone })
  expect(periodOf('30d')).toEqual({ kind: 'fixed', lengthMs: 720 * HOUR_MS, timeZone: zone })
  expect(periodOf('rolling:24h')).toEqual({ kind: 'rolling', lengthMs: 24 * HOUR_MS })
})

test('limits and budgets of providers and targets are found by name', () => {
  const { served } = settingsOf(
    config({
      providers: {
        main: { use: 'vendor', api_key: 'secret-of-vendor', limits: { rpm: 300 }, max_budget: '10' },
      },
      models: {
        assistant: { targets: [{ target: 'main/small', limits: { concurrency: 4 } }, 'main/large'] },
      },
    }),
  )
  expect([...served.keys()]).toEqual(['main', 'main/small'])
  expect(served.get('main')).toMatchObject({
    id: 'provider:main',
    limits: { rpm: 300 },
    budget: { amountNano: 10_000_000_000n },
  })
  expect(served.get('main/small')).toMatchObject({ id: 'target:main/small', limits: { concurrency: 4 } })
})

describe('models', () => {
  const two = { models: { a: { targets: ['main/small'] }, b: { targets: ['main/small'] } } }

  test.each([
    [undefined, ['a'], ['a']],
    [['a', 'b'], ['a'], ['a']],
    [['main/*'], ['a', 'main/small'], ['main/small']],
    [['main/small'], ['main/*'], ['main/small']],
    [['b'], ['a'], []],
  ])('of a key with %j in a team with %j are %j', (ofKey, ofTeam, both) => {
    const models = ofKey === undefined ? {} : { models: ofKey }
    expect(keyOf({ team: 't', ...models }, { teams: { t: { models: ofTeam } }, ...two })?.models).toEqual(
      both,
    )
  })
})

test.each([
  [
    'a team that there is not',
    { keys: [{ ...KEY, team: 'grwth' }], teams: { growth: {} } },
    'keys[0].team',
    'growth',
  ],
  [
    'an organisation that there is not',
    { teams: { growth: { organisation: 'acm' } }, organisations: { acme: {} } },
    'teams.growth.organisation',
    'acme',
  ],
  [
    'a tag that names another team',
    { teams: { growth: {}, other: {} }, keys: [{ ...KEY, team: 'growth', tags: { team: 'other' } }] },
    'keys[0].tags.team',
    null,
  ],
  [
    'a tag that names a team without belonging to it',
    { teams: { growth: {} }, keys: [{ ...KEY, tags: { team: 'growth' } }] },
    'keys[0].tags.team',
    null,
  ],
  [
    'a duration without a budget',
    { keys: [{ ...KEY, budget_duration: '30d' }] },
    'keys[0].budget_duration',
    null,
  ],
  ['a mode without a budget', { teams: { t: { budget_mode: 'strict' } } }, 'teams.t.budget_mode', null],
  ['an amount that is a number', { keys: [{ ...KEY, max_budget: 5 }] }, 'keys[0].max_budget', null],
  ['an amount below zero', { keys: [{ ...KEY, max_budget: '-5' }] }, 'keys[0].max_budget', null],
  [
    'a duration of nothing',
    { keys: [{ ...KEY, max_budget: '5', budget_duration: '0d' }] },
    'keys[0].budget_duration',
    null,
  ],
  ['no requests a minute', { keys: [{ ...KEY, rpm: 0 }] }, 'keys[0].rpm', null],
  [
    'a model of a team that there is not',
    { teams: { t: { models: ['assistent'] } } },
    'teams.t.models[0]',
    'assistant',
  ],
])('%s is reported', (_name, changes, path, nearest) => {
  const problems = problemsOf(config(changes))
  expect(problems.map((problem) => problem.path)).toEqual([path])
  if (nearest !== null) expect(problems[0]?.nearest).toBe(nearest)
})

test('a target that is limited in two places is reported at the second', () => {
  const limited = { target: 'main/small', limits: { rpm: 5 } }
  const models = { a: { targets: [limited] }, b: { targets: [limited] } }
  const [problem, ...rest] = problemsOf(config({ models }))
  expect(rest).toEqual([])
  expect(problem?.path).toBe('models.b.targets[0]')
  expect(problem?.message).toContain('models.a.targets[0]')
})

test('unpriced: the rule of targets without a price, by default that they are not asked', () => {
  expect(settingsOf(config()).unpriced).toBe('deny')
  expect(settingsOf(config({ unpriced: 'bound' })).unpriced).toBe('bound')
  expect(problemsOf(config({ unpriced: 'allow' }))).toMatchObject([{ path: 'unpriced' }])
})
