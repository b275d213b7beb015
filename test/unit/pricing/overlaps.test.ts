// Two prices for one instant are an error of the list, unless the order in which they hold is plain.

import { describe, expect, test } from 'vitest'
import type { PriceEntry, PriceTimeBand } from '#core/price.ts'
import { checkEntries, checkOverrides } from '#pricing/check.ts'
import { entryOf } from './prices.ts'

const SPRING = { effective_from: '2026-03-01', effective_to: '2026-06-01' }
const MAY = { effective_from: '2026-05-01', effective_to: '2026-09-01' }
const SUMMER = { effective_from: '2026-06-01', effective_to: '2026-09-01' }

describe('rows of one model', () => {
  const problemsOf = (...rows: readonly Partial<PriceEntry>[]) =>
    checkEntries(rows.map(entryOf)).map(({ problem }) => problem)

  test('that both end and overlap are both found, and each names the other', () => {
    expect(problemsOf(SPRING, MAY)).toEqual([
      'its time (2026-03-01 to 2026-06-01) overlaps that of another row of this model (2026-05-01 to 2026-09-01)',
      'its time (2026-05-01 to 2026-09-01) overlaps that of another row of this model (2026-03-01 to 2026-06-01)',
    ])
  })

  test.each<[string, readonly Partial<PriceEntry>[]]>([
    ['one after the other', [SPRING, SUMMER]],
    ['without an end before a later start', [{ effective_from: '2026-01-01' }, MAY]],
    ['without a start, which give way to all others', [{ effective_to: '2027-01-01' }, MAY]],
    [
      'of two regions',
      [
        { ...SPRING, region: 'cn' },
        { ...MAY, region: 'intl' },
      ],
    ],
    ['of two currencies', [SPRING, { ...MAY, currency: 'USD', tiers: [{ input: '0.1' }] }]],
    ['of which one is only quoted', [SPRING, { ...MAY, quoted_only: true }]],
  ])('%s are taken', (_title, rows) => {
    expect(problemsOf(...rows)).toEqual([])
  })
})

describe('time bands of one row', () => {
  const band = (rest: Partial<PriceTimeBand> = {}): PriceTimeBand => ({
    timezone: 'Asia/Shanghai',
    days: 'mon-fri',
    start: '09:00',
    end: '12:00',
    tiers: [{ input: '1' }],
    ...rest,
  })
  const problemOf = (...bands: readonly PriceTimeBand[]) =>
    checkEntries([entryOf({ time_bands: bands })])[0]?.problem ?? null

  test('that share an hour are named', () => {
    expect(problemOf(band({ end: '10:00', start: '08:00' }), band())).toBe(
      'time bands 0 (mon-fri 08:00 to 10:00 Asia/Shanghai) and 1 (mon-fri 09:00 to 12:00 Asia/Shanghai) overlap',
    )
  })

  test.each<[string, PriceTimeBand]>([
    ['all days and some', band({ days: 'all', start: '11:59', end: '13:00' })],
    ['a night and its morning', band({ days: 'sat-sun', start: '22:00', end: '09:01' })],
    ['a night of Friday and Saturday', band({ days: 'all', start: '22:00', end: '10:00' })],
    ['clocks of two zones', band({ timezone: 'Asia/Tokyo', start: '12:59', end: '14:00' })],
    ['clocks of which one has a summer', band({ timezone: 'Europe/Berlin', start: '05:30', end: '05:59' })],
    ['a time of which one part is dated', band({ effective_from: '2027-01-01' })],
  ])('that share %s are found', (_title, other) => {
    expect(problemOf(band(), other)).toContain('overlap')
    expect(problemOf(other, band())).toContain('overlap')
  })

  test.each<[string, PriceTimeBand]>([
    ['end where the other starts', band({ start: '12:00', end: '13:00' })],
    ['are on other days', band({ days: 'sat-sun' })],
    ['end on the morning after, before the other', band({ start: '22:00', end: '09:00' })],
    ['are apart on the clocks of two zones', band({ timezone: 'Asia/Tokyo', start: '13:00', end: '14:00' })],
  ])('that %s are taken', (_title, other) => {
    expect(problemOf(band(), other)).toBeNull()
  })

  test('that hold one after the other are taken', () => {
    const day = '2026-08-23'
    expect(problemOf(band({ days: 'all', effective_to: day }), band({ effective_from: day }))).toBeNull()
  })
})

describe('parts of a row', () => {
  test('discounts that both end and overlap are named, also of a contract over the list’s price', () => {
    const discounts = [
      { discount: '0.9', ...SPRING },
      { discount: '0.8', ...MAY },
    ]
    const problem = 'discounts 0 (2026-03-01 to 2026-06-01) and 1 (2026-05-01 to 2026-09-01) overlap'
    const contract = { pattern: 'shop/*', entry: entryOf({ tiers: [], discounts }) }
    expect(checkEntries([entryOf({ discounts })])[0]?.problem).toBe(problem)
    expect(checkOverrides([contract], () => [])).toEqual([{ pattern: 'shop/*', problem }])
  })

  test('discounts of which one is for ever are in order: the first that holds', () => {
    const discounts = [{ discount: '0.9', ...SPRING }, { discount: '0.8' }]
    expect(checkEntries([entryOf({ discounts })])).toEqual([])
  })

  test('items of one name are, of two are not', () => {
    const items = (name: 'search_call' | 'tool_call') => [
      { item: 'search_call', price: '0.01', ...SPRING } as const,
      { item: name, price: '0.02', ...MAY } as const,
    ]
    expect(checkEntries([entryOf({ items: items('search_call') })])[0]?.problem).toContain(
      'items search_call 0',
    )
    expect(checkEntries([entryOf({ items: items('tool_call') })])).toEqual([])
  })
})
