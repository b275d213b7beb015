// A closed month never changes: what comes later is an adjustment in an open month, and every report still comes to the
// ledger.

import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { AttemptRow, LedgerRow, UsageQuery } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import type { Clock } from '#core/ports.ts'
import type { SqliteLedger } from '#store/sqlite/store.ts'
import {
  adjustmentRow,
  attemptRow,
  batchOf,
  discountedCost,
  openAttempt,
  openRequest,
  requestRow,
} from '../support/ledger-rows.ts'
import { realClock } from '../support/real-clock.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'
import { type Asker, admin, askUsage, openApp } from '../unit/http/support.ts'

const folder = temporaryFolder()
afterAll(() => folder.remove())

const NOW_MS = Date.parse('2026-11-03T09:00:00+08:00')
const OCTOBER_MS = Date.parse('2026-10-31T23:59:59.999+08:00')
const clock: Clock = { ...realClock, nowMs: () => NOW_MS }
const MONTH = 'from=2026-10-01&to=2026-11-01'

let files = 0
function ledgerAt(path = join(folder.path, `${files++}.db`)): SqliteLedger {
  return openLedger(path, { clock })
}

async function appOver(ledger: SqliteLedger): Promise<Asker> {
  const config = { tax: { rate: '0.06' }, teams: { growth: { charge: { markup: '0.1' } } } }
  return openApp({ store: ledger.store, config, nowMs: NOW_MS })
}

const rowsOf = (fields: Partial<AttemptRow>): LedgerRow[] => [
  { kind: 'attempt', row: attemptRow(fields) },
  { kind: 'request', row: requestRow({ id: fields.requestId ?? 'r1', timeMs: fields.startedAtMs ?? 0 }) },
]

/** Every way in which October can be looked at. */
async function october(app: Asker): Promise<string[]> {
  const queries = [
    'group_by=key,target,team',
    'group_by=',
    'group_by=user&bucket=hour',
    'group_by=model&bucket=day&format=csv&totals=true',
    'group_by=team&bucket=month&time_zone=Asia/Shanghai&unit=1m',
  ]
  const texts = await Promise.all(
    queries.map(async (query) => (await askUsage(app, `${MONTH}&${query}`)).text),
  )
  return [...texts, (await app.ask('/admin/v1/months/2026-10/report', admin)).text]
}

const close = (app: Asker, body: object = { author: 'Mei', note: 'books of October' }, month = '2026-10') =>
  app.ask(`/admin/v1/months/${month}/close`, admin, 'POST', body)

describe('a closed month', () => {
  test('is the same byte by byte after rows that come late, whatever way they come', async () => {
    const ledger = ledgerAt()
    const { journal, store } = ledger
    await store.apply(batchOf(rowsOf({ requestId: 'r1', startedAtMs: OCTOBER_MS })))
    // Begun before the close, ended after it.
    const slow = { requestId: 'slow', startedAtMs: OCTOBER_MS }
    journal.open(openRequest({ id: 'slow', timeMs: OCTOBER_MS }), openAttempt(slow), () => undefined)
    const app = await appOver(ledger)
    const closed = await close(app)
    expect(closed.status).toBe(201)
    expect(closed.body).toMatchObject({
      month: '2026-10',
      status: 'closed',
      author: 'Mei',
      note: 'books of October',
      from: '2026-09-30T16:00:00.000Z',
      to: '2026-10-31T16:00:00.000Z',
      total: { requests: 1, cost: '0.001', net: '0.000943396', vat: '0.000056604', charge: '0.0011' },
    })
    const before = await october(app)
    journal.attempt(attemptRow({ ...slow, cost: discountedCost() }))
    expect(await october(app)).toEqual(before)
    await new Promise<void>((resolve) =>
      journal.request(requestRow({ id: 'slow', timeMs: OCTOBER_MS }), () => resolve()),
    )
    await store.apply({
      ...batchOf(rowsOf({ requestId: 'late', startedAtMs: OCTOBER_MS - 1 })),
      instance: 'two',
    })
    // Its attempt is an orphan for a while.
    const [attempt, request] = rowsOf({ requestId: 'orphan', startedAtMs: OCTOBER_MS - 2, cost: null })
    await store.apply({ ...batchOf([attempt as LedgerRow]), instance: 'three' })
    await store.apply({ ...batchOf([request as LedgerRow], 2), instance: 'three' })
    expect(await october(app)).toEqual(before)

    const november = await askUsage(app, 'from=2026-11-01&group_by=key')
    expect(november.body['total']).toMatchObject({
      requests: 3,
      input_tokens: 300,
      cost: '0',
      list: '0',
      adjustments: '0.002',
      total: '0.002',
      unpriced_attempts: 1,
    })
    const { rows } = await store.adjustments({ limit: 10, cursor: null })
    expect(
      rows.map(({ reason, author, month, requestId, amountNano }) => [
        reason,
        author,
        month,
        requestId,
        amountNano,
      ]),
    ).toEqual(
      expect.arrayContaining([
        ['late', 'sluice', '2026-11', 'slow', 1_000_000n],
        ['late', 'sluice', '2026-11', 'late', 1_000_000n],
      ]),
    )
    expect(rows).toHaveLength(2)
    await store.close()
  })

  test('stays closed over restarts, and counters that are made anew say the same', async () => {
    const path = join(folder.path, 'restart.db')
    const first = ledgerAt(path)
    await first.store.apply(batchOf(rowsOf({ startedAtMs: OCTOBER_MS })))
    await close(await appOver(first))
    const before = await october(await appOver(first))
    await first.store.close()
    const second = ledgerAt(path)
    const app = await appOver(second)
    await second.store.apply({
      ...batchOf(rowsOf({ requestId: 'late', startedAtMs: OCTOBER_MS })),
      instance: 'two',
    })
    expect(await october(app)).toEqual(before)
    const query: UsageQuery = { groupBy: ['key'], bucket: null, fromMs: null, toMs: null }
    const report = await second.store.usage(query)
    const hours = [OCTOBER_MS, NOW_MS].map((atMs) => Math.floor(atMs / 3_600_000) * 3_600_000)
    await second.rebuild({
      hoursMs: hours,
      daysMs: hours.map((atMs) => atMs - ((atMs + 28_800_000) % 86_400_000)),
    } as never)
    expect(await second.store.usage(query)).toEqual(report)
    expect((await close(app)).status).toBe(409)
    await second.store.close()
  })

  test('gets its report later where a crash came between', async () => {
    const ledger = ledgerAt()
    await ledger.store.apply(batchOf(rowsOf({ startedAtMs: OCTOBER_MS })))
    const fromMs = Date.parse('2026-10-01T00:00:00+08:00')
    const toMs = Date.parse('2026-11-01T00:00:00+08:00')
    const span = { month: '2026-10', timeZone: 'Asia/Shanghai', fromMs, toMs }
    await ledger.store.months?.close({ ...span, closedAtMs: NOW_MS, author: 'Mei', note: '' })
    const app = await appOver(ledger)
    expect((await app.ask('/admin/v1/months/2026-10', admin)).body['total']).toBeNull()
    expect((await app.ask('/admin/v1/months/2026-10/report', admin)).text).toMatch(/\r\ntotal,.*,1,1,100,10,/)
    expect((await app.ask('/admin/v1/months/2026-10', admin)).body['total']).toMatchObject({ cost: '0.001' })
    await ledger.store.close()
  })

  test('takes an adjustment that was made before into an open month', async () => {
    const ledger = ledgerAt()
    await ledger.store.apply(batchOf(rowsOf({ startedAtMs: OCTOBER_MS })))
    const app = await appOver(ledger)
    await close(app)
    const before = await october(app)
    const { body } = await askUsage(app, 'group_by=')
    ledger.adjust([
      adjustmentRow({
        id: 'a1',
        timeMs: OCTOBER_MS,
        bookedAtMs: OCTOBER_MS,
        tags: {},
        user: null,
        amountNano: -500n as Nano,
        nativeNano: -500n as Nano,
        nativeCurrency: 'CNY',
      }),
    ])
    expect(await october(app)).toEqual(before)
    const after = await askUsage(app, 'group_by=')
    expect(after.body['total']).toMatchObject({ adjustments: '-0.0000005', total: '0.0009995' })
    expect(body['total']).toMatchObject({ adjustments: '0', total: '0.001' })
    await ledger.store.close()
  })
})

describe('closing a month', () => {
  test.each<[string, object, string, number, string]>([
    ['of no calendar', { author: 'Mei' }, '2026-13', 400, 'month'],
    ['that is not over', { author: 'Mei' }, '2026-11', 400, 'month'],
    ['by nobody', { note: 'x' }, '2026-10', 400, 'author'],
    ['by a blank', { author: ' ' }, '2026-10', 400, 'author'],
    ['with more than is known', { author: 'Mei', force: true }, '2026-10', 400, 'force'],
    ['with a note of lines', { author: 'Mei', note: 'a\nb' }, '2026-10', 400, 'note'],
  ])('%s is refused', async (_, body, month, status, param) => {
    const ledger = ledgerAt()
    const answer = await close(await appOver(ledger), body, month)
    expect(answer.status).toBe(status)
    expect(answer.body['error']).toMatchObject({ param })
    await ledger.store.close()
  })

  test('is listed with those that are open, and needs a ledger that can', async () => {
    const ledger = ledgerAt()
    const app = await appOver(ledger)
    await close(app, { author: 'Mei' }, '2026-08')
    const { body } = await app.ask('/admin/v1/months', admin)
    const shown = (body['data'] as Record<string, unknown>[]).map(({ month, status }) => [month, status])
    expect(shown).toEqual([
      ['2026-11', 'open'],
      ['2026-10', 'open'],
      ['2026-09', 'open'],
      ['2026-08', 'closed'],
    ])
    expect((await app.ask('/admin/v1/months/2026-09', admin)).status).toBe(404)
    await ledger.store.close()
    const without = await (await openApp({})).ask('/admin/v1/months', admin)
    expect(without.status).toBe(400)
  })
})
