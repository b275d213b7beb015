// Slots that move and masters that die: commands follow them, each row counts once, and only the tenants of a dead
// shard notice.

import { afterEach, expect, test } from 'vitest'
import { lookAtRedis } from '#store/redis/probe.ts'
import { slotOf } from '#store/redis/slots.ts'
import { type RedisCluster, type RedisClusterOptions, startRedisCluster } from '../support/redis-cluster.ts'
import { sendRedisCommand } from '../support/redis-server.ts'
import { openShipping, type Shipping } from '../support/shipping.ts'

const LEDGER = '{sluice}'

let redis: RedisCluster
let rows: Shipping

async function open(options: RedisClusterOptions = {}): Promise<void> {
  redis = await startRedisCluster(options)
  rows = openShipping({ url: redis.url })
}

afterEach(async () => {
  await rows.close()
  await redis.stop()
})

const tryTag = (tag: string): Promise<unknown> =>
  rows.connection.script('probe-3', [`{${tag}}:1`, `{${tag}}:2`, `{${tag}}:3`], [])

/** A tag of a tenant on each master, in the order of `masters`. */
function tenants(): readonly string[] {
  return redis.masters.map((master) => {
    const names = Array.from({ length: 1_000 }, (_, index) => `org:tenant-${index}`)
    const own = names.find((name) => redis.masterOf(`{${name}}`) === master)
    if (own === undefined) throw new Error('no tenant of this master')
    return own
  })
}

test('fault 75: a slot that moves under load is followed there and back', { timeout: 60_000 }, async () => {
  await open()
  rows.write(60)
  await rows.expectAllOnce()
  const home = redis.masterOf(LEDGER)
  const [other] = redis.masters.filter((master) => master !== home)
  if (other === undefined) throw new Error('there are three')
  const load = rows.load()
  for (const [from, to] of [
    [home, other],
    [other, home],
  ] as const) {
    await redis.moveSlot(LEDGER, from, to, async () => {
      // Half moved: what is there is answered by the old master, what is not is asked of the next; a script with keys
      // here and there waits.
      expect(await rows.connection.run((client) => client.exists(`${LEDGER}:rows`))).toBe(1)
      expect(await rows.connection.run((client) => client.get(`${LEDGER}:nothing`))).toBeNull()
      await expect(tryTag('sluice')).rejects.toThrow('Redis is unavailable')
    })
    const shipped = await sendRedisCommand(to.url, 'XLEN {sluice}:rows')
    await expect
      .poll(() => sendRedisCommand(to.url, 'XLEN {sluice}:rows'), { timeout: 20_000 })
      .not.toBe(shipped)
  }
  await load.stop()
  await rows.expectAllOnce()
})

test('fault 73: scripts flushed on every node, and in the middle of a move, are sent again', async () => {
  await open()
  let isOver = false
  const flushing = (async () => {
    while (!isOver) for (const master of redis.masters) await sendRedisCommand(master.url, 'SCRIPT FLUSH')
  })()
  const load = rows.load()
  const home = redis.masterOf(LEDGER)
  const [other] = redis.masters.filter((master) => master !== home)
  if (other === undefined) throw new Error('there are three')
  for (let round = 0; round < 10; round += 1)
    await Promise.all(tenants().flatMap((tag) => [tryTag(tag), tryTag(tag)]))
  await redis.moveSlot(LEDGER, home, other)
  await load.stop()
  isOver = true
  await flushing
  await rows.expectAllOnce()
})

test('fault 77: with one shard down only what lies there waits, and it comes back', {
  timeout: 60_000,
}, async () => {
  await open()
  rows.write(60)
  await rows.expectAllOnce()
  const dead = redis.masterOf(LEDGER)
  const [away, ...there] = tenants().toSorted(
    (left, right) =>
      Number(redis.masterOf(`{${right}}`) === dead) - Number(redis.masterOf(`{${left}}`) === dead),
  )
  await dead.kill()
  rows.write(60)
  await rows.until((state) => !state.isUp, 'it is noticed')
  await expect(tryTag(away ?? '')).rejects.toThrow('Redis is unavailable')
  for (let round = 0; round < 3; round += 1)
    for (const tag of there) expect(await tryTag(tag)).toBeTypeOf('number')
  await redis.restart(dead)
  await rows.expectAllOnce()
  expect(await tryTag(away ?? '')).toBeTypeOf('number')
})

test('fault 77: a replica takes over from a master that dies, and rows go on', {
  timeout: 60_000,
}, async () => {
  await open({ hasReplicas: true, needsAllSlots: true })
  rows.write(60)
  await rows.expectAllOnce()
  const dead = redis.masterOf(LEDGER)
  const offset = async (url: string) =>
    /master_repl_offset:(\d+)/.exec(await sendRedisCommand(url, 'INFO replication'))?.[1]
  const replica = redis.replicas[redis.masters.indexOf(dead)]
  if (replica === undefined) throw new Error('each has one')
  await expect
    .poll(async () => (await offset(dead.url)) === (await offset(replica.url)), { timeout: 20_000 })
    .toBe(true)
  await dead.kill()
  rows.write(60)
  await rows.until((state) => !state.isUp, 'it is noticed')
  await rows.expectAllOnce()
  expect(await sendRedisCommand(replica.url, `CLUSTER COUNTKEYSINSLOT ${slotOf(LEDGER)}`)).not.toBe(':0')
  expect(await sendRedisCommand(replica.url, 'INFO replication')).toContain('role:master')
})

test('fault 71: every master of a cluster is looked at', async () => {
  await open()
  expect([...(await lookAtRedis(rows.connection)).risks]).toEqual([])
  const last = redis.masters.at(-1)
  if (last === undefined) throw new Error('there are three')
  await sendRedisCommand(last.url, 'CONFIG SET maxmemory-policy volatile-lru')
  expect([...(await lookAtRedis(rows.connection)).risks]).toEqual([
    ['evicts', `maxmemory-policy volatile-lru on 127.0.0.1:${last.port}`],
  ])
})

test('a cluster with a slot that nobody serves says so', async () => {
  await open({ needsAllSlots: true })
  rows.write(6)
  await rows.expectAllOnce()
  const [first] = redis.masters.filter((master) => master !== redis.masterOf(LEDGER))
  if (first === undefined) throw new Error('there are three')
  await first.kill()
  await expect
    .poll(() => tryTag('sluice').then(() => '', String), { timeout: 20_000 })
    .toContain('cluster is down')
})
