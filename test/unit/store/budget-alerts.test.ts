import { describe, expect, test } from 'vitest'
import { type BudgetPeriod, NO_LIMITS, type Scope } from '#core/admission.ts'
import type { Nano } from '#core/money.ts'
import { alertsFor } from '#store/admission/budget-alerts.ts'

const scope = (period: BudgetPeriod, amount = 1_000n): Scope => ({
  id: 'team:growth',
  kind: 'team',
  name: 'growth',
  limits: NO_LIMITS,
  budget: { amountNano: amount as Nano, period, isStrict: false },
})
const MONTH = { kind: 'calendar', unit: 'month' } as const
const at = (text: string): number => Date.parse(`${text}+08:00`)

const thresholds = (period: BudgetPeriod, spent: bigint, nowMs: number) =>
  alertsFor(scope(period), spent, nowMs).map(({ threshold }) => threshold)

describe('a budget of a month', () => {
  // Its last day, so that no pace runs beyond it.
  const end = at('2026-10-31T23:59:59')
  test.each<[bigint, string[]]>([
    [499n, []],
    [500n, ['50']],
    [799n, ['50']],
    [800n, ['50', '80']],
    [999n, ['50', '80']],
    [1_000n, ['50', '80', '100']],
    [5_000n, ['50', '80', '100']],
  ])('with %d of 1000 spent calls for %j', (spent, expected) => {
    expect(thresholds(MONTH, spent, end)).toEqual(expected)
  })

  test('says when it is used up at the present pace, to the millisecond', () => {
    // A quarter of it in the first tenth.
    const now = at('2026-10-04T02:24:00')
    const [alert] = alertsFor(scope(MONTH), 250n, now)
    expect(alert).toMatchObject({
      threshold: 'forecast',
      periodStartMs: at('2026-10-01T00:00:00'),
      periodEndMs: at('2026-11-01T00:00:00'),
      usedUpAtMs: at('2026-10-13T09:36:00'),
    })
  })

  test('forecasts nothing from the first hours, from nothing, or past its end', () => {
    expect(thresholds(MONTH, 400n, at('2026-10-02T12:00:00'))).toEqual([])
    expect(thresholds(MONTH, 0n, at('2026-10-20T00:00:00'))).toEqual([])
    expect(thresholds(MONTH, 499n, at('2026-10-16T12:00:00'))).toEqual([])
    expect(thresholds(MONTH, 1_000n, at('2026-10-05T00:00:00'))).toEqual(['50', '80', '100'])
  })
})

test('other periods have thresholds without a pace where there is none', () => {
  const now = at('2026-10-20T00:00:00')
  expect(thresholds({ kind: 'life' }, 800n, now)).toEqual(['50', '80'])
  expect(thresholds({ kind: 'rolling', lengthMs: 86_400_000 }, 800n, now)).toEqual(['50', '80'])
  expect(thresholds({ kind: 'fixed', lengthMs: 30 * 86_400_000 }, 800n, now)).toContain('80')
  expect(alertsFor(scope({ kind: 'life' }, 0n), 5n, now)).toEqual([])
})

test('an alert is named by budget, amount, period and threshold', () => {
  const now = at('2026-10-31T23:59:59')
  const names = (amount: bigint, nowMs: number) =>
    alertsFor(scope(MONTH, amount), 900n, nowMs).map(({ id }) => id)
  expect(names(1_000n, now)).toEqual(names(1_000n, now - 1_000))
  const all = [...names(1_000n, now), ...names(900n, now), ...names(1_000n, now + 86_400_000)]
  expect(new Set(all).size).toBe(all.length)
})
