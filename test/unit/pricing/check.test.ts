import { expect, test } from 'vitest'
import type { PriceEntry, PriceTimeBand } from '#core/price.ts'
import { checkEntries } from '#pricing/check.ts'
import { entryOf } from './prices.ts'

const band = (rest: Partial<PriceTimeBand>): Partial<PriceEntry> => ({
  time_bands: [
    {
      timezone: 'Asia/Shanghai',
      days: 'all',
      start: '00:30',
      end: '08:30',
      tiers: [{ input: '1' }],
      ...rest,
    },
  ],
})

test.each<[string, Partial<PriceEntry>, string]>([
  ['a price that is no decimal', { tiers: [{ input: '1e-3' }] }, '"1e-3" is not a decimal number'],
  [
    'a price too fine to keep',
    { tiers: [{ input: '0.0000001' }] },
    '"0.0000001" has more than 6 decimal places',
  ],
  ['a negative price', { tiers: [{ input: '1', output: '-1' }] }, 'a price is negative'],
  ['no tier', { tiers: [] }, 'has no tier'],
  ['a tier without a price', { tiers: [{ input_tokens_up_to: 5 }] }, 'a tier has no price'],
  ['a currency that is none', { currency: 'yuan' }, '"yuan" is no currency'],
  ['a start that is no date', { effective_from: 'May' }, '"May" is no date'],
  ['a check that is no date', { checked_on: 'May' }, '"May" is no date'],
  ['an end at its start', { effective_from: '2026-01-01', effective_to: '2026-01-01' }, 'is never in force'],
  [
    'a tier behind a wider one',
    {
      tiers: [
        { input_tokens_up_to: 9, input: '1' },
        { input: '2' },
        { input_tokens_up_to: 9, output_tokens_up_to: 2, input: '3' },
      ],
    },
    'tier 2 is never reached: tier 0 fits all that it fits',
  ],
  ['a band that ends where it starts', band({ end: '00:30' }), 'a time band ends where it starts'],
  [
    'a band that is never in force',
    band({ effective_from: '2026-01-02', effective_to: '2026-01-01' }),
    'a time band is never in force',
  ],
  ['a band at no time', band({ start: '8:30' }), '"8:30" is no time of day'],
  ['a band without a tier', band({ tiers: [] }), 'has no tier'],
  ['a band in no zone', band({ timezone: 'Mars/Olympus' }), 'Invalid time zone specified: Mars/Olympus'],
])('an entry with %s is found', (_title, rest, problem) => {
  const entry = entryOf(rest)
  expect(checkEntries([entryOf({ model: 'sound' }), entry])).toEqual([{ entry, problem }])
})

test.each<[string, Partial<PriceEntry>, boolean]>([
  ['start', { effective_from: '2026-01-01T00:00:00+08:00' }, true],
  ['start and end', { effective_from: '2026-01-01', effective_to: '2027-01-01' }, true],
  ['model with another start', { effective_from: '2026-01-02' }, false],
  ['model in another region', { effective_from: '2026-01-01', region: 'intl' }, false],
  ['model in another currency', { effective_from: '2026-01-01', currency: 'USD' }, false],
])('two rows of one model are rivals when they have the same %s: %#', (_title, rest, areRivals) => {
  const entries = [entryOf({ effective_from: '2026-01-01' }), entryOf(rest)]
  const expected = areRivals ? entries : []
  expect(checkEntries(entries).map(({ entry }) => entry)).toEqual(expected)
})

test('joint bounds may narrow one after the other', () => {
  const tiers = [
    { input_tokens_up_to: 32, output_tokens_up_to: 2, input: '1' },
    { input_tokens_up_to: 32, input: '2' },
    { output_tokens_up_to: 2, input: '3' },
    { input: '4' },
  ]
  expect(checkEntries([entryOf({ tiers })])).toEqual([])
})
