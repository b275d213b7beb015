import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dayStartIn, startOfDayMs, zoneOf } from '#core/zones.ts'

const iso = (ms: number): string => new Date(ms).toISOString()
const dayOf = (text: string): number => Date.parse(text) / 86_400_000

test.each([
  ['Asia/Shanghai', '2026-11-25', '2026-11-24T16:00:00.000Z'],
  ['Asia/Kolkata', '2026-11-25', '2026-11-24T18:30:00.000Z'],
  ['Asia/Kathmandu', '2026-11-25', '2026-11-24T18:15:00.000Z'],
  ['Pacific/Kiritimati', '2026-11-25', '2026-11-24T10:00:00.000Z'],
  ['Pacific/Pago_Pago', '2026-11-25', '2026-11-25T11:00:00.000Z'],
  ['America/New_York', '2026-03-08', '2026-03-08T05:00:00.000Z'],
  ['America/New_York', '2026-03-09', '2026-03-09T04:00:00.000Z'],
  ['America/New_York', '2026-11-01', '2026-11-01T04:00:00.000Z'],
  ['America/New_York', '2026-11-02', '2026-11-02T05:00:00.000Z'],
  // The clocks go on at midnight, so the day begins at 01:00.
  ['America/Havana', '2026-03-08', '2026-03-08T05:00:00.000Z'],
  // The clocks go back at 01:00, so midnight comes twice; the first one counts.
  ['America/Havana', '2026-11-01', '2026-11-01T04:00:00.000Z'],
  // Samoa had no 30th of December 2011.
  ['Pacific/Apia', '2011-12-30', '2011-12-30T10:00:00.000Z'],
  ['Pacific/Apia', '2011-12-31', '2011-12-30T10:00:00.000Z'],
])('in %s %s begins at %s', (name, day, start) => {
  expect(iso(startOfDayMs(zoneOf(name), dayOf(day)))).toBe(start)
})

test('a start of a day is the first instant of the day of any instant in it', () => {
  const zones = ['America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'America/Havana', 'Asia/Shanghai']
  const instant = fc.integer({ min: Date.UTC(2015), max: Date.UTC(2035) })
  fc.assert(
    fc.property(fc.constantFrom(...zones), instant, (name, atMs) => {
      const zone = zoneOf(name)
      const startMs = dayStartIn(name, atMs)
      expect(startMs).toBeLessThanOrEqual(atMs)
      expect(zone(startMs).day).toBe(zone(atMs).day)
      expect(zone(startMs - 1).day).toBe(zone(atMs).day - 1)
    }),
    { numRuns: 300 },
  )
})
