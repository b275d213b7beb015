// A bill that is right has nothing to say; each thing that is wrong with one is called what it is.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BillFormat, CauseKind, Reconciliation } from '#core/bill.ts'
import { formatPico } from '#core/money.ts'
import type { PastRequest } from '#core/rerate.ts'
import { ReconcileRun } from '#pricing/reconcile/reconcile.ts'
import {
  type BilledLine,
  billedLines,
  billText,
  bytesOf,
  FORMAT,
  type Sold,
  soldRow,
} from '../../../support/bills.ts'
import { adjustmentRow } from '../../../support/ledger-rows.ts'

const DAY_MS = 24 * 3_600_000
/** 00:00 in Shanghai. */
const FIRST_MS = Date.parse('2026-10-01T00:00:00+08:00')

const PRICES = { input: '0.8', cached: '0.16', output: '2' }

function sold(id: string, fields: Partial<Sold> = {}): Sold {
  return {
    id,
    atMs: FIRST_MS + 3_600_000,
    model: 'seed',
    input: 1_000,
    cached: 200,
    output: 300,
    prices: PRICES,
    percent: 100,
    ...fields,
  }
}

function reconcile(
  text: string,
  rows: readonly PastRequest[],
  format: Partial<BillFormat> = {},
  span: { fromMs?: number; toMs?: number } = {},
): Reconciliation {
  const run = new ReconcileRun({
    provider: 'doubao',
    format: { ...FORMAT, ...format },
    bytes: bytesOf(text),
    linesMax: 10_000,
    fromMs: span.fromMs ?? null,
    toMs: span.toMs ?? null,
    tolerance: null,
  })
  for (const row of rows) run.take(row)
  return run.result()
}

const someSold = fc
  .array(
    fc.record({
      atMs: fc.integer({ min: FIRST_MS, max: FIRST_MS + 3 * DAY_MS - 1 }),
      model: fc.constantFrom('seed', 'Seed-1.6-Flash'),
      input: fc.integer({ min: 1, max: 50_000 }),
      cached: fc.nat(20_000),
      output: fc.nat(5_000),
      prices: fc.constantFrom(PRICES, { input: '1.2', cached: '0.24', output: '16' }),
      percent: fc.constantFrom(100, 85),
    }),
    { minLength: 1, maxLength: 30 },
  )
  .map((all) =>
    all.map((one, index): Sold => ({ ...one, id: `r${index}`, cached: Math.min(one.cached, one.input) })),
  )

describe('a bill of our own rows', () => {
  test.each([true, false])('has no difference, also rounded to the cent (by request: %s)', (byRequest) => {
    fc.assert(
      fc.property(someSold, fc.constantFrom(12, 6, 2), (all, places) => {
        const found = reconcile(billText(billedLines(all, byRequest), places), all.map(soldRow))
        expect(found.exceeding).toBe(0)
        expect(found.attempts).toBe(all.length)
        expect(found.joinedBy).toBe(byRequest ? 'request' : 'model and day')
        expect(found.findings.every(({ kind }) => kind === 'rounding')).toBe(true)
      }),
      { seed: 41_130, numRuns: 150 },
    )
  })

  test('sums up to what we have booked', () => {
    const all = [sold('a'), sold('b', { atMs: FIRST_MS + DAY_MS })]
    const found = reconcile(billText(billedLines(all, false)), all.map(soldRow))
    expect([formatPico(found.theirs), formatPico(found.ours)]).toEqual(['0.002544', '0.002544'])
    expect(found).toMatchObject({ lines: 6, skippedLines: 0, difference: 0n, differences: [] })
    expect([found.fromMs, found.toMs]).toEqual([FIRST_MS, FIRST_MS + 2 * DAY_MS])
  })
})

describe('what is planted', () => {
  const week = Array.from({ length: 7 }, (_, index) =>
    sold(`r${index}`, {
      atMs: FIRST_MS + index * DAY_MS + 3_600_000,
      input: 100_000 + index,
      output: 20_000,
    }),
  )

  function planted(
    change: (lines: BilledLine[]) => BilledLine[],
    byRequest: boolean,
    rows = week.map(soldRow),
  ): Reconciliation {
    return reconcile(billText(change(billedLines(week, byRequest))), rows)
  }

  /** The only causes, and that they come to all of it. */
  function causesOf(found: Reconciliation): readonly CauseKind[] {
    for (const one of found.differences) {
      const sum = one.causes.reduce((total, { amount }) => total + amount, 0n)
      expect(sum).toBe(one.difference)
    }
    return [...new Set(found.findings.map(({ kind }) => kind))].toSorted()
  }

  describe.each([true, false])('by request: %s', (byRequest) => {
    test('another price since some day is that price, since that day', () => {
      const found = planted(
        (lines) =>
          lines.map((line) =>
            line.item.includes('输出') && line.day >= '2026-10-04' ? { ...line, price: '2.4' } : line,
          ),
        byRequest,
      )
      expect(causesOf(found)).toEqual(['price'])
      expect(found.exceeding).toBe(4)
      expect(found.findings).toMatchObject([
        {
          kind: 'price',
          model: 'seed',
          item: 'output',
          theirs: '2.4',
          ours: '2',
          since: '2026-10-04',
          until: '2026-10-07',
        },
      ])
      expect(formatPico(found.difference)).toBe('0.032')
    })

    test('other tokens are those of that request', () => {
      const found = planted(
        (lines) =>
          lines.map((line, index) => (index === 0 ? { ...line, quantity: line.quantity + 77 } : line)),
        byRequest,
      )
      expect(causesOf(found)).toEqual(['tokens'])
      expect(found.differences).toMatchObject([
        {
          period: '2026-10-01',
          causes: [{ kind: 'tokens', item: 'input', theirs: '99877', ours: '99800', requests: ['r0'] }],
        },
      ])
    })

    test('a day or request that they lack is missing there, by our ids', () => {
      const found = planted((lines) => lines.filter(({ day }) => day !== '2026-10-03'), byRequest)
      expect(causesOf(found)).toEqual(['missing_theirs'])
      expect(found.differences).toMatchObject([
        { period: '2026-10-03', theirs: 0n, causes: [{ requests: ['r2'], requestCount: 1 }] },
      ])
    })

    test('what we lack is missing here, by their ids where they say them', () => {
      const rows = week.slice(1).map(soldRow)
      const found = planted((lines) => lines, byRequest, rows)
      expect(causesOf(found)).toEqual(['missing_ours'])
      expect(found.differences).toMatchObject([{ period: '2026-10-01', ours: 0n }])
      if (byRequest) expect(found.differences[0]?.causes[0]?.requests).toContain('up-r0')
    })

    test('a quota that they give is a quota', () => {
      const found = planted(
        (lines) => lines.map((line) => (line.day === '2026-10-02' ? { ...line, free: line.quantity } : line)),
        byRequest,
      )
      expect(causesOf(found)).toEqual(['free_quota'])
      expect(found.differences).toMatchObject([{ period: '2026-10-02', theirs: 0n }])
    })

    test('a discount that we do not know of is a discount, with both shares', () => {
      const found = planted((lines) => lines.map((line) => ({ ...line, percent: 90 })), byRequest)
      expect(causesOf(found)).toEqual(['discount'])
      expect(found.findings).toMatchObject([
        { kind: 'discount', theirs: '90%', ours: '100%', since: '2026-10-01', until: '2026-10-07', count: 7 },
      ])
    })

    test('a contract makes no discount of another price', () => {
      const all = week.map((one) => ({ ...one, percent: 85 }))
      const lines = billedLines(all, byRequest).map((line) =>
        line.item.includes('输出') ? { ...line, price: '2.4' } : line,
      )
      const found = reconcile(billText(lines), all.map(soldRow))
      expect(causesOf(found)).toEqual(['price'])
      expect(formatPico(found.difference)).toBe('0.0476')
    })

    test('two things at once are both named, and come to all of it', () => {
      const found = planted(
        (lines) =>
          lines.map((line) => ({
            ...line,
            percent: 80,
            price: line.item.includes('输出') ? '3' : line.price,
          })),
        byRequest,
      )
      expect(causesOf(found)).toEqual(['discount', 'price'])
    })

    test('a refund is a refund', () => {
      const refund = '2026-10-02,seed,推理输出,,,,,,,,-0.5,CNY\r\n'
      const found = reconcile(billText(billedLines(week, byRequest)) + refund, week.map(soldRow))
      expect(causesOf(found)).toEqual(['refund'])
      expect(formatPico(found.difference)).toBe('-0.5')
    })

    test('what we know no price of says so', () => {
      const rows = week
        .map(soldRow)
        .map((past, index) =>
          index === 0 ? { ...past, attempts: past.attempts.map((row) => ({ ...row, cost: null })) } : past,
        )
      const found = planted((lines) => lines, byRequest, rows)
      expect(causesOf(found)).toEqual(['unpriced'])
      expect(found.differences[0]?.causes[0]).toMatchObject({ requests: ['r0'], theirs: '0.8' })
    })
  })

  test('a request that is missing in a day with others is found by its tokens', () => {
    const day = [
      sold('a', { input: 1_000 }),
      sold('b', { input: 2_345, output: 77 }),
      sold('c', { input: 900 }),
    ]
    const lines = billedLines(
      day.filter(({ id }) => id !== 'b'),
      false,
    )
    const found = reconcile(billText(lines), day.map(soldRow))
    expect(causesOf(found)).toEqual(['tokens'])
    for (const cause of found.differences[0]?.causes ?? [])
      expect([cause.kind, cause.item === 'cached_input' ? 'b' : cause.requests[0]]).toEqual(['tokens', 'b'])
  })

  test('other tokens are a difference, also where the amount does not follow them', () => {
    const lines = billText(billedLines([sold('a')], false)).split('\r\n')
    const odd = lines.map((line) => line.replace(',0.3,千tokens', ',900.3,千tokens')).join('\r\n')
    const found = reconcile(odd, [soldRow(sold('a'))])
    expect([found.exceeding, found.difference]).toEqual([1, 0n])
    expect(found.differences[0]?.causes).toMatchObject([
      { kind: 'tokens', item: 'output', theirs: '900300', ours: '300' },
      { kind: 'discount' },
    ])
  })

  test('more than quantities and prices come to has no name', () => {
    const text = billText(billedLines([sold('a')], false)).replace(',0.0006,CNY', ',0.5006,CNY')
    const found = reconcile(text, [soldRow(sold('a'))])
    expect(found.differences[0]?.causes.map(({ kind, amount }) => [kind, formatPico(amount)])).toEqual([
      ['amount', '0.5'],
    ])
  })

  test('estimates are suspected first, and a booked correction is part of what is ours', () => {
    const day = [sold('a'), sold('b', { estimated: true }), sold('c')]
    const lines = billedLines(day, false).map((line) => ({ ...line, quantity: line.quantity + 5 }))
    const found = reconcile(billText(lines), day.map(soldRow))
    expect(found.differences[0]?.causes[0]).toMatchObject({ kind: 'tokens', requests: ['b'] })
    const corrected = planted(
      (all) =>
        all.map((line) =>
          line.day === '2026-10-01' && line.item.includes('输出') ? { ...line, price: '2.4' } : line,
        ),
      false,
      week
        .map(soldRow)
        .map((past) =>
          past.request.id === 'r0'
            ? { ...past, adjustments: [adjustmentRow({ requestId: 'r0', nativeNano: 8_000_000n as never })] }
            : past,
        ),
    )
    expect(corrected.exceeding).toBe(0)
    // Of a row that came late the money is booked as an adjustment; a bill knows nothing of that.
    const late = week.map(soldRow).map((past) => ({
      ...past,
      adjustments: [
        adjustmentRow({ requestId: past.request.id, reason: 'late', nativeNano: 8_000_000n as never }),
      ],
    }))
    expect(planted((all) => all, false, late).differences).toEqual([])
  })

  test('tolerance is the larger of both, and roundings are none', () => {
    const off = (tolerance: { absolute: bigint; relativeMicro: bigint } | null) => {
      const run = new ReconcileRun({
        provider: 'doubao',
        format: FORMAT,
        bytes: bytesOf(billText(billedLines([sold('a')], false).map((line) => ({ ...line, percent: 99 })))),
        linesMax: 10,
        fromMs: null,
        toMs: null,
        tolerance: tolerance as never,
      })
      run.take(soldRow(sold('a')))
      return run.result().exceeding
    }
    expect(off(null)).toBe(1)
    expect(off({ absolute: 12_720_000n, relativeMicro: 0n })).toBe(0)
    expect(off({ absolute: 12_719_999n, relativeMicro: 0n })).toBe(1)
    expect(off({ absolute: 0n, relativeMicro: 10_102n })).toBe(0)
    expect(off({ absolute: 0n, relativeMicro: 10_000n })).toBe(1)
  })

  test('days are those of the vendor: what is sent before its midnight is of the day before', () => {
    const late = sold('a', { atMs: FIRST_MS - 1 })
    const found = reconcile(billText(billedLines([late], false)), [soldRow(late), soldRow(sold('b'))])
    expect(found).toMatchObject({ attempts: 1, exceeding: 0, toMs: FIRST_MS })
  })

  test('a bill by months is joined by months', () => {
    const text = billText(billedLines(week, false)).replaceAll(/2026-10-\d\d/g, '2026-10')
    const found = reconcile(text, week.map(soldRow))
    expect(found).toMatchObject({ joinedBy: 'model and month', exceeding: 0, attempts: 7 })
  })
})
