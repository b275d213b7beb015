// Three gateways in processes of their own, on one Redis, over one upstream.

import { type ChildGateway, KEY, startChildGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import type { RawUpstream } from '../support/raw-upstream.ts'
import { type RedisServer, startRedis } from '../support/redis-server.ts'
import { temporaryFolder } from '../support/sqlite-ledger.ts'

export interface Three {
  readonly gateways: readonly ChildGateway[]
  readonly redis: RedisServer
  /** Starts a Redis that was killed, where it was. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** `limits`: of the one key that all use. */
export async function startThree(upstream: RawUpstream, limits: object, over: object = {}): Promise<Three> {
  const folder = temporaryFolder()
  const keeping = { appendOnly: true, folder: folder.path } as const
  let redis = await startRedis(keeping)
  const start = (): Promise<ChildGateway> =>
    startChildGateway({
      config: configOf({
        providers: { up: upstream.baseUrl },
        prices: { 'up/*': priceOf('2', '8') },
        over: { keys: [{ name: 'tester', key: KEY, ...limits }], ...over },
      }),
      env: { SLUICE_STORE: redis.url },
    })
  const gateways = [await start(), await start(), await start()]
  return {
    gateways,
    get redis() {
      return redis
    },
    async restart() {
      redis = await startRedis({ ...keeping, port: Number(new URL(redis.url).port) })
    },
    async close() {
      for (const gateway of gateways) await gateway.close()
      await redis.stop()
      folder.remove()
    },
  }
}
