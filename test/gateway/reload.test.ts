// The configuration file changes while the gateway runs: what is valid holds for the next request, what is not
// changes nothing and is told.

import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { answer, contentEvent, DONE, FINISH_EVENT, ROLE_EVENT } from '../support/chat-bytes.ts'
import { ADMIN_TOKEN, eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { type ConfigParts, configOf, openAiCompatible, priceOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

let first: RawUpstream
let second: RawUpstream
let gateway: LocalGateway

const config = (parts: Partial<ConfigParts> = {}): Record<string, unknown> =>
  configOf({ providers: { a: first.baseUrl, b: second.baseUrl }, targets: ['a/x'], ...parts })

beforeEach(async () => {
  first = await startRawUpstream(answer('from a'))
  second = await startRawUpstream(answer('from b'))
  gateway = await startLocalGateway({ config: config() })
})

afterEach(async () => {
  await gateway.close()
  await first.close()
  await second.close()
})

const reloads = (): number => gateway.logs.filter((line) => line.event === 'settings.reloaded').length
const failures = (): number => gateway.logs.filter((line) => line.event === 'settings.reload_failed').length

async function apply(next: Record<string, unknown>): Promise<void> {
  const before = reloads()
  gateway.configure(next)
  await eventually(() => reloads() > before, 'the new configuration is in force')
}

test('a valid change holds for new requests, and a running stream ends on the old one', async () => {
  const release = Promise.withResolvers<void>()
  first.script({
    steps: [ROLE_EVENT, contentEvent('old'), () => release.promise, contentEvent(' end'), FINISH_EVENT, DONE],
  })
  const stream = await gateway.chatStream()
  await stream.until('old')
  await apply(
    config({ targets: ['b/x'], prices: { 'a/*': priceOf('200', '200'), 'b/*': priceOf('1', '1') } }),
  )
  const got = await gateway.chat()
  expect(got.headers['x-sluice-target']).toBe('b/x')
  expect(got.headers['x-sluice-cost']).toBe('0.000015 CNY')
  release.resolve()
  await stream.ended
  expect(stream.text().endsWith(DONE)).toBe(true)
  const detail = await gateway.detail(stream.headers['x-request-id'] ?? '')
  expect(detail).toMatchObject({ outcome: 'success' })
  expect(detail.attempts[0]).toMatchObject({ target: 'a/x' })
  expect(detail.attempts[0]?.cost?.lines[0]?.price).toBe('2')
})

test('a file that replaces the old one, as editors do, is seen', async () => {
  const before = reloads()
  const beside = join(gateway.folder, 'new.yaml')
  writeFileSync(beside, JSON.stringify(config({ targets: ['b/x'] })))
  renameSync(beside, join(gateway.folder, 'sluice.yaml'))
  await eventually(() => reloads() > before, 'the new configuration is in force')
  expect((await gateway.chat()).headers['x-sluice-target']).toBe('b/x')
})

test('no request is lost while the configuration changes under load', async () => {
  let isOver = false
  const statuses = new Map<number, number>()
  const targets = new Set<string>()
  const load = Array.from({ length: 6 }, async () => {
    while (!isOver) {
      const got = await gateway.chat({ stream: Math.random() < 0.5 })
      statuses.set(got.status, (statuses.get(got.status) ?? 0) + 1)
      targets.add(got.headers['x-sluice-target'] ?? '')
    }
  })
  for (let round = 0; round < 4; round += 1)
    await apply(config({ targets: [round % 2 === 0 ? 'b/x' : 'a/x'] }))
  isOver = true
  await Promise.all(load)
  expect([...statuses.keys()]).toEqual([200])
  expect(targets).toEqual(new Set(['a/x', 'b/x']))
})

test.each([
  ['is no YAML', '{ providers: ['],
  ['has an unknown setting', JSON.stringify({ serverr: {} })],
  ['is empty', ''],
])('a file that %s changes nothing, is logged with its problems and counted', async (_what, text) => {
  const before = failures()
  gateway.configure(text)
  await eventually(() => failures() > before, 'the refusal is logged')
  const line = gateway.logs.findLast((candidate) => candidate.event === 'settings.reload_failed')
  expect(line).toMatchObject({
    level: 'error',
    fields: { problems: expect.arrayContaining([expect.objectContaining({ message: expect.any(String) })]) },
  })
  const metrics = readScrape(await gateway.metrics())
  expect(metrics.sum('sluice_settings_reload_failures_total')).toBe(failures())
  expect((await gateway.chat()).headers['x-sluice-target']).toBe('a/x')
  await apply(config({ targets: ['b/x'] }))
  expect((await gateway.chat()).headers['x-sluice-target']).toBe('b/x')
})

test('a new provider key is sent from the next request on, and opens what the old one had closed', async () => {
  const accepted = 'sk-new-upstream-0123456789'
  first.script((request) =>
    request.headers['authorization'] === `Bearer ${accepted}`
      ? answer('let in')(request)
      : { status: 401, framing: 'length', steps: ['{"error":{"message":"no","code":"invalid_api_key"}}'] },
  )
  const refused = await gateway.chat()
  expect([refused.status, refused.error.code]).toEqual([502, 'upstream_auth'])
  await apply(
    config({
      providers: { a: { ...openAiCompatible(first.baseUrl), api_key: accepted }, b: second.baseUrl },
    }),
  )
  const got = await gateway.chat()
  expect([got.status, got.headers['x-sluice-attempts']]).toEqual([200, '1'])
})

test('keys and models come and go', async () => {
  const other = 'sk-other-0123456789'
  const body = { model: 'late', messages: [{ role: 'user', content: 'x' }] }
  const asOther = () => ask(`${gateway.url}/v1/chat/completions`, { key: other, body })
  expect((await asOther()).status).toBe(401)
  await apply(
    config({
      models: { late: { policy: 'p', targets: ['a/x'] } },
      over: { keys: [{ name: 'other', key: other }] },
    }),
  )
  expect((await asOther()).status).toBe(200)
  expect((await gateway.chat()).status).toBe(401)
})

test('what needs a restart is said, and does not break what runs', async () => {
  await apply(config({ over: { server: { host: '127.0.0.1', port: 1, drain_ms: 600 } } }))
  const line = gateway.logs.find((candidate) => candidate.event === 'settings.needs_restart')
  expect(line?.fields).toEqual({ setting: 'server' })
  expect((await gateway.chat()).status).toBe(200)
})

test('the admin token can be changed', async () => {
  await apply(config({ over: { admin: { token: 'another-admin-token-01' } } }))
  expect((await ask(`${gateway.url}/admin/v1/usage`, { key: ADMIN_TOKEN })).status).toBe(401)
  expect((await ask(`${gateway.url}/admin/v1/usage`, { key: 'another-admin-token-01' })).status).toBe(200)
  expect((await ask(`${gateway.url}/v1/models`, { key: KEY })).status).toBe(200)
})
