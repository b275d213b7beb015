// The ledger of record over a fleet: it survives what happens to Redis and to the instance that keeps it, and is asked from
// anywhere.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import { ADMIN_TOKEN, eventually, type LocalGateway, type TestGateway } from '../support/gateway.ts'
import { ask } from '../support/http-client.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { openRedisFleet, type RedisFleet } from '../support/redis-fleet.ts'
import { sendRedisCommand } from '../support/redis-server.ts'

let fleet: RedisFleet

beforeEach(async () => {
  fleet = await openRedisFleet()
})

afterEach(() => fleet.close())

async function send(
  gateway: TestGateway,
  count: number,
  body: Record<string, unknown> = {},
): Promise<string[]> {
  const ids: string[] = []
  for (let sent = 0; sent < count; sent += 1) {
    const got = await gateway.chat(body)
    expect(got.status, got.text).toBe(200)
    ids.push(got.headers['x-request-id'] ?? '')
  }
  return ids
}

async function totalOf(gateway: TestGateway, query = ''): Promise<Record<string, unknown>> {
  const got = await ask(`${gateway.url}/admin/v1/usage${query}`, { key: ADMIN_TOKEN })
  return got.status === 200 ? (got.json['total'] as Record<string, unknown>) : {}
}

async function expectTotal(gateway: TestGateway, requests: number, query = ''): Promise<void> {
  let total: Record<string, unknown> = {}
  await eventually(async () => {
    total = await totalOf(gateway, query)
    return Number(total['requests']) >= requests
  }, `${requests} requests in the report`)
  expect(total).toMatchObject({ requests, attempts: requests })
  expect(Math.round(Number(total['cost']) * 1e9)).toBe(requests * 60_000)
}

const scrape = async (gateway: TestGateway) => readScrape(await gateway.metrics())
const isArchive = async (gateway: TestGateway): Promise<boolean> =>
  (await scrape(gateway)).sum('sluice_archive_holder') === 1
const isCaughtUp = async (gateway: TestGateway): Promise<boolean> =>
  (await scrape(gateway)).sum('sluice_journal_rows') === 0

/** An instance that archives, and one that does not. */
async function startTwo(over: object = {}): Promise<readonly [archive: LocalGateway, other: LocalGateway]> {
  const archive = await fleet.start(over)
  await eventually(() => isArchive(archive), 'the first instance archives')
  return [archive, await fleet.start(over)]
}

async function loadOn(gateways: readonly TestGateway[]): Promise<{ stop(): Promise<number> }> {
  let isOver = false
  let sent = 0
  const running = gateways.map(async (gateway) => {
    while (!isOver) {
      await send(gateway, 1)
      sent += 1
    }
  })
  return {
    async stop() {
      isOver = true
      await Promise.all(running)
      return sent
    },
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test('fault 72: a Redis that is flushed under load is written anew from the archive, and every row counts once', async () => {
  const gateways = await startTwo()
  const load = await loadOn(gateways)
  for (let round = 0; round < 2; round += 1) {
    await pause(1_500)
    expect(await sendRedisCommand(fleet.redis.url, 'FLUSHALL')).toBe('+OK')
  }
  await pause(1_500)
  const sent = await load.stop()
  for (const gateway of gateways) await expectTotal(gateway, sent)
  for (const gateway of gateways) await expectTotal(gateway, sent, '?group_by=user')
  expect(gateways[0].logs.some(({ event }) => event === 'store.founded')).toBe(true)
})

test('fault 73: scripts that are flushed again and again are sent again, and every row counts once', async () => {
  const gateways = await startTwo()
  const load = await loadOn(gateways)
  for (let round = 0; round < 50; round += 1) {
    expect(await sendRedisCommand(fleet.redis.url, 'SCRIPT FLUSH')).toBe('+OK')
    await pause(20)
  }
  await expectTotal(gateways[1], await load.stop())
})

test('seed 38: a Redis that was lost and comes back empty has all rows again, once', async () => {
  const [archive, other] = await startTwo()
  await send(archive, 4)
  await send(other, 5)
  await expectTotal(other, 9)
  await expectTotal(archive, 9, '?group_by=user')
  await fleet.restartEmpty()
  await send(other, 2)
  for (const gateway of [archive, other]) await expectTotal(gateway, 11)
})

test('seed 53: the total of usage is that of budgets and the sum of the ledger', async () => {
  const [archive, other] = await startTwo()
  await send(archive, 3)
  await send(other, 4)
  await expectTotal(other, 7)
  const rows = (await other.admin('/requests?limit=500'))['data'] as { cost: string }[]
  const ledger = rows.reduce((sum, { cost }) => sum + Math.round(Number(cost) * 1e9), 0)
  expect(ledger).toBe(7 * 60_000)
  for (const by of ['model', 'key', 'target', 'user', 'provider'])
    await expectTotal(other, 7, `?group_by=${by}`)
})

test('any instance tells of users and of rows that have left Redis, which only the archive knows', async () => {
  const [archive, other] = await startTwo({ ledger: { redis_rows: '1s' } })
  const ids = [...(await send(archive, 3, { user: 'ann' })), ...(await send(other, 2, { user: 'bob' }))]
  await eventually(() => isCaughtUp(other), 'all rows are shipped')
  await untilTrimmed(other)
  const got = await ask(`${other.url}/admin/v1/usage?group_by=user`, { key: ADMIN_TOKEN })
  const rows = got.json['data'] as { user: string; requests: number }[]
  expect(rows.map(({ user, requests }) => [user, requests])).toEqual(
    expect.arrayContaining([
      ['ann', 3],
      ['bob', 2],
    ]),
  )
  for (const reader of [archive, other]) {
    const listed = await ask(`${reader.url}/admin/v1/requests?limit=500`, { key: ADMIN_TOKEN })
    const found = (listed.json['data'] as { id: string }[]).map((row) => row.id)
    expect(found, listed.text).toEqual(expect.arrayContaining(ids))
    for (const id of ids) expect((await reader.detail(id)).outcome).toBe('success')
    const unknown = await ask(`${reader.url}/admin/v1/requests/req_nobody`, { key: ADMIN_TOKEN })
    expect(unknown.status, unknown.text).toBe(404)
  }
})

/** Rows go with the next shipment after their time. */
async function untilTrimmed(gateway: TestGateway): Promise<void> {
  await eventually(async () => {
    await send(gateway, 1)
    await pause(300)
    const from = await sendRedisCommand(fleet.redis.url, 'HGET {sluice}:meta rows_from_ms')
    return !from.startsWith('$-1')
  }, 'rows have left Redis')
}

test('without an archive rows that have left Redis are gone, and it is said why', async () => {
  const over = { ledger: { redis_rows: '1s', archive: 'off' } }
  const [one, two] = [await fleet.start(over), await fleet.start(over)]
  const [id = ''] = await send(one, 1)
  await eventually(() => isCaughtUp(one), 'all rows are shipped')
  await untilTrimmed(two)
  const detail = await ask(`${two.url}/admin/v1/requests/${id}`, { key: ADMIN_TOKEN })
  expect([detail.status, detail.error.code], detail.text).toEqual([410, 'gone'])
  expect(detail.error.message).toMatch(/redis_rows.*archive/)
  const list = await ask(`${two.url}/admin/v1/requests`, { key: ADMIN_TOKEN })
  expect(list.status).toBe(200)
  const older = await ask(`${two.url}/admin/v1/requests?cursor=${String(list.json['next_cursor'])}`, {
    key: ADMIN_TOKEN,
  })
  expect([older.status, older.error.code], older.text).toEqual([410, 'gone'])
  expect(Number((await totalOf(two))['requests'])).toBeGreaterThan(1)
})

test('another instance takes over from an archive that was killed, and says what it lacks', async () => {
  const first = await fleet.startChild()
  await eventually(() => isArchive(first), 'the first instance archives')
  const old = await send(first, 4)
  const second = await fleet.start({})
  await send(second, 3)
  await expectTotal(second, 7)
  await first.kill('SIGKILL')
  const meanwhile = await ask(`${second.url}/admin/v1/usage?group_by=user`, { key: ADMIN_TOKEN })
  expect([200, 202, 503]).toContain(meanwhile.status)
  await eventually(() => isArchive(second), 'the second instance archives')
  await send(second, 2)
  await expectTotal(second, 9)
  for (const id of old) expect((await second.detail(id)).outcome).toBe('success')
  expect(second.logs.some(({ event }) => event === 'archive.adopted')).toBe(true)
  // It counts what it took over: a flush loses nothing.
  expect(await sendRedisCommand(fleet.redis.url, 'FLUSHALL')).toBe('+OK')
  await send(second, 1)
  await expectTotal(second, 10)
})

test('a frozen Redis hangs no question, and one to an archive that is frozen with it ends', async () => {
  const [, other] = await startTwo()
  await send(other, 2)
  await expectTotal(other, 2)
  fleet.redis.pause()
  for (const path of ['/usage', '/usage?group_by=user', '/requests/req_of-another']) {
    const startedMs = performance.now()
    const got = await ask(`${other.url}/admin/v1${path}`, { key: ADMIN_TOKEN })
    expect(got.status, got.text).toBe(503)
    expect(Number(got.headers['retry-after'])).toBeGreaterThan(0)
    expect(performance.now() - startedMs).toBeLessThan(20_000)
  }
  fleet.redis.resume()
  await expectTotal(other, 2)
})

test('a Redis that lost its last rows gets them again, and only those', async () => {
  const [archive, other] = await startTwo()
  await send(other, 3)
  await expectTotal(other, 3)
  await eventually(() => isCaughtUp(other), 'all rows are shipped')
  const restore = await fleet.snapshot()
  await send(other, 4)
  await send(archive, 2)
  await expectTotal(other, 9)
  await restore()
  for (const gateway of [archive, other]) await expectTotal(gateway, 9)
  await expectTotal(other, 9, '?group_by=user')
})

test('requests that run are listed on every instance', async () => {
  const [archive, other] = await startTwo()
  let release = (): void => undefined
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  fleet.upstream.script(async (request) => {
    await released
    return answer('ok')(request)
  })
  const running = other.chat()
  for (const reader of [archive, other]) {
    await eventually(async () => {
      const rows = (await reader.admin('/requests'))['data'] as { outcome: string }[]
      return rows.some(({ outcome }) => outcome === 'open')
    }, 'the running request is listed')
  }
  release()
  expect((await running).status).toBe(200)
})
