// Several gateways on one Redis, and a Redis that dies, freezes, forgets and comes back: requests go on, rows wait,
// and each counts once.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { ADMIN_TOKEN, eventually, type TestGateway } from '../support/gateway.ts'
import { ask } from '../support/http-client.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { openRedisFleet, type RedisFleet } from '../support/redis-fleet.ts'
import { sendRedisCommand } from '../support/redis-server.ts'

/** 10 × 2 / 10⁶ + 5 × 8 / 10⁶ */
const COST_NANO = 60_000

let fleet: RedisFleet

beforeEach(async () => {
  fleet = await openRedisFleet()
})

afterEach(() => fleet.close())

async function send(gateway: TestGateway, count: number): Promise<string[]> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_, index) => gateway.chat({ stream: index % 2 === 0 })),
  )
  for (const got of answers) expect(got.status, got.text).toBe(200)
  return answers.map((got) => got.headers['x-request-id'] ?? '')
}

async function expectTotal(gateway: TestGateway, requests: number): Promise<void> {
  let total: Record<string, unknown> = {}
  await eventually(async () => {
    const got = await ask(`${gateway.url}/admin/v1/usage`, { key: ADMIN_TOKEN })
    if (got.status === 200) total = got.json['total'] as Record<string, unknown>
    return Number(total['requests']) >= requests
  }, `${requests} requests in the report`)
  expect(total).toMatchObject({
    requests,
    attempts: requests,
    input_tokens: requests * 10,
    output_tokens: requests * 5,
    estimated_attempts: 0,
  })
  expect(Math.round(Number(total['cost']) * 1e9)).toBe(requests * COST_NANO)
}

const scrape = async (gateway: TestGateway) => readScrape(await gateway.metrics())

/** Sends until the metrics say that the store is down. */
async function sendUntilDown(gateway: TestGateway): Promise<number> {
  let sent = 0
  await eventually(async () => {
    sent += (await send(gateway, 4)).length
    return (await scrape(gateway)).sum('sluice_store_up') === 0
  }, 'the store is said to be down')
  return sent
}

const isCaughtUp = async (gateway: TestGateway): Promise<boolean> => {
  const metrics = await scrape(gateway)
  return metrics.sum('sluice_store_up') === 1 && metrics.sum('sluice_journal_rows') === 0
}

test('usage and requests of each instance are read from any other', async () => {
  const [first, second] = [await fleet.start(), await fleet.start()]
  const ids = [...(await send(first, 6)), ...(await send(second, 4))]
  for (const reader of [first, second]) {
    await expectTotal(reader, 10)
    const rows = (await reader.admin('/requests?limit=500'))['data'] as { id: string }[]
    expect(rows.map((row) => row.id).toSorted()).toEqual(ids.toSorted())
    for (const id of ids)
      expect(await reader.detail(id)).toMatchObject({ outcome: 'success', cost: '0.00006' })
  }
})

test.each([
  ['dies', () => fleet.redis.kill(), () => fleet.restart()],
  ['freezes', async () => fleet.redis.pause(), async () => fleet.redis.resume()],
])(
  'when Redis %s requests go on, rows wait, and each counts once when it is back',
  async (_what, fail, recover) => {
    const gateway = await fleet.start()
    let sent = (await send(gateway, 5)).length
    await expectTotal(gateway, sent)
    await fail()
    sent += await sendUntilDown(gateway)
    sent += (await send(gateway, 10)).length
    expect((await scrape(gateway)).sum('sluice_journal_rows')).toBeGreaterThan(0)
    const report = await ask(`${gateway.url}/admin/v1/usage`, { key: ADMIN_TOKEN })
    expect([report.status, report.error.code]).toEqual([503, 'store_unavailable'])
    expect(Number(report.headers['retry-after'])).toBeGreaterThan(0)
    await recover()
    await eventually(() => isCaughtUp(gateway), 'all rows are shipped')
    await expectTotal(gateway, sent)
    const events = gateway.logs.map((line) => line.event)
    expect(events).toContain('store.down')
    expect(events.lastIndexOf('store.up')).toBeGreaterThan(events.indexOf('store.down'))
  },
)

test('when Redis is away an instance still tells of its own requests', async () => {
  const gateway = await fleet.start()
  const before = await send(gateway, 3)
  await eventually(() => isCaughtUp(gateway), 'all rows are shipped')
  await fleet.redis.kill()
  const ids = [...before, ...(await send(gateway, 2))]
  for (const id of ids) {
    const startedMs = performance.now()
    const got = await ask(`${gateway.url}/admin/v1/requests/${id}`, { key: ADMIN_TOKEN })
    expect(got.status, got.text).toBe(200)
    expect(got.json).toMatchObject({ id, outcome: 'success', cost: '0.00006' })
    expect(performance.now() - startedMs).toBeLessThan(1_500)
  }
  const list = await ask(`${gateway.url}/admin/v1/requests`, { key: ADMIN_TOKEN })
  expect(list.status).toBe(200)
  expect((list.json['data'] as { id: string }[]).map((row) => row.id).toSorted()).toEqual(ids.toSorted())
  expect(list.json['partial']).toMatch(/this instance only/)
  const unknown = await ask(`${gateway.url}/admin/v1/requests/req_of-another`, { key: ADMIN_TOKEN })
  expect(unknown.status).toBe(503)
})

test('under load through several deaths each request counts once', async () => {
  const gateway = await fleet.start()
  let isOver = false
  let sent = 0
  const load = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      await send(gateway, 1)
      sent += 1
    }
  })
  for (let round = 0; round < 3; round += 1) {
    const target = sent + 40
    await eventually(() => sent >= target, 'load goes on')
    await fleet.redis.kill()
    const later = sent + 40
    await eventually(() => sent >= later, 'load goes on without Redis')
    await fleet.restart()
    await eventually(async () => (await scrape(gateway)).sum('sluice_store_up') === 1, 'the store is back')
  }
  isOver = true
  await Promise.all(load)
  await expectTotal(gateway, sent)
})

test('a quiet gateway does not look like one whose store is down', async () => {
  const gateway = await fleet.start()
  expect((await scrape(gateway)).sum('sluice_store_up')).toBe(1)
})

test('a gateway starts without Redis, serves, and ships when Redis comes', async () => {
  await fleet.redis.kill()
  const gateway = await fleet.start()
  await send(gateway, 5)
  await fleet.restart()
  await expectTotal(gateway, 5)
})

test('rows of a gateway that was killed while Redis was away are shipped by its next start, once', async () => {
  const first = await fleet.startChild()
  await send(first, 4)
  await expectTotal(first, 4)
  await fleet.redis.kill()
  const waiting = await sendUntilDown(first)
  await first.kill('SIGKILL')
  await fleet.restart()
  const second = await fleet.startChild(first.folder)
  await expectTotal(second, 4 + waiting)
  await second.kill('SIGTERM')
  const third = await fleet.startChild(first.folder)
  await expectTotal(third, 4 + waiting)
})

test('scripts that Redis has forgotten are sent again', async () => {
  const gateway = await fleet.start()
  await send(gateway, 3)
  await expectTotal(gateway, 3)
  expect(await sendRedisCommand(fleet.redis.url, 'SCRIPT FLUSH')).toBe('+OK')
  await send(gateway, 3)
  await expectTotal(gateway, 6)
})

test('a Redis that was emptied has the rows of before again, and takes those that follow', async () => {
  const gateway = await fleet.start()
  await send(gateway, 3)
  await expectTotal(gateway, 3)
  await eventually(() => isCaughtUp(gateway), 'all rows are shipped')
  expect(await sendRedisCommand(fleet.redis.url, 'FLUSHALL')).toBe('+OK')
  const ids = await send(gateway, 2)
  await expectTotal(gateway, 5)
  for (const id of ids) expect((await gateway.detail(id)).outcome).toBe('success')
})
