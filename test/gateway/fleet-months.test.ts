// A month is closed over gateways that share one Redis: one is cut off meanwhile, Redis is flushed, all are started anew.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { monthOf, startOfMonthMs } from '#core/months.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import {
  ADMIN_TOKEN,
  type ChildGateway,
  eventually,
  startChildGateway,
  type TestGateway,
} from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { attemptRow, openAttempt, openRequest, requestRow } from '../support/ledger-rows.ts'
import { openRedisFleet, type RedisFleet } from '../support/redis-fleet.ts'
import { sendRedisCommand } from '../support/redis-server.ts'
import { openLedger } from '../support/sqlite-ledger.ts'

const ZONE = 'Asia/Shanghai'
const thisMonthMs = startOfMonthMs(ZONE, monthOf(ZONE, Date.now())) ?? 0
const LAST_MS = thisMonthMs - 1_000
const MONTH = monthOf(ZONE, LAST_MS)
const CLOSE = `/admin/v1/months/${MONTH}/close`

let fleet: RedisFleet
let proxy: FaultProxy
let folders: string[]
let children: ChildGateway[]

beforeEach(async () => {
  fleet = await openRedisFleet()
  proxy = await startFaultProxy(Number(new URL(fleet.redis.url).port), 20_261_125)
  folders = []
  children = []
})

afterEach(async () => {
  for (const child of children) await child.close({ keepFolder: true })
  await proxy.stop()
  await fleet.close()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-months-'))
  folders.push(folder)
  return folder
}

async function start(folder: string, store = fleet.redis.url, over: object = {}): Promise<ChildGateway> {
  const child = await startChildGateway({
    folder,
    config: configOf({
      providers: { up: fleet.upstream.baseUrl },
      over: { keys: [{ name: 'tester', key: 'sk-test-0123456789', max_budget: '100' }], ...over },
    }),
    env: { SLUICE_STORE: store },
  })
  children.push(child)
  return child
}

/** Rows of last month in a journal that no gateway has. */
function writeLastMonth(folder: string, ...ids: readonly string[]): void {
  const path = join(folder, 'journal.db')
  const ledger = openLedger(path, { shipping: true, makeInstance: () => crypto.randomUUID() })
  for (const id of ids) {
    const who = { key: 'tester', tags: {}, user: 'ann', model: 'm' }
    const attempt = { requestId: id, startedAtMs: LAST_MS, durationMs: 10, target: 'up/x', ...who }
    const request = { id, timeMs: LAST_MS, ...who }
    ledger.journal.open(openRequest(request), openAttempt(attempt), () => {})
    ledger.journal.attempt(attemptRow(attempt))
    ledger.journal.request(requestRow(request), () => {})
  }
  ledger.close()
}

const reportOf = async (gateway: TestGateway): Promise<string> =>
  (await ask(`${gateway.url}/admin/v1/months/${MONTH}/report`, { key: ADMIN_TOKEN })).text
const close = (gateway: TestGateway) =>
  ask(`${gateway.url}${CLOSE}`, { key: ADMIN_TOKEN, method: 'POST', body: { author: 'Mei' } })
/** Not while the ledger is written anew. */
const monthsOf = async (gateway: TestGateway) => {
  const got = await ask(`${gateway.url}/admin/v1/months`, { key: ADMIN_TOKEN })
  const months = (got.json['data'] ?? []) as { month: string; status: string }[]
  return months.filter(({ status }) => status === 'closed')
}
async function totalOf(gateway: TestGateway, query = ''): Promise<Record<string, unknown>> {
  const got = await ask(`${gateway.url}/admin/v1/usage?group_by=${query}`, { key: ADMIN_TOKEN })
  return got.status === 200 ? (got.json['total'] as Record<string, unknown>) : {}
}
const untilTotal = (gateway: TestGateway, requests: number, query = '') =>
  eventually(async () => (await totalOf(gateway, query))['requests'] === requests, `${requests} requests`)
const spentOf = async (gateway: TestGateway): Promise<unknown> =>
  ((await gateway.admin('/budgets'))['data'] as { name: string; budget: { spent: string } }[]).find(
    ({ name }) => name === 'tester',
  )?.budget.spent

const LAST = `&to=${encodeURIComponent(new Date(thisMonthMs).toISOString())}`

test('a month is closed for all, and keeps its report byte by byte over a cut, a flush and restarts', async () => {
  const [first, second] = [newFolder(), newFolder()]
  const before = await start(first)
  await eventually(async () => (await before.metrics()).includes('sluice_archive_holder 1'), 'it archives')
  await before.close({ keepFolder: true })
  writeLastMonth(first, 'a1', 'a2')
  const archive = await start(first)
  await untilTotal(archive, 2)
  const url = `redis://127.0.0.1:${proxy.port}`
  let other = await start(second, url, { ledger: { archive: 'off' } })
  await eventually(
    async () => (await sendRedisCommand(fleet.redis.url, 'ZCARD {sluice}:waiters')).trim() === ':2',
    'both instances are heard',
  )
  await other.close({ keepFolder: true })
  // It has rows of the month that nobody knows of, and comes back to a Redis that says nothing.
  writeLastMonth(second, 'b1', 'b2')
  proxy.freeze()
  other = await start(second, url, { ledger: { archive: 'off' } })
  await eventually(async () => {
    const keys = await sendRedisCommand(
      fleet.redis.url,
      'EVAL "return #redis.call(\'KEYS\',ARGV[1])" 0 {sluice}:waiting:*',
    )
    return keys.trim() === ':1'
  }, 'the one that is cut off is heard no more')

  const closed = await close(archive)
  expect(closed.status, closed.text).toBe(201)
  expect(closed.json).toMatchObject({
    month: MONTH,
    total: { requests: 2, cost: '0.002' },
    waiting: { rows: 0, instances_not_heard: [expect.any(String)] },
  })
  const report = await reportOf(archive)
  expect(report).toMatch(/\r\ntotal,.*,2,2,200,/)

  proxy.resume()
  await untilTotal(archive, 4)
  await eventually(async () => (await totalOf(other))['requests'] === 4, 'the other one sees all')
  expect((await close(other)).status).toBe(409)
  expect(await reportOf(other)).toBe(report)
  // The money of late rows follows them.
  await eventually(
    async () => (await totalOf(other))['adjustments'] === '0.002',
    'the late rows are adjustments',
  )
  const late = (await other.admin('/adjustments?reason=late'))['data'] as { request: string }[]
  expect(late.map(({ request }) => request).toSorted()).toEqual(['b1', 'b2'])
  for (const gateway of [archive, other]) {
    expect(await totalOf(gateway)).toMatchObject({ requests: 4, cost: '0.002', adjustments: '0.002' })
    for (const by of ['key', 'user'])
      expect(await totalOf(gateway, `${by}${LAST}`)).toMatchObject({ requests: 2, cost: '0.002' })
    await untilTotal(gateway, 4, 'user')
    await eventually(async () => (await spentOf(gateway)) === '0.004', 'a budget has spent all of it')
  }

  expect(await sendRedisCommand(fleet.redis.url, 'FLUSHALL')).toBe('+OK')
  for (const gateway of [archive, other]) {
    await untilTotal(gateway, 4)
    expect(await totalOf(gateway)).toMatchObject({ cost: '0.002', adjustments: '0.002' })
    await eventually(async () => (await monthsOf(gateway)).length > 0, 'it is founded')
    expect(await monthsOf(gateway)).toMatchObject([{ month: MONTH, total: { cost: '0.002' } }])
    expect(await reportOf(gateway)).toBe(report)
    await eventually(async () => (await spentOf(gateway)) === '0.004', 'a budget is written anew')
  }

  await archive.close({ keepFolder: true })
  await other.close({ keepFolder: true })
  await fleet.restartEmpty()
  await proxy.stop()
  proxy = await startFaultProxy(Number(new URL(fleet.redis.url).port), 7)
  const again = await start(first)
  await untilTotal(again, 4)
  expect(await reportOf(again)).toBe(report)
  expect((await close(again)).status).toBe(409)
})
