import { createRedisStore } from '#store/redis/store.ts'
import { startRedis } from '../support/redis-server.ts'
import { storeContract } from './store.contract.ts'

storeContract('Redis', async () => {
  const server = await startRedis()
  const store = createRedisStore({ url: server.url })
  return {
    store,
    async close() {
      await store.close()
      await server.stop()
    },
  }
})
