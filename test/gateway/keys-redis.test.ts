// Keys that several gateways share over Redis.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { askKeys, makeKey } from '../support/admin-keys.ts'
import { answer } from '../support/chat-bytes.ts'
import { eventually, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { type RedisServer, sendRedisCommand, startRedis } from '../support/redis-server.ts'
import { temporaryFolder } from '../support/sqlite-ledger.ts'

let upstream: RawUpstream
let redis: RedisServer
let folder: ReturnType<typeof temporaryFolder>
let gateways: LocalGateway[]

beforeEach(async () => {
  gateways = []
  folder = temporaryFolder()
  upstream = await startRawUpstream(answer('ok'))
  redis = await startRedis({ appendOnly: true, folder: folder.path })
})

afterEach(async () => {
  redis.resume()
  for (const gateway of gateways) await gateway.close()
  await redis.stop()
  await upstream.close()
  folder.remove()
})

async function start(over = {}): Promise<LocalGateway> {
  const gateway = await startLocalGateway({
    config: configOf({ providers: { up: upstream.baseUrl }, over }),
    env: { SLUICE_STORE: redis.url },
  })
  gateways.push(gateway)
  return gateway
}

const statusOf = async (gateway: LocalGateway, key: string): Promise<number> =>
  (await gateway.chat({ max_tokens: 20 }, { key })).status

async function becomes(gateway: LocalGateway, key: string, status: number): Promise<void> {
  await eventually(
    async () => (await statusOf(gateway, key)) === status,
    `the key is answered with ${status}`,
  )
}

test('what one instance writes holds on the others, though nobody told them a secret', async () => {
  const [first, second] = [await start(), await start()]
  const key = await makeKey(first, 'web', { rpm: 100, max_budget: '1' })
  expect(await statusOf(first, key)).toBe(200)
  await becomes(second, key, 200)
  expect((await askKeys(second, 'GET', '/web')).json).toMatchObject({ name: 'web', rpm: 100 })
  const rotated = await askKeys(second, 'POST', '/web/rotate', { overlap: 0 })
  await becomes(first, key, 401)
  await becomes(first, String(rotated.json['key']), 200)
  await askKeys(first, 'POST', '/web/revoke')
  await becomes(second, String(rotated.json['key']), 401)
  const taken = await askKeys(second, 'POST', '', { name: 'web' })
  expect(taken.status).toBe(409)
  const third = await start()
  expect((await third.chat({}, { key: String(rotated.json['key']) })).error.message).toContain('revoked')
})

test('Redis is asked for neither requests nor keys that were read; writes say that it is down', async () => {
  const gateway = await start()
  const key = await makeKey(gateway, 'web')
  await redis.kill()
  await eventually(() => gateway.logs.some(({ event }) => event === 'keys.unread'), 'it is noticed')
  expect([await statusOf(gateway, key), (await gateway.chat()).status]).toEqual([200, 200])
  const got = await askKeys(gateway, 'POST', '', { name: 'other' })
  expect([got.status, got.error.code]).toEqual([503, 'store_unavailable'])
  redis = await startRedis({ appendOnly: true, folder: folder.path, port: Number(new URL(redis.url).port) })
  await eventually(() => gateway.logs.some(({ event }) => event === 'keys.read'), 'it is back')
  expect(await statusOf(gateway, key)).toBe(200)
})

test('a gateway that starts without Redis lets keys of its file in, and the others when it has read them', async () => {
  const first = await start()
  const key = await makeKey(first, 'web')
  await redis.kill()
  const second = await start()
  expect((await second.chat()).status).toBe(200)
  const early = await second.chat({}, { key })
  expect([early.status, early.error.code]).toEqual([503, 'store_unavailable'])
  redis = await startRedis({ appendOnly: true, folder: folder.path, port: Number(new URL(redis.url).port) })
  await becomes(second, key, 200)
  expect((await second.chat()).status).toBe(200)
})

test('a Redis that was emptied has no keys, and takes new ones', async () => {
  const [first, second] = [await start(), await start()]
  const key = await makeKey(first, 'web')
  await becomes(second, key, 200)
  expect(await sendRedisCommand(redis.url, 'FLUSHALL')).toBe('+OK')
  await becomes(first, key, 401)
  await becomes(second, key, 401)
  const next = await makeKey(second, 'web')
  await becomes(first, next, 200)
})

test('no secret is in Redis', async () => {
  const gateway = await start({ secret: 'told-to-all-0123456789' })
  const key = await makeKey(gateway, 'web')
  const kept = await sendRedisCommand(redis.url, 'HVALS {sluice}:keys')
  expect(kept).toMatch(/^\*1/)
  const names = await sendRedisCommand(redis.url, 'KEYS *')
  for (const text of [kept, names]) {
    expect(text).not.toContain(key.slice(14))
    expect(text).not.toContain('told-to-all')
  }
  expect(names).not.toContain('{sluice}:secret')
})
