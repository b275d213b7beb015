// Keys outlive the process; their secrets are nowhere but with who was shown them.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askKeys, makeKey } from '../support/admin-keys.ts'
import { answer, contentEvent, ROLE_EVENT } from '../support/chat-bytes.ts'
import { type ChildGateway, KEY, startChildGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

let upstream: RawUpstream
let gateway: ChildGateway

const config = (over = {}): Record<string, unknown> =>
  configOf({ providers: { a: upstream.baseUrl }, over: { teams: { growth: { max_budget: '1' } }, ...over } })

beforeEach(async () => {
  upstream = await startRawUpstream(answer('hello'))
  gateway = await startChildGateway({ config: config(), env: { SLUICE_LOG_LEVEL: 'debug' } })
})

afterEach(async () => {
  await gateway.close()
  await upstream.close()
})

async function restart(over = {}): Promise<void> {
  await gateway.close({ keepFolder: true })
  gateway = await startChildGateway({ config: config(over), folder: gateway.folder })
}

test('a process that is killed keeps its keys, their limits, what they spent and who was revoked', async () => {
  const key = await makeKey(gateway, 'web', { team: 'growth', max_budget: '0.001', rpm: 50 })
  const gone = await makeKey(gateway, 'gone')
  expect((await gateway.chat({ max_tokens: 20 }, { key })).status).toBe(200)
  await askKeys(gateway, 'POST', '/gone/revoke')
  const before = await askKeys(gateway, 'GET', '/web')
  await restart()
  expect((await askKeys(gateway, 'GET', '/web')).json).toEqual(before.json)
  const got = await gateway.chat({ max_tokens: 20 }, { key })
  expect(got.status).toBe(200)
  expect(got.headers['x-ratelimit-remaining-requests']).toBe('48')
  expect((await gateway.chat({ max_tokens: 1_000 }, { key })).text).toContain('0.00012 of 0.001 CNY spent')
  expect((await gateway.chat({}, { key: gone })).error.message).toContain('revoked')
})

test('no secret is found in files, logs, metrics and answers after the one that showed it', async () => {
  const made = await askKeys(gateway, 'POST', '', { name: 'web' })
  const rotated = await askKeys(gateway, 'POST', '/web/rotate', { overlap: '1h' })
  const secrets = [String(made.json['key']), String(rotated.json['key'])]
  const texts: string[] = []
  for (const key of secrets) {
    for (const body of [{}, { model: 'none' }, { messages: 7 }])
      texts.push((await gateway.chat(body, { key })).text)
    texts.push((await ask(`${gateway.url}/v1/models`, { key })).text)
  }
  for (const path of ['', '/web', '/none']) texts.push((await askKeys(gateway, 'GET', path)).text)
  for (const [method, path] of [
    ['PATCH', '/web'],
    ['POST', '/web/revoke'],
  ] as const)
    texts.push((await askKeys(gateway, method, path, {})).text)
  for (const key of secrets) texts.push((await gateway.chat({}, { key })).text)
  for (const path of ['/budgets', '/requests?limit=500', '/usage?group_by=key'])
    texts.push(JSON.stringify(await gateway.admin(path)))
  texts.push(await gateway.metrics())
  await gateway.kill('SIGTERM')
  texts.push(gateway.output())
  const names = readdirSync(gateway.folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(gateway.folder, join(entry.parentPath, entry.name)))
  for (const name of names) texts.push(readFileSync(join(gateway.folder, name), 'latin1'))
  expect(names).toContain('sluice.db.secret')
  for (const secret of secrets)
    for (const text of texts) expect(text.includes(secret.slice(14)), text.slice(0, 200)).toBe(false)
})

test('the secret that was made is readable by its owner alone, and the same at the next start', async () => {
  const file = join(gateway.folder, 'sluice.db.secret')
  const first = readFileSync(file, 'utf8')
  expect(first.trim()).toMatch(/^[0-9a-f]{64}$/)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  await restart()
  expect(readFileSync(file, 'utf8')).toBe(first)
})

test('under another secret keys of the file work, those of the store do not, and the log says why', async () => {
  const key = await makeKey(gateway, 'web')
  await restart({ secret: 'another-secret-0123456789' })
  expect((await gateway.chat()).status).toBe(200)
  expect((await gateway.chat({}, { key })).status).toBe(401)
  expect(gateway.output()).toContain('keys.other_secret')
  const next = await askKeys(gateway, 'POST', '/web/rotate')
  expect((await gateway.chat({}, { key: String(next.json['key']) })).status).toBe(200)
  await restart()
  expect((await gateway.chat({}, { key: KEY })).status).toBe(200)
  expect((await gateway.chat({}, { key })).status).toBe(200)
})

test('a gateway does not start when its file has a key of a name in the store', async () => {
  await makeKey(gateway, 'web')
  await gateway.close({ keepFolder: true })
  const failed = await startChildGateway({
    config: config({ keys: [{ name: 'web', key: KEY }] }),
    folder: gateway.folder,
  }).catch((error: unknown) => String(error))
  expect(failed).toContain('keys[0].name: is that of a key in the store')
})

test('what a crash cut off is charged to the budget of its key, where only the hold knew a price', async () => {
  await gateway.close()
  const unpriced = configOf({
    providers: { a: upstream.baseUrl },
    targets: ['a/new', { target: 'a/dear', priority: 1 }],
    prices: { 'a/dear': priceOf('20', '80') },
    over: { unpriced: 'bound' },
  })
  gateway = await startChildGateway({ config: unpriced })
  const key = await makeKey(gateway, 'web', { max_budget: '1' })
  upstream.script({ steps: [ROLE_EVENT, contentEvent('half')], ending: 'hang' })
  await (await gateway.chatStream({ max_tokens: 20 }, { key })).until('half')
  await gateway.kill('SIGKILL')
  gateway = await startChildGateway({ config: unpriced, folder: gateway.folder })
  const { data } = (await gateway.admin('/budgets')) as { data: { id: string; budget: { spent: string } }[] }
  const { total } = (await gateway.admin('/usage')) as { total: { cost: string } }
  expect(Number(total.cost)).toBeGreaterThan(0)
  expect(data).toMatchObject([{ id: 'key:web', budget: { spent: total.cost } }])
})
