// A Redis Cluster on loopback: masters that share the slots, with replicas where asked, and slots that move.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { slotOf } from '#store/redis/slots.ts'
import { freePort, type RedisServer, sendRedisCommand, startRedis } from './redis-server.ts'

const SLOTS = 16_384
const FORM_TIMEOUT_MS = 20_000
const POLL_MS = 50
const MIGRATED_KEYS = 100

export interface RedisCluster {
  /** `redis-cluster://` with all masters. */
  readonly url: string
  /** As they run now. */
  readonly masters: readonly RedisServer[]
  /** One of each master, where there are any. */
  readonly replicas: readonly RedisServer[]
  /** The master that serves the slot of this key by the plan made at the start; moves are not followed. */
  masterOf(key: string): RedisServer
  /** Starts a master that was killed, where it was and with what it had. */
  restart(master: RedisServer): Promise<void>
  /** Moves the slot of a key, its keys included. `between`: runs while it is half moved. */
  moveSlot(key: string, from: RedisServer, to: RedisServer, between?: () => Promise<void>): Promise<void>
  flush(): Promise<void>
  stop(): Promise<void>
}

export interface RedisClusterOptions {
  readonly masters?: number
  readonly hasReplicas?: boolean
  /** A slot that nobody serves stops the whole cluster, as is Redis' default. */
  readonly needsAllSlots?: boolean
  /** Where clients are told to find a node that listens at this port; there by default. */
  readonly announce?: (port: number) => Promise<number>
}

interface NodePlace {
  readonly folder: string
  readonly bus: number
  readonly announced: number
  readonly args: readonly string[]
}

export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const count = options.masters ?? 3
  const root = mkdtempSync(join(tmpdir(), 'sluice-cluster-'))
  const places = new Map<number, NodePlace>()
  const start = async (): Promise<RedisServer> => {
    const [port, bus] = [await freePort(), await freePort()]
    const announced = (await options.announce?.(port)) ?? port
    const folder = mkdtempSync(join(root, 'node-'))
    const place = {
      folder,
      bus,
      announced,
      args: nodeArguments(bus, announced, options.needsAllSlots === true),
    }
    const server = await startRedis({ ...place, port, appendOnly: true })
    places.set(server.port, place)
    return server
  }
  const masters = await Promise.all(Array.from({ length: count }, start))
  const replicas = options.hasReplicas === true ? await Promise.all(masters.map(start)) : []
  const all = [...masters, ...replicas]
  const [first] = masters
  if (first === undefined) throw new Error('a cluster has a master')
  const firstOf = (index: number): number => Math.floor((index * SLOTS) / count)
  for (const [index, master] of masters.entries()) {
    const range = `${firstOf(index)} ${firstOf(index + 1) - 1}`
    await expectOk(master, `CLUSTER ADDSLOTSRANGE ${range}`)
    await expectOk(master, `CLUSTER SET-CONFIG-EPOCH ${index + 1}`)
  }
  for (const node of all.slice(1))
    await expectOk(node, `CLUSTER MEET 127.0.0.1 ${first.port} ${places.get(first.port)?.bus}`)
  await untilAll(all, async (node) => {
    const info = await sendRedisCommand(node.url, 'CLUSTER INFO')
    const nodes = await sendRedisCommand(node.url, 'CLUSTER NODES')
    return (
      nodes.includes(`127.0.0.1:${places.get(node.port)?.announced}@`) &&
      info.includes(`cluster_known_nodes:${all.length}`) &&
      info.includes(`cluster_slots_assigned:${SLOTS}`)
    )
  })
  const ids = new Map<number, string>()
  for (const node of all) ids.set(node.port, lastLine(await sendRedisCommand(node.url, 'CLUSTER MYID')))
  for (const [index, replica] of replicas.entries()) {
    const master = masters[index]
    if (master !== undefined) await expectOk(replica, `CLUSTER REPLICATE ${ids.get(master.port)}`)
  }
  await untilAll(all, async (node) =>
    (await sendRedisCommand(node.url, 'CLUSTER INFO')).includes('cluster_state:ok'),
  )
  await untilAll(replicas, async (node) =>
    (await sendRedisCommand(node.url, 'INFO replication')).includes('master_link_status:up'),
  )
  const masterOf = (key: string): RedisServer => {
    const index = masters.findIndex((_, at) => slotOf(key) < firstOf(at + 1))
    return masters[index] ?? first
  }
  return {
    url: `redis-cluster://${masters.map(({ port }) => `127.0.0.1:${places.get(port)?.announced}`).join(',')}`,
    masters,
    replicas,
    masterOf,
    async restart(master) {
      const place = places.get(master.port)
      const server = await startRedis({ ...place, port: master.port, appendOnly: true })
      masters[masters.findIndex(({ port }) => port === master.port)] = server
    },
    async moveSlot(key, from, to, between) {
      const slot = slotOf(key)
      await expectOk(to, `CLUSTER SETSLOT ${slot} IMPORTING ${ids.get(from.port)}`)
      await expectOk(from, `CLUSTER SETSLOT ${slot} MIGRATING ${ids.get(to.port)}`)
      await between?.()
      const redis = new Redis(from.url)
      try {
        for (;;) {
          const keys = (await redis.cluster('GETKEYSINSLOT', slot, MIGRATED_KEYS)) as string[]
          if (keys.length === 0) break
          await redis.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...keys)
        }
      } finally {
        redis.disconnect()
      }
      // The new owner first, so that no moment has none.
      const others = masters.filter(({ port }) => port !== to.port && port !== from.port)
      for (const node of [to, from, ...others])
        await expectOk(node, `CLUSTER SETSLOT ${slot} NODE ${ids.get(to.port)}`)
    },
    async flush() {
      for (const master of masters) await expectOk(master, 'FLUSHALL')
    },
    async stop() {
      await Promise.all([...masters, ...replicas].map((node) => node.kill()))
      rmSync(root, { recursive: true, force: true })
    },
  }
}

function nodeArguments(bus: number, announced: number, needsAllSlots: boolean): readonly string[] {
  return [
    ...['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '1000'],
    ...['--cluster-announce-ip', '127.0.0.1', '--cluster-announce-port', String(announced)],
    ...['--cluster-require-full-coverage', needsAllSlots ? 'yes' : 'no'],
    ...['--repl-diskless-sync-delay', '0', '--cluster-replica-validity-factor', '0'],
  ]
}

async function expectOk(node: RedisServer, command: string): Promise<void> {
  const reply = await sendRedisCommand(node.url, command)
  if (reply !== '+OK') throw new Error(`${command}: ${reply}`)
}

async function untilAll(
  nodes: readonly RedisServer[],
  holds: (node: RedisServer) => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + FORM_TIMEOUT_MS
  for (const node of nodes) {
    while (!(await holds(node))) {
      if (performance.now() > deadline) throw new Error('the cluster did not form in time')
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }
}

function lastLine(reply: string): string {
  return reply.split('\r\n').at(-1) ?? ''
}
