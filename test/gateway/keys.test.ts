// Keys that are made, used, limited, rotated, ended while the gateway runs.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askKeys, makeKey, problemsOf } from '../support/admin-keys.ts'
import { answer } from '../support/chat-bytes.ts'
import { eventually, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

let upstream: RawUpstream
let gateway: LocalGateway

const config = (over: Record<string, unknown> = {}): Record<string, unknown> =>
  configOf({
    providers: { a: upstream.baseUrl, b: upstream.baseUrl },
    over: {
      organisations: { acme: { max_budget: '100' } },
      teams: { growth: { organisation: 'acme', max_budget: '0.01', models: ['m', 'a/*'] } },
      ...over,
    },
  })

beforeEach(async () => {
  upstream = await startRawUpstream(answer('hello'))
  gateway = await startLocalGateway({ config: config() })
})

afterEach(async () => {
  await gateway.close()
  await upstream.close()
})

async function apply(next: Record<string, unknown>): Promise<void> {
  const told = (): number => gateway.logs.filter(({ event }) => event.startsWith('settings.reload')).length
  const before = told()
  gateway.configure(next)
  await eventually(() => told() > before, 'the file was read again')
}

const codeOf = async (key: string, body = {}): Promise<string> => {
  const got = await gateway.chat({ max_tokens: 20, ...body }, { key })
  return got.status === 200 ? 'served' : `${got.status} ${got.error.code}`
}

describe('a key that is made', () => {
  test('works at once, is shown once, and its rows carry its name, tags, team and organisation', async () => {
    const made = await askKeys(gateway, 'POST', '', { name: 'web', team: 'growth', tags: { app: 'shop' } })
    expect(made.status).toBe(201)
    expect(made.headers['etag']).toBe('"1"')
    expect(made.headers['cache-control']).toBe('no-store')
    const secret = String(made.json['key'])
    expect(secret).toMatch(/^sk-sluice-[0-9A-Za-z]{38}$/)
    expect(made.json).toMatchObject({
      name: 'web',
      source: 'store',
      status: 'active',
      team: 'growth',
      rpm: null,
    })
    const got = await gateway.chat({ max_tokens: 20 }, { key: secret })
    expect(got.status).toBe(200)
    const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
    expect(detail).toMatchObject({
      key: 'web',
      tags: { app: 'shop', team: 'growth', organisation: 'acme' },
    })
    for (const path of ['', '/web', `/${made.json['id']}`]) {
      const shown = await askKeys(gateway, 'GET', path)
      expect(shown.status).toBe(200)
      expect(shown.text).toContain(secret.slice(0, 14))
      expect(shown.text).not.toContain(secret.slice(14))
    }
  })

  test('is limited as a key of the file is, and a change of its limits holds for the next request', async () => {
    const key = await makeKey(gateway, 'web', { rpm: 2 })
    expect([await codeOf(key), await codeOf(key), await codeOf(key)]).toEqual([
      'served',
      'served',
      '429 rate_limit_exceeded',
    ])
    const changed = await askKeys(gateway, 'PATCH', '/web', { rpm: 3, tags: { app: 'x' } })
    expect(changed.json).toMatchObject({ rpm: 3, tags: { app: 'x' }, version: 2 })
    expect([await codeOf(key), await codeOf(key)]).toEqual(['served', '429 rate_limit_exceeded'])
    expect((await askKeys(gateway, 'PATCH', '/web', { rpm: null })).json).toMatchObject({ rpm: null })
    expect(await codeOf(key)).toBe('served')
  })

  test('spends from its budget and from those of its team, and shows in the list of budgets', async () => {
    const key = await makeKey(gateway, 'web', { team: 'growth', max_budget: '0.0005' })
    expect(await codeOf(key)).toBe('served')
    expect(await codeOf(key, { max_tokens: 1_000 })).toBe('402 insufficient_quota')
    const budgets = (await gateway.admin('/budgets'))['data'] as { id: string; budget: { spent: string } }[]
    const spent = new Map(budgets.map((row) => [row.id, row.budget.spent]))
    expect(spent).toEqual(
      new Map([
        ['key:web', '0.00006'],
        ['organisation:acme', '0.00006'],
        ['team:growth', '0.00006'],
      ]),
    )
  })

  test('a budget that it is given later counts what it had spent', async () => {
    const key = await makeKey(gateway, 'web')
    expect(await codeOf(key)).toBe('served')
    await askKeys(gateway, 'PATCH', '/web', { max_budget: '0.0005' })
    expect((await gateway.chat({ max_tokens: 1_000 }, { key })).text).toContain('0.00006 of 0.0005 CNY spent')
  })

  test('of a name that was deleted goes on with what was spent under it', async () => {
    const key = await makeKey(gateway, 'web', { max_budget: '0.0005' })
    expect(await codeOf(key)).toBe('served')
    expect((await askKeys(gateway, 'DELETE', '/web')).status).toBe(204)
    expect((await gateway.chat({}, { key })).error).toMatchObject({
      code: 'invalid_api_key',
      message: expect.stringContaining('revoked'),
    })
    expect((await askKeys(gateway, 'GET', '/web')).status).toBe(404)
    const next = await makeKey(gateway, 'web', { max_budget: '0.0005' })
    expect((await gateway.chat({ max_tokens: 1_000 }, { key: next })).text).toContain(
      '0.00006 of 0.0005 CNY spent',
    )
  })
})

describe('a key ends', () => {
  test('by revocation: at once, and for ever', async () => {
    const key = await makeKey(gateway, 'web')
    expect(await codeOf(key)).toBe('served')
    const revoked = await askKeys(gateway, 'POST', '/web/revoke')
    expect(revoked.json).toMatchObject({ status: 'revoked', revoked_at: expect.any(String) })
    const got = await gateway.chat({}, { key })
    expect([got.status, got.error.code]).toEqual([401, 'invalid_api_key'])
    expect(got.error.message).toContain('was revoked at')
    expect((await ask(`${gateway.url}/v1/models`, { key })).status).toBe(401)
    expect((await askKeys(gateway, 'POST', '/web/revoke')).json['revoked_at']).toBe(
      revoked.json['revoked_at'],
    )
    for (const [method, path] of [
      ['PATCH', '/web'],
      ['POST', '/web/rotate'],
    ] as const) {
      const refused = await askKeys(gateway, method, path, {})
      expect([refused.status, refused.error.code]).toEqual([409, 'conflict'])
    }
  })

  test('by its date', async () => {
    const expiresAt = new Date(Date.now() + 1_500).toISOString()
    const key = await makeKey(gateway, 'web', { expires_at: expiresAt })
    expect(await codeOf(key)).toBe('served')
    await eventually(async () => (await gateway.chat({}, { key })).status === 401, 'it has expired')
    expect((await gateway.chat({}, { key })).error.message).toContain('expired at')
    expect((await askKeys(gateway, 'GET', '/web')).json['status']).toBe('expired')
    await askKeys(gateway, 'PATCH', '/web', { expires_at: null })
    expect(await codeOf(key)).toBe('served')
  })

  test('by rotation: the old secret when its overlap is over', async () => {
    const old = await makeKey(gateway, 'web', { rpm: 100 })
    const rotated = await askKeys(gateway, 'POST', '/web/rotate', { overlap: '2s' })
    const key = String(rotated.json['key'])
    expect(key).not.toBe(old)
    expect(rotated.json['secrets']).toHaveLength(2)
    expect([await codeOf(old), await codeOf(key)]).toEqual(['served', 'served'])
    await eventually(async () => (await gateway.chat({}, { key: old })).status === 401, 'the overlap is over')
    expect((await gateway.chat({}, { key: old })).error.message).toContain('was rotated')
    expect(await codeOf(key)).toBe('served')
    expect((await askKeys(gateway, 'GET', '/web')).json['secrets']).toHaveLength(1)
    const last = await askKeys(gateway, 'POST', '/web/rotate', { overlap: 0 })
    expect(await codeOf(key)).toBe('401 invalid_api_key')
    expect(await codeOf(String(last.json['key']))).toBe('served')
  })

  test('a mistyped one is recognised as such', async () => {
    const key = await makeKey(gateway, 'web')
    const got = await gateway.chat({}, { key: `${key.slice(0, -1)}${key.endsWith('x') ? 'y' : 'x'}` })
    expect([got.status, got.error.code]).toEqual([401, 'invalid_api_key'])
    expect(got.error.message).toContain('mistyped')
  })
})

describe('what a key is confined to', () => {
  test('providers: others are passed over, and refused where they are all there is', async () => {
    const key = await makeKey(gateway, 'web', { providers: ['b'] })
    const got = await gateway.chat({}, { key })
    expect(got.headers['x-sluice-target']).toBe('b/x')
    const { decision } = await gateway.detail(got.headers['x-request-id'] ?? '')
    expect(decision.excluded).toMatchObject([{ target: 'a/x', reason: 'provider_not_allowed' }])
    expect(await codeOf(key, { model: 'a/x' })).toBe('403 model_not_allowed')
    const models = await ask(`${gateway.url}/v1/models`, { key })
    expect((models.json['data'] as { id: string }[]).map(({ id }) => id)).toEqual(['m', 'b/x'])
  })

  test('models', async () => {
    const key = await makeKey(gateway, 'web', { models: ['a/*'] })
    expect([await codeOf(key, { model: 'a/x' }), await codeOf(key)]).toEqual([
      'served',
      '403 model_not_allowed',
    ])
  })

  test('addresses: of the socket, since anybody can write a header', async () => {
    const inside = await makeKey(gateway, 'inside', { ip_ranges: ['127.0.0.0/8', '::1'] })
    const outside = await makeKey(gateway, 'outside', { ip_ranges: ['10.0.0.0/8'] })
    expect([await codeOf(inside), await codeOf(outside)]).toEqual(['served', '403 forbidden'])
    const headers = { 'x-forwarded-for': '10.1.2.3' }
    expect((await gateway.chat({}, { key: outside, headers })).status).toBe(403)
    expect((await ask(`${gateway.url}/v1/models`, { key: outside, headers })).status).toBe(403)
    await apply(
      config({
        server: { host: '127.0.0.1', port: 0, drain_ms: 600, trusted_proxies: ['127.0.0.1', '10.9.0.0/16'] },
      }),
    )
    expect((await gateway.chat({}, { key: outside, headers })).status).toBe(200)
    const far = { 'x-forwarded-for': '10.1.2.3, 192.0.2.1, 10.9.0.1' }
    expect((await gateway.chat({}, { key: outside, headers: far })).status).toBe(403)
    const near = { 'x-forwarded-for': '192.0.2.1, 10.1.2.3, 10.9.0.1' }
    expect((await gateway.chat({}, { key: outside, headers: near })).status).toBe(200)
    expect((await ask(`${gateway.url}/v1/models`, { key: outside, headers: near })).status).toBe(200)
  })

  test('targets that do with data what is required, whoever requires it', async () => {
    const known = { region: 'cn', retention: '7d', trains_on_data: false, filing_no: 'Beijing-1' }
    const open = {
      use: 'openai-compatible',
      base_url: upstream.baseUrl,
      api_key: 'sk-up',
      allow_private: true,
    }
    await apply(
      configOf({
        providers: { a: open, b: { ...open, ...known, retention: '60d' } },
        targets: ['a/x', 'b/x', { target: 'b/y', retention: 'none' }],
        prices: { 'a/*': priceOf('1', '1'), 'b/*': priceOf('2', '2') },
        over: { teams: { careful: { data_policy: { region: 'cn' } } } },
      }),
    )
    const targetsOf = async (policy: object, more = {}): Promise<unknown> => {
      const name = JSON.stringify(policy) + JSON.stringify(more)
      const got = await gateway.chat(
        {},
        { key: await makeKey(gateway, name, { data_policy: policy, ...more }) },
      )
      if (got.status !== 200) return `${got.status} ${got.error.code} ${got.headers['x-should-retry']}`
      const { decision } = await gateway.detail(got.headers['x-request-id'] ?? '')
      for (const { reason } of decision.excluded) expect(reason).toBe('data_policy')
      return decision.candidates.map(({ target }) => target)
    }
    expect(await targetsOf({})).toEqual(['a/x', 'b/x', 'b/y'])
    expect(await targetsOf({ region: ['eu', 'cn'] })).toEqual(['b/x', 'b/y'])
    expect(await targetsOf({ retention: '60d' })).toEqual(['b/x', 'b/y'])
    expect(await targetsOf({ retention: '30d' })).toEqual(['b/y'])
    expect(await targetsOf({ trains_on_data: false, filing_no: true })).toEqual(['b/x', 'b/y'])
    expect(await targetsOf({ filing_no: ['Beijing-1'] })).toEqual(['b/x', 'b/y'])
    expect(await targetsOf({ filing_no: 'Beijing-2' })).toBe('503 no_target false')
    expect(await targetsOf({ retention: 'none' }, { team: 'careful' })).toEqual(['b/y'])
    expect(await targetsOf({ region: 'eu' }, { team: 'careful' })).toBe('503 no_target false')
  })

  test('a team that is no longer there confines all its keys', async () => {
    const key = await makeKey(gateway, 'web', { team: 'growth' })
    expect(await codeOf(key)).toBe('served')
    await apply(config({ teams: {} }))
    const got = await gateway.chat({}, { key })
    expect([got.status, got.error.code]).toEqual([403, 'forbidden'])
    expect(got.error.message).toContain('team "growth"')
    await apply(config())
    expect(await codeOf(key)).toBe('served')
  })
})

describe('names', () => {
  test('belong to one key, over the file and the store', async () => {
    await makeKey(gateway, 'web')
    for (const name of ['web', 'tester']) {
      const got = await askKeys(gateway, 'POST', '', { name })
      expect([got.status, got.error.code, got.error.param]).toEqual([409, 'conflict', 'name'])
    }
    await apply(config({ keys: [{ name: 'web', key: 'sk-another-0123456789' }] }))
    const refused = gateway.logs.findLast(({ event }) => event === 'settings.reload_failed')
    expect(JSON.stringify(refused?.fields)).toContain('is that of a key in the store')
    expect((await gateway.chat()).status).toBe(200)
  })

  test('a key of the file is listed, and changed in the file only', async () => {
    const shown = await askKeys(gateway, 'GET', '/tester')
    expect(shown.json).toMatchObject({
      id: 'config:tester',
      source: 'config',
      status: 'active',
      version: null,
    })
    for (const [method, path] of [
      ['PATCH', '/tester'],
      ['DELETE', '/tester'],
      ['POST', '/tester/rotate'],
      ['POST', '/tester/revoke'],
    ] as const) {
      const got = await askKeys(gateway, method, path, method === 'PATCH' ? { rpm: 1 } : undefined)
      expect([got.status, got.error.code]).toEqual([403, 'forbidden'])
    }
    const renamed = await makeKey(gateway, '网页/1 %').then(() =>
      askKeys(gateway, 'PATCH', `/${encodeURIComponent('网页/1 %')}`, { name: 'other' }),
    )
    expect(problemsOf(renamed)).toMatchObject([{ field: 'name', found: '"other"' }])
  })
})

test('keys are listed page by page, those of the file first', async () => {
  const names = Array.from({ length: 7 }, (_, index) => `k${index}`)
  for (const name of names) await makeKey(gateway, name)
  const seen: unknown[] = []
  for (let cursor: string | null = null; ; ) {
    const query: string = `?limit=3${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
    const page = await askKeys(gateway, 'GET', query)
    seen.push(...(page.json['data'] as { name: string }[]).map(({ name }) => name))
    cursor = page.json['next_cursor'] as string | null
    if (cursor === null) break
  }
  expect(seen).toEqual(['tester', ...names])
  for (const query of ['?limit=0', '?limit=501', '?limit=x', '?cursor=x', '?cursor=%25%25'])
    expect((await askKeys(gateway, 'GET', query)).status).toBe(400)
})
