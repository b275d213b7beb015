// A master that dies, freezes or is demoted: the sentinels name another one, and rows go on there.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { StoreUnavailableError } from '#store/errors.ts'
import { lookAtRedis } from '#store/redis/probe.ts'
import { type RedisSentinels, startRedisSentinels } from '../support/redis-sentinel.ts'
import { sendRedisCommand } from '../support/redis-server.ts'
import { openShipping, type Shipping } from '../support/shipping.ts'

const PATIENCE = { timeout: 20_000 }

let redis: RedisSentinels
let rows: Shipping

beforeEach(async () => {
  redis = await startRedisSentinels()
  rows = openShipping({ url: redis.url })
})

afterEach(async () => {
  await rows.close()
  await redis.stop()
})

/** What a replica has not got when its master dies is gone; here it has all. */
async function settled(): Promise<void> {
  await rows.expectAllOnce()
  const { master, replica } = redis
  const offset = async (url: string): Promise<string | undefined> =>
    /master_repl_offset:(\d+)/.exec(await sendRedisCommand(url, 'INFO replication'))?.[1]
  await expect
    .poll(async () => (await offset(master.url)) === (await offset(replica.url)), PATIENCE)
    .toBe(true)
}

test.each([
  ['dies', () => redis.master.kill()],
  ['freezes', async () => redis.master.pause()],
])(
  'fault 69: when the master %s, rows go on with the replica that is promoted, each once',
  { timeout: 60_000 },
  async (_, fail) => {
    rows.write(60)
    await settled()
    await fail()
    rows.write(60)
    await rows.until((state) => !state.isUp, 'it is noticed')
    await redis.promoted()
    await rows.expectAllOnce()
    expect(await sendRedisCommand(redis.replica.url, 'EXISTS {sluice}:rows')).toBe(':1')
    const { risks } = await lookAtRedis(rows.connection)
    expect(risks.get('forgets')).toContain(`127.0.0.1:${redis.replica.port}`)
  },
)

test('fault 69: a master that has become a replica takes no writes, and rows go to the new one', {
  timeout: 60_000,
}, async () => {
  rows.write(60)
  await settled()
  const [sentinel] = redis.sentinels
  await sendRedisCommand(sentinel?.url ?? '', `SENTINEL FAILOVER ${redis.name}`)
  await redis.promoted()
  // As the sentinels will, some seconds later.
  await sendRedisCommand(redis.master.url, `REPLICAOF 127.0.0.1 ${redis.replica.port}`)
  rows.write(60)
  await rows.expectAllOnce()
  expect(await sendRedisCommand(redis.replica.url, 'XLEN {sluice}:rows')).toBe(':120')
})

test('sentinels that know no such master are told from sentinels that are away', async () => {
  const other = openShipping({ url: redis.url.replace(/\/ledger$/, '/ledgr') })
  const error = await lookAtRedis(other.connection).catch((cause: unknown) => cause)
  await other.close()
  expect(error).toBeInstanceOf(StoreUnavailableError)
  expect(error).toMatchObject({ trouble: 'misconfigured' })
  expect(String(error)).toContain('know no master of the name')
})
