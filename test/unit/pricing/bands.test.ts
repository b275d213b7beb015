import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PriceTimeBand } from '#core/price.ts'
import { zoneOf } from '#core/zones.ts'
import { isWithin, parseHours } from '#pricing/bands.ts'
import { rate } from '#pricing/rate.ts'
import { priceOf, termsOf, usageOf } from './prices.ts'

type Hours = Omit<PriceTimeBand, 'tiers'>

const NIGHT: Hours = { timezone: 'Asia/Shanghai', days: 'all', start: '00:30', end: '08:30' }

function within(hours: Partial<Hours>, at: string): boolean {
  return isWithin(parseHours({ ...NIGHT, ...hours }), Date.parse(at))
}

describe('a band', () => {
  test.each([
    ['2025-03-10T00:29:59.999+08:00', false],
    ['2025-03-10T00:30:00.000+08:00', true],
    ['2025-03-10T08:29:59.999+08:00', true],
    ['2025-03-10T08:30:00.000+08:00', false],
    // Midnight of Greenwich is in the middle of it.
    ['2025-03-09T23:59:59.999Z', true],
    ['2025-03-10T00:00:00.000Z', true],
  ])('includes its start and excludes its end: %s', (at, expected) => {
    expect(within({}, at)).toBe(expected)
  })

  test.each([
    // 2026-08-22 is a Saturday in Shanghai from 16:00 of Friday in Greenwich.
    ['2026-08-21T15:59:59Z', true, false],
    ['2026-08-21T16:00:00Z', false, true],
    ['2026-08-23T15:59:59Z', false, true],
    ['2026-08-23T16:00:00Z', true, false],
  ])('reads the weekday off the vendor’s calendar: %s', (at, onWeekday, onWeekend) => {
    const evening = { start: '00:00', end: '23:59' }
    const morning = { start: '23:59', end: '00:00' }
    const anyHour = (days: Hours['days']) =>
      within({ ...evening, days }, at) || within({ ...morning, days }, at)
    expect(anyHour('mon-fri')).toBe(onWeekday)
    expect(anyHour('sat-sun')).toBe(onWeekend)
  })

  test.each([
    // Friday 2026-08-21, Saturday 22, Sunday 23, Monday 24.
    ['2026-08-21T21:59:59+08:00', false],
    ['2026-08-21T22:00:00+08:00', true],
    ['2026-08-21T23:59:59.999+08:00', true],
    ['2026-08-22T00:00:00+08:00', true],
    ['2026-08-22T05:59:59.999+08:00', true],
    ['2026-08-22T06:00:00+08:00', false],
    ['2026-08-22T22:00:00+08:00', false],
    ['2026-08-24T05:00:00+08:00', false],
    ['2026-08-24T22:00:00+08:00', true],
  ])('past midnight belongs to the day it starts on: %s', (at, expected) => {
    expect(within({ days: 'mon-fri', start: '22:00', end: '06:00' }, at)).toBe(expected)
  })

  test.each([
    ['2026-08-16T15:59:59.999Z', false],
    ['2026-08-16T16:00:00.000Z', true],
    ['2026-08-22T15:59:59.999Z', true],
    ['2026-08-22T16:00:00.000Z', false],
  ])('holds within its own validity, to the millisecond: %s', (at, expected) => {
    const validity = { effective_from: '2026-08-17', effective_to: '2026-08-22T16:00:00Z' }
    expect(within({ start: '23:59', end: '00:01', ...validity }, at)).toBe(expected)
  })

  test.each([
    // New York: UTC-4 in summer, UTC-5 in winter; the hour from 02:00 is skipped on 2026-03-08.
    ['2026-07-01T13:00:00Z', true],
    ['2026-12-01T13:00:00Z', false],
    ['2026-12-01T14:00:00Z', true],
    ['2026-03-08T06:59:59Z', false],
    ['2026-03-08T12:59:59Z', false],
    ['2026-03-08T13:00:00Z', true],
  ])('follows the clock of a zone with summer time: %s', (at, expected) => {
    expect(within({ timezone: 'America/New_York', start: '09:00', end: '17:00' }, at)).toBe(expected)
  })

  test.each([
    // 2026-10-01 is a Thursday; a night belongs to the day it starts on.
    ['2026-10-01T23:00:00+08:00', false],
    ['2026-10-02T05:00:00+08:00', false],
    ['2026-10-02T23:00:00+08:00', true],
    ['2026-09-30T23:00:00+08:00', true],
    ['2026-10-01T05:00:00+08:00', true],
  ])('does not hold on a holiday: %s', (at, expected) => {
    expect(within({ start: '22:00', end: '06:00', except_dates: ['2026-10-01'] }, at)).toBe(expected)
  })

  test('is refused with a holiday that does not exist', () => {
    expect(() => parseHours({ ...NIGHT, except_dates: ['2026-02-30'] })).toThrow(RangeError)
  })

  test('is refused with a time or a zone that does not exist', () => {
    expect(() => parseHours({ ...NIGHT, start: '24:00' })).toThrow(RangeError)
    expect(() => parseHours({ ...NIGHT, timezone: 'Asia/Atlantis' })).toThrow(RangeError)
  })

  test('and its complement share no instant and leave none out', () => {
    const time = fc
      .tuple(fc.nat(23), fc.nat(59))
      .map(([hour, minute]) => `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`)
    const zone = fc.constantFrom(
      'Asia/Shanghai',
      'America/New_York',
      'Asia/Kolkata',
      'Australia/Lord_Howe',
      'UTC',
    )
    const instantMs = fc.integer({ min: Date.parse('2024-01-01'), max: Date.parse('2030-01-01') })
    fc.assert(
      fc.property(zone, time, time, instantMs, (timezone, start, end, atMs) => {
        fc.pre(start !== end)
        const day = (days: Hours['days'], from: string, to: string) =>
          isWithin(parseHours({ timezone, days, start: from, end: to }), atMs)
        const holding = [
          day('mon-fri', start, end),
          day('sat-sun', start, end),
          day('mon-fri', end, start),
          day('sat-sun', end, start),
        ]
        expect(holding.filter(Boolean)).toHaveLength(1)
        expect(day('all', start, end)).toBe(holding[0] === true || holding[1] === true)
      }),
    )
  })
})

describe('a zone', () => {
  test.each([
    ['Asia/Shanghai', '2026-09-21T16:05:00Z', 2, 5],
    ['Asia/Kolkata', '2026-09-21T00:00:00Z', 1, 330],
    ['Asia/Kathmandu', '2026-09-20T18:14:00Z', 0, 1439],
    ['Australia/Lord_Howe', '2026-01-01T00:00:00Z', 4, 660],
    ['Australia/Lord_Howe', '2026-07-01T00:00:00Z', 3, 630],
    ['America/New_York', '1969-12-31T23:00:00Z', 3, 1080],
  ])('%s reads %s off its wall', (name, at, weekday, minuteOfDay) => {
    expect(zoneOf(name)(Date.parse(at))).toMatchObject({ weekday, minuteOfDay })
  })

  test('agrees with the calendar of the platform at any instant', () => {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: 'America/New_York',
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
    const instantMs = fc.integer({ min: Date.parse('1980-01-01'), max: Date.parse('2037-01-01') })
    fc.assert(
      fc.property(instantMs, (atMs) => {
        const { weekday, minuteOfDay } = zoneOf('America/New_York')(atMs)
        const hour = String(Math.floor(minuteOfDay / 60)).padStart(2, '0')
        const minute = String(minuteOfDay % 60).padStart(2, '0')
        expect(`${days[weekday]} ${hour}:${minute}`).toBe(format.format(atMs))
      }),
    )
  })
})

describe('a price with bands', () => {
  const price = priceOf({
    tiers: [{ input: '1', output: '4' }],
    time_bands: [
      {
        ...NIGHT,
        tiers: [
          { input_tokens_up_to: 10, input: '0.5', output: '2' },
          { input: '0.7', output: '3' },
        ],
      },
      { ...NIGHT, start: '06:00', end: '10:00', tiers: [{ input: '9', output: '9' }] },
    ],
  })
  const inputPriceAt = (at: string, tokens: number) =>
    rate(price, usageOf(tokens, 0), termsOf({ atMs: Date.parse(at) }))?.lines[0]?.price

  test.each([
    ['outside of all bands by its own tiers', '2026-09-21T12:00:00+08:00', 10, '1'],
    ['inside of one by that band’s tiers, chosen by length', '2026-09-21T01:00:00+08:00', 10, '0.5'],
    ['inside of one by that band’s tiers, past its limit', '2026-09-21T01:00:00+08:00', 11, '0.7'],
    ['inside of two by the first', '2026-09-21T07:00:00+08:00', 11, '0.7'],
    ['inside of the second alone by the second', '2026-09-21T09:00:00+08:00', 11, '9'],
  ])('prices a request %s', (_title, at, tokens, expected) => {
    expect(inputPriceAt(at, tokens)).toBe(expected)
  })
})
