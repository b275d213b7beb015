import { describe, expect, test } from 'vitest'
import { type Answer, admin, local, openApp, TOKEN } from './support.ts'

const PATHS = ['/admin/v1/usage', '/admin/v1/requests', '/admin/v1/requests/r1'] as const

const codeOf = (answer: Answer): unknown =>
  (answer.body['error'] as Record<string, unknown> | undefined)?.['code']

describe('with an admin token', () => {
  test.each(PATHS)('%s takes it and nothing else', async (path) => {
    const { ask } = await openApp({ listensOnLoopback: false })
    expect((await ask(path, admin)).status).not.toBe(401)
    for (const authorization of [
      '',
      'Bearer',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
      TOKEN,
      `Basic ${TOKEN}`,
      `Bearer ${TOKEN} ${TOKEN}`,
    ]) {
      const answer = await ask(path, { authorization })
      expect([answer.status, codeOf(answer)]).toEqual([401, 'invalid_api_key'])
      expect(answer.text).not.toContain(TOKEN)
    }
    expect((await ask(path)).status).toBe(401)
  })

  test('being local is not enough', async () => {
    const { ask } = await openApp()
    expect((await ask('/admin/v1/usage', local)).status).toBe(401)
  })

  test('a client’s key is no admin token', async () => {
    const { ask } = await openApp()
    expect((await ask('/admin/v1/usage', { authorization: 'Bearer sk-test-0123456789' })).status).toBe(401)
  })
})

describe('without an admin token', () => {
  const config = { admin: {} }

  test.each([
    '127.0.0.1',
    '127.0.0.1:8787',
    '127.1.2.3:80',
    'localhost',
    'LOCALHOST:8787',
    '[::1]',
    '[::1]:8787',
  ])('this machine is let in: %s', async (host) => {
    const { ask } = await openApp({ config })
    for (const path of PATHS) expect([200, 404]).toContain((await ask(path, { host })).status)
  })

  test.each([
    'gateway.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'evil.example:127',
    '192.168.0.1',
    '0.0.0.0',
    '[::ffff:10.0.0.1]',
    '',
  ])('a page that a browser fetched from elsewhere is not: Host %j', async (host) => {
    const { ask } = await openApp({ config })
    const answer = await ask('/admin/v1/usage', { host })
    expect([answer.status, codeOf(answer)]).toEqual([403, 'forbidden'])
  })

  test.each(['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'])(
    'what came through a proxy is not: %s',
    async (name) => {
      const { ask } = await openApp({ config })
      expect((await ask('/admin/v1/usage', { ...local, [name]: '127.0.0.1' })).status).toBe(403)
    },
  )

  test('nobody is where the listener is open to others', async () => {
    const { ask } = await openApp({ config, listensOnLoopback: false })
    expect((await ask('/admin/v1/usage', local)).status).toBe(403)
  })

  test('no token opens it either', async () => {
    const { ask } = await openApp({ config, listensOnLoopback: false })
    for (const authorization of ['Bearer null', 'Bearer ', 'Bearer undefined'])
      expect((await ask('/admin/v1/usage', { authorization })).status).toBe(403)
  })
})

describe('/metrics', () => {
  test('is open on this machine, and takes the admin token elsewhere', async () => {
    const here = await openApp()
    expect((await here.ask('/metrics', local)).status).toBe(200)
    expect((await here.ask('/metrics', { ...local, 'x-forwarded-for': '1.2.3.4' })).status).toBe(401)
    const open = await openApp({ listensOnLoopback: false })
    expect((await open.ask('/metrics', local)).status).toBe(401)
    const answer = await open.ask('/metrics', admin)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toContain('text/plain')
    expect(answer.text).toContain('# TYPE sluice_requests_in_flight gauge')
  })

  test('is open to all where the configuration says so', async () => {
    const { ask } = await openApp({ listensOnLoopback: false, config: { metrics: { public: true } } })
    expect((await ask('/metrics')).status).toBe(200)
  })
})
