import { describe, expect, test } from 'vitest'
import type { PriceEntry, PriceTimeBand } from '#core/price.ts'
import { checkEntries, checkOverrides } from '#pricing/check.ts'
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

test.each<[string, Partial<PriceEntry>, string]>([
  ['per thousand tokens', { tiers: [{ input: '0.0008', output: '0.002' }] }, 'input 0.0008 CNY'],
  ['per token, in dollars', { currency: 'USD', tiers: [{ input: '0.0000006' }] }, 'has more than 6'],
  ['a thousand times too high', { tiers: [{ input: '1', output: '2000' }] }, 'output 2000 CNY'],
  [
    'per character',
    { unit: 'per_10k_chars', tiers: [{ price: '0.0001' }] },
    'price 0.0001 CNY per_10k_chars',
  ],
])('a price that is meant %s is found', (_title, rest, problem) => {
  expect(checkEntries([entryOf(rest)]).map((found) => found.problem)).toEqual([
    expect.stringContaining(problem),
  ])
})

test('a price that is free, cached or said to be unusual is taken', () => {
  const entries = [
    entryOf({ model: 'free', tiers: [{ input: '0', output: '0' }] }),
    entryOf({ model: 'cached', tiers: [{ input: '0.1', cached_input: '0.0005' }] }),
    entryOf({ model: 'unusual', unusual: true, tiers: [{ input: '0.0008', output: '9000' }] }),
  ]
  expect(checkEntries(entries)).toEqual([])
})

test('two prices of one model that are a unit apart are found', () => {
  const slip = entryOf({ effective_from: '2026-01-01', tiers: [{ input: '0.01', output: '0.02' }] })
  expect(checkEntries([entryOf({ tiers: [{ input: '10', output: '20' }] }), slip])).toEqual([
    { entry: slip, problem: 'costs hundreds of times what another row of this model does' },
  ])
})

test.each<[string, Partial<PriceEntry>]>([
  ['images by tokens', { unit: 'per_image', tiers: [{ output: '0.25' }] }],
  ['tokens by one price', { tiers: [{ price: '0.25' }] }],
])('a row that prices %s is found', (_title, rest) => {
  const entry = entryOf(rest)
  expect(checkEntries([entry])[0]?.problem).toBe(`a tier has a price that is not ${entry.unit}`)
})

test('a row for some requests does not hide one for all', () => {
  const tiers = [{ when: { service_tier: 'batch' }, input: '1' }, { input: '2' }]
  expect(checkEntries([entryOf({ tiers })])).toEqual([])
  expect(checkEntries([entryOf({ tiers: tiers.toReversed() })])[0]?.problem).toContain('never reached')
})

describe('a price of the configuration', () => {
  const listed = [entryOf(), entryOf({ model: 'old', historic: true, tiers: [{ input: '0.01' }] })]
  const problemsOf = (rest: Partial<PriceEntry>) =>
    checkOverrides([{ pattern: 'shop/m', entry: entryOf(rest) }], (name) => (name === 'shop' ? listed : []))

  test.each<[string, Partial<PriceEntry>, string]>([
    ['is no likely one', { tiers: [{ input: '0.0008' }] }, 'no likely price'],
    ['is a unit away from the list', { tiers: [{ input: '800' }] }, 'hundreds of times'],
  ])('that %s is found', (_title, rest, problem) => {
    expect(problemsOf(rest)).toEqual([{ pattern: 'shop/m', problem: expect.stringContaining(problem) }])
  })

  test.each<[string, Partial<PriceEntry>]>([
    ['near the list’s', { tiers: [{ input: '1.2' }] }],
    ['free on purpose', { tiers: [{ input: '0', output: '0' }] }],
    ['said to be unusual', { unusual: true, tiers: [{ input: '800' }] }],
    ['a contract', { tiers: [] }],
    ['far from a price of the past', { model: 'old', tiers: [{ input: '10' }] }],
  ])('that is %s is taken', (_title, rest) => {
    expect(problemsOf(rest)).toEqual([])
  })
})
