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

test.each([
  // 23 hours in spring, 25 in autumn.
  ['day', '2026-03-08T12:00:00-04:00', '2026-03-08T00:00:00-05:00', '2026-03-09T00:00:00-04:00'],
  ['day', '2026-11-01T23:59:59-05:00', '2026-11-01T00:00:00-04:00', '2026-11-02T00:00:00-05:00'],
  ['day', '2026-11-01T03:59:59Z', '2026-10-31T00:00:00-04:00', '2026-11-01T00:00:00-04:00'],
  ['week', '2026-03-08T23:59:59-04:00', '2026-03-02T00:00:00-05:00', '2026-03-09T00:00:00-04:00'],
  ['month', '2026-11-30T23:59:59-05:00', '2026-11-01T00:00:00-04:00', '2026-12-01T00:00:00-05:00'],
] as const)('the %s around %s is that of New York', (unit, at, start, end) => {
  const period = { kind: 'calendar', unit, timeZone: 'America/New_York' } as const
  expect(periodAt(period, ms(at))).toEqual({ startMs: ms(start), endMs: ms(end) })
})

test('periods of whole days begin at midnight, in summer too', () => {
  const period = { kind: 'fixed', lengthMs: 72 * HOUR, timeZone: 'America/New_York' } as const
  let lengths = 0
  for (let atMs = ms('2026-01-01T00:00:00-05:00'); atMs < ms('2027-01-01T00:00:00-05:00'); lengths++) {
    const { startMs, endMs } = periodAt(period, atMs)
    expect(startMs).toBeLessThanOrEqual(atMs)
    expect([4, 5]).toContain(new Date(startMs).getUTCHours())
    expect([71, 72, 73]).toContain((endMs - startMs) / HOUR)
    atMs = endMs
  }
  expect(lengths).toBe(122)
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
    periodText({ kind: 'calendar', unit: 'week', timeZone: 'America/New_York' }),
  ]
  expect(new Set(texts).size).toBe(texts.length)
})
