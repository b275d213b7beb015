// The driver decides nothing, however Redis is run: what was sent is sent once, and what could not be sent is not kept.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { RedisConnection } from '#store/redis/connection.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import {
  freePort,
  type RedisServer,
  sendRedisCommand,
  startRedis,
  startRedisProcess,
} from '../support/redis-server.ts'

const SEED = 7
const KEY = '{sluice}:counted'

/** A server behind a proxy, as it is found by whoever is given the URL. */
interface Found {
  readonly url: string
  readonly server: RedisServer
  readonly proxy: FaultProxy
  stop(): Promise<void>
}

async function standalone(): Promise<Found> {
  const server = await startRedis()
  const proxy = await startFaultProxy(server.port, SEED)
  return { url: `redis://127.0.0.1:${proxy.port}`, server, proxy, stop: () => server.stop() }
}

async function sentinel(): Promise<Found> {
  const { server, proxy } = await standalone()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-sentinel-'))
  const [port, path] = [await freePort(), join(folder, 'sentinel.conf')]
  writeFileSync(
    path,
    `port ${port}\nbind 127.0.0.1\ndir ${folder}\nsentinel monitor ledger 127.0.0.1 ${proxy.port} 1\n`,
  )
  const watching = await startRedisProcess(port, [path, '--sentinel'])
  return {
    url: `redis-sentinel://127.0.0.1:${port}/ledger`,
    server,
    proxy,
    async stop() {
      await watching.stop()
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function cluster(): Promise<Found> {
  let proxy: FaultProxy | null = null
  const running = await startRedisCluster({
    masters: 1,
    async announce(port) {
      proxy = await startFaultProxy(port, SEED)
      return proxy.port
    },
  })
  const [server] = running.masters
  if (server === undefined || proxy === null) throw new Error('there is one')
  return { url: running.url, server, proxy, stop: () => running.stop() }
}

describe.each([
  ['on Redis', standalone],
  ['with Sentinel', sentinel],
  ['in a Cluster', cluster],
])('%s', (_, start) => {
  let found: Found | null = null
  let connection: RedisConnection | null = null

  afterEach(async () => {
    connection?.close()
    found?.server.resume()
    await found?.proxy.stop()
    await found?.stop()
  })

  async function connect(): Promise<{ readonly redis: Found; readonly ours: RedisConnection }> {
    const redis = await start()
    found = redis
    const ours = new RedisConnection({ url: redis.url, commandTimeoutMs: 500 })
    connection = ours
    expect(await ours.run((client) => client.incr(KEY))).toBe(1)
    return { redis, ours }
  }

  const isBack = (ours: RedisConnection): Promise<string | null> =>
    ours.run((client) => client.get(KEY)).catch(() => null)

  test('fault 68: a command whose reply is lost is not sent again', async () => {
    const { redis, ours } = await connect()
    redis.proxy.dropReplies(1)
    const sent = [
      ours.run((client) => client.incr(KEY)),
      ours.script('probe-3', ['{sluice}:1', '{sluice}:2', '{sluice}:3'], []),
      ours.run(async (client) => client.pipeline().incrby(KEY, 10).exec().then(firstOf)),
    ]
    for (const answer of await Promise.allSettled(sent)) expect(answer.status).toBe('rejected')
    redis.proxy.dropReplies(0)
    await expect.poll(() => isBack(ours), { timeout: 10_000 }).not.toBeNull()
    // Each once, at most: the second may have found the connection gone.
    expect(['2', '12']).toContain(await isBack(ours))
  })

  test('fault 66: a command that came too late is answered to nobody, and what followed is not kept', async () => {
    const { redis, ours } = await connect()
    redis.server.pause()
    await expect(ours.run((client) => client.incr(KEY))).rejects.toMatchObject({ trouble: 'unanswered' })
    // The proxy takes connections, and the server behind it says nothing: these never leave.
    redis.proxy.reset()
    for (let round = 0; round < 5; round += 1)
      await expect(ours.run((client) => client.incrby(KEY, 100), 100)).rejects.toThrow('Redis is unavailable')
    redis.server.resume()
    await expect.poll(() => isBack(ours), { timeout: 10_000 }).not.toBeNull()
    expect(await isBack(ours)).toBe('2')
    expect(await sendRedisCommand(redis.server.url, `GET ${KEY}`)).toContain('2')
  })
})

/** The first result of a pipeline, or its error. */
function firstOf(results: readonly [Error | null, unknown][] | null): unknown {
  const [error, value] = results?.[0] ?? [new Error('no results'), null]
  if (error !== null) throw error
  return value
}
