import { expect, test } from 'vitest'
import { periodAt, periodText } from '#store/admission/periods.ts'

const ms = (text: string): number => Date.parse(text)
const HOUR = 3_600_000

test.each([
  ['day', '2026-01-31T23:59:59+08:00', '2026-01-31T00:00:00+08:00', '2026-02-01T00:00:00+08:00'],
  ['day', '2026-01-31T16:00:00Z', '2026-02-01T00:00:00+08:00', '2026-02-02T00:00:00+08:00'],
  ['week', '2026-11-25T10:00:00+08:00', '2026-11-23T00:00:00+08:00', '2026-11-30T00:00:00+08:00'],
  ['week', '2026-11-29T23:59:59+08:00', '2026-11-23T00:00:00+08:00', '2026-11-30T00:00:00+08:00'],
  ['month', '2026-12-31T23:59:59+08:00', '2026-12-01T00:00:00+08:00', '2027-01-01T00:00:00+08:00'],
  ['month', '2024-02-29T00:00:00+08:00', '2024-02-01T00:00:00+08:00', '2024-03-01T00:00:00+08:00'],
] as const)('the %s around %s is that of Shanghai', (unit, at, start, end) => {
  expect(periodAt({ kind: 'calendar', unit }, ms(at))).toEqual({ startMs: ms(start), endMs: ms(end) })
})

test('periods of a length are counted from 1970 and meet', () => {
  const period = { kind: 'fixed', lengthMs: 720 * HOUR } as const
  const span = periodAt(period, ms('2026-11-25T00:00:00Z'))
  expect(span.endMs - span.startMs).toBe(720 * HOUR)
  expect(periodAt(period, span.endMs).startMs).toBe(span.endMs)
  expect((span.startMs + 8 * HOUR) % (720 * HOUR)).toBe(0)
})

test('periods are told apart by kind and length', () => {
  const texts = [
    periodText({ kind: 'life' }),
    periodText({ kind: 'fixed', lengthMs: HOUR }),
    periodText({ kind: 'rolling', lengthMs: HOUR }),
    periodText({ kind: 'calendar', unit: 'day' }),
    periodText({ kind: 'calendar', unit: 'week' }),
  ]
  expect(new Set(texts).size).toBe(texts.length)
})
