import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRedisKeyStore } from '#store/redis/key-store.ts'
import { type RedisServer, sendRedisCommand, startRedis } from '../support/redis-server.ts'
import { REDIS_TOPOLOGIES, type RunningRedis } from '../support/redis-topologies.ts'
import { storedKey } from '../support/stored-keys.ts'
import { keyStoreContract } from './key-store.contract.ts'

let server: RedisServer
let database = 0

beforeAll(async () => {
  server = await startRedis()
  await sendRedisCommand(server.url, 'CONFIG SET maxmemory-policy noeviction')
})

afterAll(() => server.stop())

let lives = 0
const makeLife = (): string => `life-${++lives}`

/** A database of its own; there are sixteen. */
async function openStore() {
  database = (database + 1) % 16
  const url = `${server.url}/${database}`
  await sendRedisCommand(server.url, `SELECT ${database}\r\nFLUSHDB`)
  return createRedisKeyStore({ url, makeLife })
}

describe.each(REDIS_TOPOLOGIES)('on $name', ({ start }) => {
  let redis: RunningRedis

  beforeAll(async () => {
    redis = await start()
  })

  afterAll(() => redis.stop())

  keyStoreContract('Redis', async () => {
    await redis.flush()
    const store = createRedisKeyStore({ url: redis.url, makeLife })
    return { store, close: () => store.close() }
  })
})

test('all that were told no secret share the first one that was proposed', async () => {
  const first = await openStore()
  const second = createRedisKeyStore({ url: `${server.url}/${database}`, makeLife })
  expect(await first.secret('one')).toBe('one')
  expect(await second.secret('two')).toBe('one')
  await first.close()
  await second.close()
})

test('scripts that the server forgot are sent again', async () => {
  const store = await openStore()
  await store.create(storedKey())
  await sendRedisCommand(server.url, 'SCRIPT FLUSH')
  expect(await store.replace(storedKey({ version: 2 }))).toBe('written')
  await store.close()
})

test('a server that is gone is said to be unavailable', async () => {
  const other = await startRedis()
  const store = createRedisKeyStore({ url: other.url, makeLife, commandTimeoutMs: 500 })
  await store.create(storedKey())
  await other.kill()
  await expect(store.get('key_0001')).rejects.toThrow('Redis is unavailable')
  await store.close()
  await other.stop()
})

test('several thousand keys are read whole, in parts', async () => {
  const store = await openStore()
  // One connection for all that follows at once.
  expect((await store.changes(null)).keys).toEqual([])
  const count = 2_500
  const ids = Array.from({ length: count }, (_, index) => `key_${String(index).padStart(6, '0')}`)
  await Promise.all(ids.map((id) => store.create(storedKey({ id, name: id }))))
  const { keys } = await store.changes(null)
  expect(keys.map((key) => key.id).toSorted()).toEqual(ids)
  await store.close()
})
