// Redis in each way in which it is run, for suites that must hold on all of them.

import { startRedisCluster } from './redis-cluster.ts'
import { startRedisSentinels } from './redis-sentinel.ts'
import { sendRedisCommand, startRedis } from './redis-server.ts'

export interface RunningRedis {
  readonly url: string
  flush(): Promise<void>
  stop(): Promise<void>
}

export interface RedisTopology {
  readonly name: string
  start(): Promise<RunningRedis>
}

export const REDIS_TOPOLOGIES: readonly RedisTopology[] = [
  {
    name: 'Redis',
    async start() {
      const server = await startRedis()
      return { url: server.url, flush: () => flushAll(server.url), stop: () => server.stop() }
    },
  },
  {
    name: 'Redis Sentinel',
    async start() {
      const running = await startRedisSentinels()
      return { url: running.url, flush: () => flushAll(running.master.url), stop: () => running.stop() }
    },
  },
  {
    name: 'Redis Cluster',
    start: () => startRedisCluster(),
  },
]

async function flushAll(url: string): Promise<void> {
  await sendRedisCommand(url, 'FLUSHALL')
}
