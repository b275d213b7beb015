// Gateways that share one Redis, over an upstream that answers "ok".

import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { answer } from './chat-bytes.ts'
import { type ChildGateway, type LocalGateway, startChildGateway, startLocalGateway } from './gateway.ts'
import { configOf } from './gateway-config.ts'
import { type RawUpstream, startRawUpstream } from './raw-upstream.ts'
import { type RedisServer, startRedis } from './redis-server.ts'
import { temporaryFolder } from './sqlite-ledger.ts'

/** Where a server keeps its log of commands. */
const AOF = 'appendonlydir'

export interface RedisFleet {
  readonly upstream: RawUpstream
  /** The one that runs now; it keeps what it has over a restart. */
  readonly redis: RedisServer
  /** `over`: what its configuration says beside the usual. `store`: another way to the same Redis. */
  readonly start: (over?: object, store?: string) => Promise<LocalGateway>
  /** In a process of its own, in `folder`. */
  readonly startChild: (folder?: string, over?: object) => Promise<ChildGateway>
  /** Starts a Redis that was stopped, where it was. */
  readonly restart: () => Promise<void>
  /** The server dies, and one that has nothing takes its place. */
  readonly restartEmpty: () => Promise<void>
  /** Keeps what Redis has now. Returns how to kill it and bring that back, as after a fail-over with a lag. */
  readonly snapshot: () => Promise<() => Promise<void>>
  readonly close: () => Promise<void>
}

export async function openRedisFleet(): Promise<RedisFleet> {
  const folder = temporaryFolder()
  const upstream = await startRawUpstream(answer('ok'))
  const keeping = { appendOnly: true, folder: folder.path } as const
  let redis = await startRedis(keeping)
  const gateways: { close(): Promise<unknown> }[] = []
  const kept = <Gateway extends { close(): Promise<unknown> }>(gateway: Gateway): Gateway => {
    gateways.push(gateway)
    return gateway
  }
  const options = (over: object, store = redis.url) => ({
    config: configOf({ providers: { up: upstream.baseUrl }, over: { ...over } }),
    env: { SLUICE_STORE: store },
  })
  return {
    upstream,
    get redis() {
      return redis
    },
    start: async (over = {}, store) => kept(await startLocalGateway(options(over, store))),
    startChild: async (path, over = {}) =>
      kept(await startChildGateway({ ...options(over), ...(path === undefined ? {} : { folder: path }) })),
    async restart() {
      redis = await startRedis({ ...keeping, port: Number(new URL(redis.url).port) })
    },
    async restartEmpty() {
      await redis.kill()
      rmSync(join(folder.path, AOF), { recursive: true, force: true })
      redis = await startRedis({ ...keeping, port: Number(new URL(redis.url).port) })
    },
    async snapshot() {
      cpSync(join(folder.path, AOF), join(folder.path, 'kept'), { recursive: true })
      return async () => {
        await redis.kill()
        rmSync(join(folder.path, AOF), { recursive: true, force: true })
        renameSync(join(folder.path, 'kept'), join(folder.path, AOF))
        redis = await startRedis({ ...keeping, port: Number(new URL(redis.url).port) })
      }
    },
    async close() {
      redis.resume()
      for (const gateway of gateways) await gateway.close()
      await redis.stop()
      await upstream.close()
      folder.remove()
    },
  }
}
