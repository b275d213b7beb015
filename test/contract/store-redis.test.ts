import { afterAll, beforeAll, describe } from 'vitest'
import { createRedisStore } from '#store/redis/store.ts'
import { REDIS_TOPOLOGIES, type RunningRedis } from '../support/redis-topologies.ts'
import { storeContract } from './store.contract.ts'

describe.each(REDIS_TOPOLOGIES)('on $name', ({ start }) => {
  let redis: RunningRedis

  beforeAll(async () => {
    redis = await start()
  })

  afterAll(() => redis.stop())

  storeContract('Redis', async () => {
    const store = createRedisStore({ url: redis.url })
    return {
      store,
      async close() {
        await store.close()
        await redis.flush()
      },
    }
  })
})
