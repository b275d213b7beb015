import { afterAll, beforeAll } from 'vitest'
import { AdmissionDesk } from '#store/admission/desk.ts'
import type { PursePort } from '#store/admission/lease-words.ts'
import { createRedisPurses } from '#store/redis/purses.ts'
import { FleetInstance, RowLedger } from '../support/fleet-instances.ts'
import { realClock } from '../support/real-clock.ts'
import { type RedisServer, sendRedisCommand, startRedis } from '../support/redis-server.ts'
import { admissionContract } from './admission.contract.ts'

let redis: RedisServer
let port: PursePort

beforeAll(async () => {
  redis = await startRedis()
  port = createRedisPurses({ url: redis.url })
})

afterAll(async () => {
  port.close()
  await redis.stop()
})

admissionContract('in memory', async (scopes, spent = {}) => {
  const desk = new AdmissionDesk(realClock)
  for (const scope of desk.unseeded(scopes))
    desk.seed(scope, [{ amountNano: spent[scope.id] ?? 0n, atMs: Date.now() }])
  return { desk, close: async () => {} }
})

admissionContract('in Redis', async (scopes, spent = {}) => {
  await sendRedisCommand(redis.url, 'FLUSHALL')
  const ledger = new RowLedger(spent)
  const instance = new FleetInstance('one', { port, ledger, scopes: () => scopes })
  return { desk: instance.desk, close: () => instance.keeper.close(1_000) }
})

admissionContract('in Redis, beside another instance that has had leases', async (scopes, spent = {}) => {
  await sendRedisCommand(redis.url, 'FLUSHALL')
  const parts = { port, ledger: new RowLedger(spent), scopes: () => scopes }
  const [other, instance] = [new FleetInstance('other', parts), new FleetInstance('one', parts)]
  await other.desk.refresh(scopes)
  const turning = setInterval(() => {
    other.turn()
    instance.turn()
  }, 50)
  return {
    desk: instance.desk,
    async close() {
      clearInterval(turning)
      await instance.keeper.close(1_000)
      await other.keeper.close(1_000)
    },
  }
})
