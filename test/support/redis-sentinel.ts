// A Redis master with a replica, watched by three sentinels, all on loopback.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  freePort,
  type RedisServer,
  sendRedisCommand,
  startRedis,
  startRedisProcess,
} from './redis-server.ts'

const SENTINELS = 3
const QUORUM = 2
const DOWN_AFTER_MS = 500
const START_TIMEOUT_MS = 20_000
const POLL_MS = 50

export interface RedisSentinels {
  /** `redis-sentinel://` with all sentinels. */
  readonly url: string
  readonly name: string
  /** Of the start; after a failover the replica is the master. */
  readonly master: RedisServer
  readonly replica: RedisServer
  readonly sentinels: readonly RedisServer[]
  /** Waits until the sentinels name the replica, and it takes writes. */
  promoted(): Promise<void>
  stop(): Promise<void>
}

export async function startRedisSentinels(): Promise<RedisSentinels> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-sentinel-'))
  const name = 'ledger'
  const master = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
  const sentinels = await Promise.all(
    Array.from({ length: SENTINELS }, async (_, index) => {
      const port = await freePort()
      const path = join(folder, `sentinel-${index}.conf`)
      writeFileSync(path, configOf(port, name, master.port, folder))
      return startRedisProcess(port, [path, '--sentinel'])
    }),
  )
  await until(async () => {
    const replication = await sendRedisCommand(replica.url, 'INFO replication')
    if (!replication.includes('master_link_status:up')) return false
    for (const sentinel of sentinels) {
      const state = await sendRedisCommand(sentinel.url, `SENTINEL MASTER ${name}`)
      if (!holds(state, 'num-slaves', '1') || !holds(state, 'num-other-sentinels', String(SENTINELS - 1)))
        return false
    }
    return true
  }, 'the sentinels know each other and the replica')
  return {
    url: `redis-sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${name}`,
    name,
    master,
    replica,
    sentinels,
    promoted: () =>
      until(async () => {
        const role = await sendRedisCommand(replica.url, 'INFO replication')
        if (!role.includes('role:master')) return false
        const [sentinel] = sentinels
        if (sentinel === undefined) return false
        const address = await sendRedisCommand(sentinel.url, `SENTINEL GET-MASTER-ADDR-BY-NAME ${name}`)
        return address.includes(String(replica.port))
      }, 'the replica is promoted'),
    async stop() {
      master.resume()
      await Promise.all([...sentinels, master, replica].map((server) => server.stop()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function configOf(port: number, name: string, masterPort: number, folder: string): string {
  return [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${name} 127.0.0.1 ${masterPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${name} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${name} 3000`,
    `sentinel parallel-syncs ${name} 1`,
    '',
  ].join('\n')
}

/** A field of a flat list of names and values, as RESP writes it. */
function holds(reply: string, field: string, value: string): boolean {
  return new RegExp(`\\r\\n${field}\\r\\n\\$\\d+\\r\\n${value}\\r\\n`).test(`${reply}\r\n`)
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
