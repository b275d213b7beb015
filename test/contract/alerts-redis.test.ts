// One alert of a fleet is told by one instance, and listed by all.

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { BudgetAlert } from '#core/alerts.ts'
import type { Nano } from '#core/money.ts'
import { createRedisAlerts } from '#store/redis/alerts.ts'
import { RedisConnection } from '#store/redis/connection.ts'
import { type RedisServer, sendRedisCommand, startRedis } from '../support/redis-server.ts'

let redis: RedisServer
let connection: RedisConnection

beforeAll(async () => {
  redis = await startRedis()
  connection = new RedisConnection({ url: redis.url })
})
beforeEach(() => sendRedisCommand(redis.url, 'FLUSHALL'))
afterAll(async () => {
  connection.close()
  await redis.stop()
})

const alert = (id: string, atMs = 1_790_000_000_000): BudgetAlert => ({
  id,
  atMs,
  kind: 'team',
  name: '增长 "x"',
  threshold: '80',
  amountNano: (2n ** 60n) as Nano,
  spentNano: 7n as Nano,
  periodStartMs: null,
  periodEndMs: null,
  usedUpAtMs: null,
})

test('whoever is first tells it, again after its own end, and nobody else does', async () => {
  const [one, two, three] = ['one', 'two', 'three'].map((name) => createRedisAlerts(connection, name))
  const claims = await Promise.all([one, two, three].map((instance) => instance?.claim(alert('a'))))
  expect(claims.filter((isOurs) => isOurs)).toHaveLength(1)
  const again = await Promise.all([one, two, three].map((instance) => instance?.claim(alert('a', 9))))
  expect(again).toEqual(claims)
})

test('all are listed newest first, page by page, with when the webhook took them', async () => {
  const alerts = createRedisAlerts(connection, 'one')
  for (let index = 0; index < 5; index++) await alerts.claim(alert(`team:a ${index} 80`, 1_000 + index))
  await alerts.delivered('team:a 3 80', 5_000)
  const first = await alerts.list(3, null)
  expect(first.rows).toEqual([
    { ...alert('team:a 4 80', 1_004), deliveredAtMs: null },
    { ...alert('team:a 3 80', 1_003), deliveredAtMs: 5_000 },
    { ...alert('team:a 2 80', 1_002), deliveredAtMs: null },
  ])
  const second = await alerts.list(3, first.nextCursor)
  expect(second.rows.map(({ id }) => id)).toEqual(['team:a 1 80', 'team:a 0 80'])
  expect(second.nextCursor).toBeNull()
  await expect(alerts.list(3, 'x')).rejects.toThrow(RangeError)
})
