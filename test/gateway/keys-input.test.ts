// What is wrong with a key that is sent is said, all of it at once, and nothing that is sent breaks anything.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askKeys, makeKey, problemsOf } from '../support/admin-keys.ts'
import { KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'

let gateway: LocalGateway

beforeAll(async () => {
  gateway = await startLocalGateway({
    config: configOf({
      providers: { a: 'http://127.0.0.1:1/v1' },
      over: { teams: { growth: {}, research: {} } },
    }),
  })
})

afterAll(() => gateway.close())

test('every problem at once: the field, what was found, what is allowed and what was probably meant', async () => {
  const got = await askKeys(gateway, 'POST', '', {
    name: '',
    team: 'grwth',
    models: ['m', 'mm', 7],
    providers: ['aa'],
    tags: { a: 1 },
    max_budget: 100,
    budget_mode: 'hard',
    rpm: 0,
    tpm: '10',
    expires_at: '2001-01-01',
    ip_ranges: ['10.0.0.0/8', '10.0.0.1/8'],
    data_policy: { retention: 'short', regoin: 'cn' },
    modles: [],
  })
  expect([got.status, got.error.code, got.error.type]).toEqual([
    400,
    'invalid_request',
    'invalid_request_error',
  ])
  const problems = problemsOf(got)
  expect(problems.map(({ field }) => field).toSorted()).toEqual([
    'budget_mode',
    'data_policy.regoin',
    'data_policy.retention',
    'expires_at',
    'ip_ranges[1]',
    'max_budget',
    'models[1]',
    'models[2]',
    'modles',
    'name',
    'providers[0]',
    'rpm',
    'tags.a',
    'team',
    'tpm',
  ])
  const at = new Map(problems.map((problem) => [problem.field, problem]))
  expect(at.get('team')).toMatchObject({ found: '"grwth"', allowed: 'growth, research', nearest: 'growth' })
  expect(at.get('modles')).toMatchObject({ found: '"modles"', nearest: 'models' })
  expect(at.get('budget_mode')).toMatchObject({ allowed: 'soft | strict' })
  expect(at.get('rpm')).toMatchObject({ found: '0', allowed: 'an integer of at least 1' })
  for (const { field } of problems) expect(got.error.message).toContain(field)
})

test('a change is judged together with what stays', async () => {
  await makeKey(gateway, 'judged', { max_budget: '1', budget_duration: 'day' })
  const got = await askKeys(gateway, 'PATCH', '/judged', { max_budget: null })
  expect(problemsOf(got)).toMatchObject([{ field: 'budget_duration', allowed: 'max_budget beside it' }])
  const both = await askKeys(gateway, 'PATCH', '/judged', { max_budget: null, budget_duration: null })
  expect(both.json).toMatchObject({ max_budget: null, budget_duration: null })
})

test('a secret cannot be chosen', async () => {
  const got = await askKeys(gateway, 'POST', '', { name: 'chosen', key: 'sk-canary-0123456789' })
  expect(problemsOf(got)).toMatchObject([{ field: 'key' }])
  expect(got.text).not.toContain('canary')
})

test('who changes what somebody else has changed meanwhile is told so', async () => {
  await makeKey(gateway, 'shared')
  const seen = (await askKeys(gateway, 'GET', '/shared')).headers['etag'] ?? ''
  expect(seen).toBe('"1"')
  expect((await askKeys(gateway, 'PATCH', '/shared', { rpm: 1 }, { 'if-match': seen })).status).toBe(200)
  for (const [method, path] of [
    ['PATCH', '/shared'],
    ['DELETE', '/shared'],
    ['POST', '/shared/rotate'],
    ['POST', '/shared/revoke'],
  ] as const) {
    const body = method === 'PATCH' ? { rpm: 2 } : undefined
    const got = await askKeys(gateway, method, path, body, { 'if-match': seen })
    expect([got.status, got.error.code]).toEqual([409, 'conflict'])
    expect(got.error.message).toContain('version 2')
  }
  expect((await askKeys(gateway, 'PATCH', '/shared', { rpm: 2 }, { 'if-match': '"x"' })).status).toBe(400)
  expect((await askKeys(gateway, 'PATCH', '/shared', { rpm: 2 }, { 'if-match': 'W/"2"' })).status).toBe(200)
})

test('of many who change it at once each one is heard', async () => {
  await makeKey(gateway, 'busy')
  const answers = await Promise.all(
    Array.from({ length: 3 }, (_, index) =>
      askKeys(gateway, 'PATCH', '/busy', { tags: { [`t${index}`]: 'x' } }),
    ),
  )
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  expect((await askKeys(gateway, 'GET', '/busy')).json['version']).toBe(4)
})

describe('whatever is sent', () => {
  const deep = `${'{"tags":'.repeat(50_000)}1${'}'.repeat(50_000)}`
  const bodies: readonly (readonly [string, unknown])[] = [
    ['nothing', undefined],
    ['no JSON', '{'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a text', '"x"'],
    ['bytes', new Uint8Array([0xff, 0xfe, 0x00])],
    ['deep nesting', deep.slice(0, 240_000)],
    ['deep lists', `{"name":"d","models":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
    ['names of prototypes', '{"name":"p","__proto__":{"rpm":1},"constructor":{},"toString":1}'],
    ['a tag named like a prototype', '{"name":"p","tags":{"__proto__":"x","constructor":"y"}}'],
    ['control characters', { name: 'a\u0000b\r\nc' }],
    ['a lone surrogate', '{"name":"\\ud800"}'],
    ['a long name', { name: 'x'.repeat(10_000) }],
    [
      'many tags',
      { name: 't', tags: Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`t${i}`, ''])) },
    ],
    ['many models', { name: 'mm', models: Array.from({ length: 20_000 }, (_, i) => `x${i}`) }],
    ['absurd numbers', '{"name":"n","rpm":1e999,"tpm":-0,"concurrency":9007199254740993}'],
    ['absurd money', { name: 'n', max_budget: '9'.repeat(5_000) }],
    ['a template', { name: 'n', team: '${HOME}' }],
    ['an absurd date', { name: 'n', expires_at: '2026-99-99' }],
    ['a wrong union', { name: 'n', data_policy: { region: [[]], filing_no: false } }],
    ['numbers for texts', { name: 7, team: {}, models: 'm', ip_ranges: [null] }],
  ]
  const places = [
    ['POST', ''],
    ['PATCH', '/victim'],
    ['POST', '/victim/rotate'],
    ['PATCH', '/nobody'],
  ] as const

  beforeAll(async () => void (await makeKey(gateway, 'victim', { rpm: 5 })))

  test.each(bodies)('%s is no fault of ours', async (_what, body) => {
    for (const [method, path] of places) {
      const got = await askKeys(gateway, method, path, body)
      expect(got.status, `${method} ${path} ${got.text}`).toBeLessThan(500)
      if (got.status >= 400) expect(got.error.message.length).toBeGreaterThan(0)
    }
    expect((await askKeys(gateway, 'GET', '/victim')).status).toBe(200)
  })

  test('a body that is too large is not read', async () => {
    const got = await askKeys(gateway, 'POST', '', { name: 'x'.repeat(300_000) })
    expect([got.status, got.error.code]).toEqual([413, 'request_too_large'])
    const chunked = await askKeys(gateway, 'POST', '', 'x'.repeat(300_000), {
      'transfer-encoding': 'chunked',
    })
    expect(chunked.status).toBe(413)
  })

  test.each([
    '%00',
    '%',
    '%ff',
    '..%2f..',
    'a'.repeat(5_000),
    '__proto__',
    'config%3A',
    'key_',
    '%F0%9F%98%80',
  ])('the name %j is none', async (name) => {
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const got = await askKeys(gateway, method, `/${name}`, method === 'PATCH' ? {} : undefined)
      expect(got.status, got.text).toBe(404)
    }
  })

  test.each([
    { overlap: -1 },
    { overlap: 1 },
    { overlap: '1' },
    { overlap: '1w' },
    { overlap: '91d' },
    { overlap: '9999999s', more: 1 },
    { overlap: {} },
    { overlap: ['1s'] },
    { grace: '1s' },
  ])('a rotation with %j is refused', async (body) => {
    const got = await askKeys(gateway, 'POST', '/victim/rotate', body)
    expect([got.status, got.error.code]).toEqual([400, 'invalid_request'])
  })
})

test('only an operator may, whatever the method', async () => {
  for (const key of [KEY, 'sk-wrong-0123456789', undefined]) {
    for (const [method, path] of [
      ['GET', ''],
      ['POST', ''],
      ['GET', '/tester'],
      ['PATCH', '/tester'],
      ['DELETE', '/tester'],
      ['POST', '/tester/rotate'],
      ['POST', '/tester/revoke'],
    ] as const) {
      const got = await ask(`${gateway.url}/admin/v1/keys${path}`, {
        method,
        ...(key === undefined ? {} : { key }),
        ...(method === 'GET' ? {} : { body: '{' }),
      })
      expect([got.status, got.error.code]).toEqual([401, 'invalid_api_key'])
    }
  }
})
