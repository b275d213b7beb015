// /admin/v1/adjustments over a ledger in memory: what is taken, what is refused and in which words, where it counts.

import { describe, expect, test } from 'vitest'
import type { LedgerRow } from '#core/ledger.ts'
import { attemptRow, requestRow, START_MS } from '../../support/ledger-rows.ts'
import { type Asker, admin, openApp } from './support.ts'

const ROWS: readonly LedgerRow[] = [
  { kind: 'attempt', row: attemptRow({}) },
  { kind: 'request', row: requestRow({}) },
  { kind: 'attempt', row: attemptRow({ requestId: 'r2' }) },
  { kind: 'attempt', row: attemptRow({ requestId: 'r2', attempt: 2, target: 'qwen/flash' }) },
  { kind: 'request', row: requestRow({ id: 'r2', attempts: 2 }) },
]
const WHO = { author: 'mei', note: 'agreed with the vendor' }

const open = (closedMonths: ReadonlySet<string> = new Set()): Promise<Asker> =>
  openApp({ rows: ROWS, closedMonths })

const post = ({ ask }: Asker, body: unknown) => ask('/admin/v1/adjustments', admin, 'POST', body)

describe('an adjustment by hand', () => {
  test('of an attempt counts where that does, beside cost', async () => {
    const app = await open()
    const made = await post(app, { request: 'r1', amount: '-0.00025', ...WHO })
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({
      created: true,
      request: 'r1',
      attempt: 1,
      month: '2026-10',
      booked_at: new Date(START_MS).toISOString(),
      key: 'demo',
      team: 'growth',
      target: 'doubao/seed',
      amount: '-0.00025',
      native: { amount: '-0.00025', currency: 'CNY' },
      reason: 'manual',
      price_version: { old: 'doubao/seed#1', new: null },
      ...WHO,
    })
    const usage = await app.ask('/admin/v1/usage?group_by=key', admin)
    expect(usage.body['data']).toMatchObject([
      { key: 'demo', attempts: 3, cost: '0.003', adjustments: '-0.00025', total: '0.00275' },
    ])
    const detail = await app.ask('/admin/v1/requests/r1', admin)
    expect(detail.body['adjustments']).toMatchObject([{ amount: '-0.00025', author: 'mei' }])
    expect(detail.body['cost']).toBe('0.001')
  })

  test('of a closed month counts now', async () => {
    const app = await open(new Set(['2026-10']))
    const made = await post(app, { request: 'r1', amount: '1', ...WHO })
    expect(made.body['month']).not.toBe('2026-10')
    expect(made.body['booked_at']).toBe(made.body['time'])
  })

  test('with an id is made once', async () => {
    const app = await open()
    const body = { id: 'bill-7/line 3', request: 'r2', attempt: 2, amount: '0.5', ...WHO }
    expect((await post(app, body)).status).toBe(201)
    const again = await post(app, body)
    expect([again.status, again.body['created']]).toEqual([200, false])
    const list = await app.ask('/admin/v1/adjustments?target=qwen/flash', admin)
    expect(list.body['data']).toMatchObject([{ id: 'bill-7/line 3', attempt: 2 }])
    expect(
      ((await app.ask('/admin/v1/adjustments?month=2026-09', admin)).body['data'] as unknown[]).length,
    ).toBe(0)
  })

  test('of a day of a target names nobody', async () => {
    const app = await open()
    const body = {
      target: 'doubao/seed',
      day: '2026-10-01',
      amount: '-3.5',
      native: { amount: '-0.49', currency: 'USD' },
      reason: 'reconcile',
      ...WHO,
    }
    expect((await post(app, body)).body).toMatchObject({
      request: null,
      day: '2026-10-01',
      booked_at: '2026-09-30T16:00:00.000Z',
      key: '',
      native: { amount: '-0.49', currency: 'USD' },
    })
    const usage = await app.ask('/admin/v1/usage?group_by=provider', admin)
    expect(usage.body['total']).toMatchObject({ adjustments: '-3.5', requests: 2 })
  })

  const attempt = { request: 'r1', amount: '1', ...WHO }
  test.each([
    [{ ...attempt, amount: 1 }, 'amount', 'decimal string'],
    [{ ...attempt, amount: '0' }, 'amount', 'changes something'],
    [{ ...attempt, amount: '0.0000000001' }, 'amount', 'nine places'],
    [{ ...attempt, amount: '9007200' }, 'amount', 'nine million'],
    [{ ...attempt, reason: 'mood' }, 'reason', 'rerate, late, reconcile, manual'],
    [{ ...attempt, author: '' }, 'author', '1 to 200'],
    [{ ...attempt, note: 'a\u0000b' }, 'note', 'characters'],
    [{ ...attempt, request: 'r2' }, 'attempt', 'ended attempts (1,2)'],
    [{ ...attempt, attempt: 3 }, 'attempt', 'ended attempts (1)'],
    [{ ...attempt, day: '2026-10-01' }, 'day', 'the attempt says it'],
    [{ ...attempt, amout: '1' }, 'amout', 'unknown field'],
    [{ ...attempt, native: '1' }, 'native', 'currency'],
    [{ ...attempt, native: { amount: '1', currency: '元' } }, 'native.currency', 'USD'],
    [{ amount: '1', ...WHO }, 'target', 'PROVIDER/MODEL'],
    [{ amount: '1', ...WHO, target: 'qwen/flash', day: '2026-02-30' }, 'day', 'such as'],
    [{ amount: '1', ...WHO, target: 'qwen', day: '2026-02-03' }, 'target', 'PROVIDER/MODEL'],
  ])('is refused with the field that is wrong: %j', async (body, field, words) => {
    const got = await post(await open(), body)
    const error = got.body['error'] as Record<string, string>
    expect([got.status, error['param']]).toEqual([400, field])
    expect(error['message']).toContain(words)
  })

  test('of a request that nobody made is not found, and strangers may not ask', async () => {
    const app = await open()
    expect((await post(app, { ...attempt, request: 'r9' })).status).toBe(404)
    expect((await app.ask('/admin/v1/adjustments', {}, 'POST', attempt)).status).toBe(401)
    expect((await app.ask('/admin/v1/adjustments')).status).toBe(401)
    expect((await app.ask('/admin/v1/adjustments?cursor=x', admin)).status).toBe(400)
    expect((await app.ask('/admin/v1/adjustments?month=10', admin)).status).toBe(400)
  })
})
