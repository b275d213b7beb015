import { describe, expect, test } from 'vitest'
import type { LedgerStore } from '#core/ledger.ts'
import { createMemoryStore } from '#store/memory.ts'
import { admin, KEY, limited, openApp } from './support.ts'

const authorized = { authorization: `Bearer ${KEY}` }

describe('the list of models', () => {
  test.each(['/v1/models', '/models'])('%s has OpenAI’s shape', async (path) => {
    const { ask } = await openApp()
    const answer = await ask(path, authorized)
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({
      object: 'list',
      data: [
        { id: 'assistant', object: 'model', created: 1_700_000_000, owned_by: 'sluice' },
        { id: 'fast', object: 'model', created: 1_700_000_000, owned_by: 'sluice' },
        { id: 'main/small', object: 'model', created: 1_700_000_000, owned_by: 'main' },
        { id: 'main/org/large', object: 'model', created: 1_700_000_000, owned_by: 'main' },
      ],
    })
  })

  test('holds what the key may use', async () => {
    const { ask } = await openApp()
    const { body } = await ask('/v1/models', limited)
    expect((body['data'] as { id: string }[]).map((model) => model.id)).toEqual(['fast'])
  })

  test.each(['assistant', 'main/small', 'main%2Fsmall', 'main/org/large', 'main%2Forg%2Flarge'])(
    'one of them is found by its id, its slashes encoded or not: %s',
    async (id) => {
      const { ask } = await openApp()
      const answer = await ask(`/v1/models/${id}`, authorized)
      expect(answer.body).toMatchObject({ id: decodeURIComponent(id), object: 'model' })
    },
  )

  test('one that the key may not use is not found', async () => {
    const { ask } = await openApp()
    const answer = await ask('/v1/models/assistant', limited)
    expect(answer.status).toBe(404)
    expect(answer.body).toMatchObject({ error: { code: 'model_not_found', param: 'model' } })
  })

  test('an id that is no percent-encoding is not found, not a crash', async () => {
    const { ask, logged } = await openApp()
    expect((await ask('/v1/models/%E0%A4%A', authorized)).status).toBe(404)
    expect(logged).toEqual([])
  })

  test.each([{}, { authorization: 'Bearer sk-unknown-0123456789' }, { authorization: KEY }])(
    'takes a key: %j is refused',
    async (headers) => {
      const { ask } = await openApp()
      const answer = await ask('/v1/models', headers as Record<string, string>)
      expect(answer.status).toBe(401)
      expect(answer.body).toMatchObject({ error: { code: 'invalid_api_key', type: 'authentication_error' } })
    },
  )
})

describe('routes', () => {
  test.each([
    { path: '/v1/chat/completions', api: 'chat' },
    { path: '/chat/completions', api: 'chat' },
    { path: '/v1/completions', api: 'completions' },
    { path: '/completions', api: 'completions' },
  ])('$path is inference', async ({ path, api }) => {
    const { ask } = await openApp()
    expect((await ask(path, {}, 'POST')).text).toBe(`inference ${api}`)
    const wrong = await ask(path)
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST'])
  })

  test.each([
    { path: '/v1/models', headers: authorized, status: 200 },
    { path: '/v1/models/assistant', headers: authorized, status: 200 },
    { path: '/v1/models/unknown', headers: authorized, status: 404 },
    { path: '/v1/models', headers: {}, status: 401 },
    { path: '/v1/chat/completions', headers: {}, status: 405 },
    { path: '/nothing', headers: {}, status: 404 },
    { path: '/admin/v1/usage', headers: {}, status: 401 },
    { path: '/livez', headers: {}, status: 200 },
  ])('$path answers $status with a request id', async ({ path, headers, status }) => {
    const { ask } = await openApp()
    const answer = await ask(path, headers as Record<string, string>)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('x-request-id')).toBe('req_1')
  })

  test('what is not there is said in OpenAI’s shape', async () => {
    const { ask } = await openApp()
    const answer = await ask('/v1/nothing', {}, 'POST')
    expect(answer.status).toBe(404)
    expect(answer.body).toMatchObject({
      error: { code: 'not_found', message: expect.stringContaining('POST /v1/nothing') },
    })
    expect(answer.headers.get('x-should-retry')).toBe('false')
  })

  test('browsers may send what the SDKs send, and read our headers', async () => {
    const { ask } = await openApp()
    const asked = {
      origin: 'https://app.example',
      'access-control-request-headers': 'authorization,x-stainless-os',
    }
    for (const path of ['/v1/chat/completions', '/v1/models', '/v1/models/main/small']) {
      const answer = await ask(path, asked, 'OPTIONS')
      expect(answer.status).toBe(204)
      expect(answer.headers.get('access-control-allow-origin')).toBe('*')
      expect(answer.headers.get('access-control-allow-headers')).toContain('x-stainless-os')
    }
    expect((await ask('/v1/models')).headers.get('access-control-allow-origin')).toBe('*')
  })

  test('no other site’s page may read the admin API', async () => {
    const { ask } = await openApp()
    const answer = await ask('/admin/v1/usage', { ...admin, origin: 'https://evil.example' })
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('readiness is not liveness', async () => {
    const draining = await openApp({ isReady: false })
    expect((await draining.ask('/livez')).status).toBe(200)
    expect((await draining.ask('/readyz')).status).toBe(503)
    expect((await (await openApp()).ask('/readyz')).status).toBe(200)
  })

  test('readiness says what is wrong with the disk, and fails when nothing is admitted any more', async () => {
    const troubled = await openApp({ storeTrouble: { fault: 'disk_full', isFull: false } })
    expect(await troubled.ask('/readyz')).toMatchObject({ status: 200, body: { store: 'disk_full' } })
    const full = await openApp({ storeTrouble: { fault: 'disk_full', isFull: true } })
    expect(await full.ask('/readyz')).toMatchObject({
      status: 503,
      body: { status: 'store_unavailable', store: 'disk_full' },
    })
  })

  test('a fault of ours tells the client nothing of it, and the log all', async () => {
    const store: LedgerStore = {
      ...createMemoryStore(),
      request: () => Promise.resolve({ request: null, attempts: [] } as never),
    }
    const { ask, logged } = await openApp({ store })
    const answer = await ask('/admin/v1/requests/r1', admin)
    expect(answer.status).toBe(500)
    expect(answer.body).toMatchObject({ error: { code: 'internal_error' } })
    expect(answer.text).not.toMatch(/TypeError|Cannot read/)
    expect(logged).toEqual(['http.crashed'])
  })
})
