// Keys that several gateways share over Redis.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { askKeys, makeKey } from '../support/admin-keys.ts'
import { eventually, type LocalGateway } from '../support/gateway.ts'
import { openRedisFleet, type RedisFleet } from '../support/redis-fleet.ts'
import { sendRedisCommand } from '../support/redis-server.ts'

let fleet: RedisFleet

beforeEach(async () => {
  fleet = await openRedisFleet()
})

afterEach(() => fleet.close())

const statusOf = async (gateway: LocalGateway, key: string): Promise<number> =>
  (await gateway.chat({ max_tokens: 20 }, { key })).status

async function becomes(gateway: LocalGateway, key: string, status: number): Promise<void> {
  await eventually(
    async () => (await statusOf(gateway, key)) === status,
    `the key is answered with ${status}`,
  )
}

test('what one instance writes holds on the others, though nobody told them a secret', async () => {
  const [first, second] = [await fleet.start(), await fleet.start()]
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
  const third = await fleet.start()
  expect((await third.chat({}, { key: String(rotated.json['key']) })).error.message).toContain('revoked')
})

test('Redis is asked for neither requests nor keys that were read; writes say that it is down', async () => {
  const gateway = await fleet.start()
  const key = await makeKey(gateway, 'web')
  await fleet.redis.kill()
  await eventually(() => gateway.logs.some(({ event }) => event === 'keys.unread'), 'it is noticed')
  expect([await statusOf(gateway, key), (await gateway.chat()).status]).toEqual([200, 200])
  const got = await askKeys(gateway, 'POST', '', { name: 'other' })
  expect([got.status, got.error.code]).toEqual([503, 'store_unavailable'])
  await fleet.restart()
  await eventually(() => gateway.logs.some(({ event }) => event === 'keys.read'), 'it is back')
  expect(await statusOf(gateway, key)).toBe(200)
})

test('a gateway that starts without Redis lets keys of its file in, and the others when it has read them', async () => {
  const first = await fleet.start()
  const key = await makeKey(first, 'web')
  await fleet.redis.kill()
  const second = await fleet.start()
  expect((await second.chat()).status).toBe(200)
  const early = await second.chat({}, { key })
  expect([early.status, early.error.code]).toEqual([503, 'store_unavailable'])
  await fleet.restart()
  await becomes(second, key, 200)
  expect((await second.chat()).status).toBe(200)
})

test('a Redis that was emptied has no keys, and takes new ones', async () => {
  const [first, second] = [await fleet.start(), await fleet.start()]
  const key = await makeKey(first, 'web')
  await becomes(second, key, 200)
  expect(await sendRedisCommand(fleet.redis.url, 'FLUSHALL')).toBe('+OK')
  await becomes(first, key, 401)
  await becomes(second, key, 401)
  const next = await makeKey(second, 'web')
  await becomes(first, next, 200)
})

test('no secret is in Redis', async () => {
  const gateway = await fleet.start({ secret: 'told-to-all-0123456789' })
  const key = await makeKey(gateway, 'web')
  const kept = await sendRedisCommand(fleet.redis.url, 'HVALS {sluice}:keys')
  expect(kept).toMatch(/^\*1/)
  const names = await sendRedisCommand(fleet.redis.url, 'KEYS *')
  for (const text of [kept, names]) {
    expect(text).not.toContain(key.slice(14))
    expect(text).not.toContain('told-to-all')
  }
  expect(names).not.toContain('{sluice}:secret')
})
