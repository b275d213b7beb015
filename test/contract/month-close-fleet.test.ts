// A month that several instances close in one Redis: closed once, by the first, for all of them, and Redis and the archive
// go on saying the same, whatever is lost.

import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AdjustmentRow } from '#core/adjustments.ts'
import type { AttemptRow, UsageReport } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { RedisConnection } from '#store/redis/connection.ts'
import { lock, refound } from '#store/redis/founding.ts'
import { EVERYTHING, type FleetMember, holds, openMember } from '../support/fleet-ledgers.ts'
import { adjustmentRow, discountedCost } from '../support/ledger-rows.ts'
import { type RedisServer, sendRedisCommand, startRedis } from '../support/redis-server.ts'
import { temporaryFolder } from '../support/sqlite-ledger.ts'
import { type Asker, admin, openApp } from '../unit/http/support.ts'

const NOW_MS = Date.parse('2026-11-03T09:00:00+08:00')
const OCTOBER_MS = Date.parse('2026-10-31T23:59:59.000+08:00')
const NOVEMBER_MS = Date.parse('2026-11-01T00:00:00+08:00')
const SPAN = {
  month: '2026-10',
  timeZone: 'Asia/Shanghai',
  fromMs: Date.parse('2026-10-01T00:00:00+08:00'),
  toMs: NOVEMBER_MS,
}
const CLOSE = { ...SPAN, closedAtMs: NOW_MS, author: 'Mei', note: '' }

let server: RedisServer
let folder: ReturnType<typeof temporaryFolder>
let members: FleetMember[]
let archive: FleetMember
let other: FleetMember

beforeEach(async () => {
  folder = temporaryFolder()
  server = await startRedis({ appendOnly: true, folder: folder.path })
  members = []
  archive = open('archive', true)
  other = open('other')
})

afterEach(async () => {
  for (const member of members) await member.close()
  await server.stop()
  folder.remove()
})

function open(name: string, archives = false): FleetMember {
  const member = openMember({ url: server.url, folder: folder.path, name, nowMs: NOW_MS, archives })
  members.push(member)
  return member
}

const knows = async ({ ledger }: FleetMember): Promise<boolean> =>
  (await ledger.store.months?.list())?.some(({ month }) => month === SPAN.month) === true

const appOver = ({ store }: FleetMember): Promise<Asker> =>
  openApp({ store, nowMs: NOW_MS, config: { tax: { rate: '0.06' } } })
const close = (app: Asker) => app.ask('/admin/v1/months/2026-10/close', admin, 'POST', { author: 'Mei' })
const reportOf = async (app: Asker) => (await app.ask('/admin/v1/months/2026-10/report', admin)).text

const views = [
  { ...EVERYTHING, groupBy: ['key', 'model', 'target', 'team'], bucket: 'hour' },
  { ...EVERYTHING, groupBy: ['target'], bucket: 'day' },
  { ...EVERYTHING, fromMs: SPAN.fromMs, toMs: SPAN.toMs },
] as const

async function seen(store: FleetMember['store'] | FleetMember['ledger']['store']): Promise<UsageReport[]> {
  return Promise.all(views.map((view) => store.usage(view)))
}

/** Waits until the archive has all, and compares. */
async function expectSame(): Promise<void> {
  await holds(async () => {
    const [shared, own] = [
      await archive.store.usage(EVERYTHING),
      await archive.ledger.store.usage(EVERYTHING),
    ]
    return JSON.stringify(shared, text) === JSON.stringify(own, text)
  })
  expect(await seen(archive.ledger.store)).toEqual(await seen(archive.store))
  const [shared, own] = [await archive.store.adjustments(ALL), await archive.ledger.store.adjustments(ALL)]
  expect(own.rows).toEqual(shared.rows)
  expect(await archive.ledger.store.balances()).toEqual(await archive.store.balances())
}
const ALL = { limit: 100, cursor: null }
const text = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value)

const october = (fields: Partial<AttemptRow> = {}) => ({ startedAtMs: OCTOBER_MS, durationMs: 10, ...fields })

test('is closed once, and what comes after counts in an open month, in Redis and in the archive alike', async () => {
  archive.write('a1', october())
  other.write('o1', october({ key: 'second' }))
  await Promise.all([archive.ship(), other.ship()])
  await archive.cutOff()
  await other.cutOff()
  // These wait while it is closed: of the archive, which has counted its own already, and of another one.
  archive.write('a2', october())
  archive.write('a3', october({ cost: null, key: 'only-late' }))
  other.write('o2', october({ cost: discountedCost() }), { startedAtMs: NOVEMBER_MS, durationMs: 5 })
  other.write('o3', { startedAtMs: NOVEMBER_MS, durationMs: 5 })

  const app = await appOver(other)
  expect((await close(app)).status).toBe(201)
  expect((await close(await appOver(archive))).status).toBe(409)
  const report = await reportOf(app)
  const before = await other.store.usage(views[2])
  await Promise.all([archive.ship(), other.ship()])
  other.write('o4', october())
  archive.write('a4', october({ user: null }))
  await Promise.all([archive.ship(), other.ship()])
  await expectSame()
  expect(await other.store.usage(views[2])).toEqual(before)
  expect(await archive.ledger.store.usage(views[2])).toEqual(before)
  const byUser = { ...views[2], groupBy: ['user'] } as const
  expect((await archive.ledger.store.usage(byUser)).total).toEqual(before.total)
  expect(await reportOf(app)).toBe(report)
  expect(before.total).toMatchObject({ requests: 2, costNano: 2_000_000n, adjustmentNano: 0n })
  const { total } = await other.store.usage(EVERYTHING)
  expect(total).toMatchObject({ requests: 8, attempts: 9, adjustmentNano: 4_000_000n, unpricedAttempts: 1 })
  // Budgets go by when they began.
  const asked = { kind: 'key', name: 'demo', byHour: false } as const
  const spent = archive.ledger.record.spent([
    { ...asked, fromMs: null },
    { ...asked, fromMs: NOVEMBER_MS },
  ])
  expect(spent.sums.map((sums) => sums.map(({ amountNano }) => amountNano))).toEqual([
    [7_000_000n],
    [2_000_000n],
  ])
  const hoursMs = [OCTOBER_MS, NOVEMBER_MS, NOW_MS].map((atMs) => atMs - (atMs % 3_600_000))
  const daysMs = hoursMs.map((atMs) => atMs - ((atMs + 28_800_000) % 86_400_000))
  await archive.ledger.rebuild({ hoursMs, daysMs } as never)
  expect(await seen(archive.ledger.store)).toEqual(await seen(archive.store))
  const { rows } = await other.store.adjustments(ALL)
  expect(rows.map(({ id, month, reason, bookedAtMs }) => [id, month, reason, bookedAtMs]).toSorted()).toEqual(
    ['a2', 'a4', 'o2', 'o4'].map((id) => [`late:${id}:1`, '2026-11', 'late', NOW_MS]),
  )
})

test('a correction that waits while the month is closed counts in an open one', async () => {
  archive.write('a1', october())
  await archive.ship()
  await other.ship()
  await archive.cutOff()
  await other.cutOff()
  archive.adjust(correction('c1'))
  other.adjust(correction('c2'))
  await archive.store.months.close(CLOSE)
  await Promise.all([archive.ship(), other.ship()])
  other.adjust(correction('c3'))
  await other.ship()
  await expectSame()
  const { rows } = await other.store.adjustments(ALL)
  expect(rows.map(({ id, month }) => [id, month]).toSorted()).toEqual(
    ['c1', 'c2', 'c3'].map((id) => [id, '2026-11']),
  )
  expect((await other.store.usage(views[2])).total).toMatchObject({ requests: 1, adjustmentNano: 0n })
})

test('a Redis that is flushed is closed again before anybody writes to it, with the report byte by byte', async () => {
  archive.write('a1', october())
  await Promise.all([archive.ship(), other.ship()])
  await other.cutOff()
  const app = await appOver(archive)
  await close(app)
  const report = await reportOf(app)
  await holds(() => knows(archive))
  const [closed] = await archive.store.months.list()
  await archive.ledger.store.months?.keep('2026-10', closed?.total ?? '', report)
  other.write('o1', october())
  expect(await sendRedisCommand(server.url, 'FLUSHALL')).toBe('+OK')
  await Promise.all([archive.ship(), other.ship()])
  await holds(async () => (await archive.store.usage(EVERYTHING)).total.requests === 2)
  await expectSame()
  expect(await archive.store.months.list()).toEqual([closed])
  expect(await reportOf(app)).toBe(report)
  expect((await archive.store.usage(views[2])).total).toMatchObject({ requests: 1, costNano: 1_000_000n })
})

test('a Redis that has lost the close has it again from any instance, and each row counts where it did', async () => {
  archive.write('a1', october())
  other.write('o1', october())
  await Promise.all([archive.ship(), other.ship()])
  await expectSame()
  const old = archive.ledger.record.snapshot()
  other.write('o2', october())
  await other.ship()
  await archive.store.months.close(CLOSE)
  await holds(async () => (await knows(archive)) && (await knows(other)))
  other.write('o3', october())
  archive.write('a2', october())
  await Promise.all([archive.ship(), other.ship()])
  await expectSame()
  const all = await seen(archive.store)
  for (const member of [archive, other]) await member.cutOff()
  // It comes back as it was before o2, without the close.
  const connection = new RedisConnection({ url: server.url })
  await sendRedisCommand(server.url, 'FLUSHALL')
  expect(await lock(connection, 'test')).toBe(true)
  await refound(connection, 'test', old)
  connection.close()
  await Promise.all([archive.ship(), other.ship()])
  await holds(async () => (await archive.store.usage(EVERYTHING)).total.requests === 5)
  await expectSame()
  expect(await seen(archive.store)).toEqual(all)
  expect((await archive.store.months.list()).map(({ month }) => month)).toEqual(['2026-10'])
})

test('an archive that begins later, and a restart, go on from there', async () => {
  other.write('o1', october())
  await other.ship()
  await other.store.months.close(CLOSE)
  await holds(() => knows(other))
  const third = open('third')
  third.write('t1', october())
  await third.ship()
  await third.close()
  members.splice(members.indexOf(third), 1)
  const again = open('third')
  again.write('t2', october())
  await again.ship()
  const late = open('late-archive', true)
  await archive.close()
  members.splice(members.indexOf(archive), 1)
  archive = late
  late.write('l1', october())
  await late.ship()
  await expectSame()
  expect((await late.ledger.store.usage(views[2])).total).toMatchObject({ requests: 1 })
  expect((await late.ledger.store.usage(EVERYTHING)).total).toMatchObject({
    requests: 4,
    adjustmentNano: 3_000_000n,
  })
})

test('a month that is closed while late rows of another one wait moves them on', async () => {
  const november = {
    ...SPAN,
    month: '2026-11',
    fromMs: NOVEMBER_MS,
    toMs: Date.parse('2026-12-01T00:00+08:00'),
  }
  archive.write('a1', october())
  await Promise.all([archive.ship(), other.ship()])
  await archive.store.months.close(CLOSE)
  await holds(async () => (await knows(archive)) && (await knows(other)))
  for (const member of [archive, other]) await member.cutOff()
  archive.write('a2', october())
  other.write('o2', october())
  await archive.store.months.close({ ...CLOSE, ...november, closedAtMs: november.toMs + 5 })
  await Promise.all([archive.ship(), other.ship()])
  await expectSame()
  const { rows } = await other.store.adjustments(ALL)
  expect(rows.map(({ id, month }) => [id, month]).toSorted()).toEqual([
    ['late:a2:1', '2026-12'],
    ['late:o2:1', '2026-12'],
  ])
})

function correction(id: string): AdjustmentRow {
  const amounts = { amountNano: -500n as Nano, nativeNano: -500n as Nano, nativeCurrency: 'CNY' }
  const dates = { timeMs: OCTOBER_MS, bookedAtMs: OCTOBER_MS }
  return adjustmentRow({ id, ...dates, requestId: 'a1', tags: {}, user: null, ...amounts })
}
