import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PriceEntry } from '#core/price.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'
import { entryOf, finderOf, NOON_MS } from './prices.ts'

describe('the name of a model', () => {
  const find = finderOf([
    entryOf({ model: 'plus' }),
    entryOf({ model: 'plus-2026-01-23', aliases: ['plus', 'Latest'] }),
    entryOf({ model: 'seed-250615', aliases: ['seed'] }),
    entryOf({ model: 'seed-251015', aliases: ['seed', 'seed-new'] }),
    entryOf({ model: 'seed-lite-20250711', aliases: ['seed-lite'] }),
    entryOf({ model: 'Org/Model-8B' }),
    entryOf({ model: 'org/model-8b' }),
    entryOf({ model: 'ERNIE-Speed' }),
    entryOf({ model: 'open-*' }),
    entryOf({ model: 'open-large-*' }),
  ])

  test.each([
    ['is the row’s own id', 'seed-250615', 'seed-250615'],
    ['beats an alias when it is an id', 'plus', 'plus'],
    ['may be an alias', 'seed-new', 'seed-251015'],
    ['means the newest snapshot when it is the alias of several', 'seed', 'seed-251015'],
    ['means the newest snapshot in another case too', 'SEED', 'seed-251015'],
    ['may be a snapshot that the list does not know', 'plus-2026-08-01', 'plus'],
    ['may be an unknown snapshot of an alias', 'seed-260101', 'seed-251015'],
    ['may be an unknown snapshot with eight digits', 'seed-lite-20260101', 'seed-lite-20250711'],
    ['is read in the case as written first', 'org/model-8b', 'org/model-8b'],
    ['is read in another case too', 'ernie-speed', 'ERNIE-Speed'],
    ['is read in another case as an alias', 'latest', 'plus-2026-01-23'],
    ['may start as a pattern says, the longest start first', 'open-large-2', 'open-large-*'],
    ['may start as a shorter pattern says', 'open-small', 'open-*'],
  ])('%s: %s', (_title, model, expected) => {
    expect(find(model)).toBe(`vendor/${expected};CNY`)
  })

  test.each(['plu', 'plus-0123', 'plus-2507', 'plus-20261301', 'plus-2026-08', 'seed-2', 'open', '', '*'])(
    'that nobody priced has no price: "%s"',
    (model) => {
      expect(find(model)).toBeNull()
    },
  )

  test('of another provider has no price', () => {
    expect(find('plus', { providerId: 'other' })).toBeNull()
  })

  test('stays unpriced after its own price has ended, though it is the alias of another row', () => {
    const ended = finderOf([
      entryOf({ model: 'lite', effective_to: '2026-01-01' }),
      entryOf({ model: 'lite-character', aliases: ['lite'] }),
    ])
    expect(ended('lite')).toBeNull()
  })

  test('means the newest snapshot that is in force', () => {
    const coming = finderOf([
      entryOf({ model: 'seed-250615', aliases: ['seed'] }),
      entryOf({ model: 'seed-261015', aliases: ['seed'], effective_from: '2026-10-15' }),
    ])
    expect(coming('seed')).toBe('vendor/seed-250615;CNY')
    expect(coming('seed', { at: '2026-10-15T00:00:00+08:00' })).toBe('vendor/seed-261015;CNY;from=2026-10-15')
  })
})

describe('validity', () => {
  const find = finderOf([
    entryOf({ checked_on: '2026-08-22' }),
    entryOf({ effective_from: '2024-05-21', effective_to: '2024-12-31' }),
    entryOf({ effective_from: '2024-07-23', effective_to: '2025-01-01T00:00:00Z' }),
    entryOf({ effective_from: '2027-01-01' }),
  ])
  const always = 'vendor/m;CNY;checked=2026-08-22'
  const may = 'vendor/m;CNY;from=2024-05-21'
  const july = 'vendor/m;CNY;from=2024-07-23'

  test.each([
    ['2024-05-20T23:59:59.999+08:00', always],
    ['2024-05-21T00:00:00.000+08:00', may],
    ['2024-05-20T16:00:00.000Z', may],
    ['2024-07-22T23:59:59.999+08:00', may],
    ['2024-07-23T00:00:00.000+08:00', july],
    ['2024-12-31T00:00:00.000+08:00', july],
    ['2024-12-31T23:59:59.999Z', july],
    ['2025-01-01T00:00:00.000Z', always],
    ['2026-12-31T23:59:59.999+08:00', always],
    ['2027-01-01T00:00:00.000+08:00', 'vendor/m;CNY;from=2027-01-01'],
  ])('at %s takes the latest start that is not in the future', (at, expected) => {
    expect(find('m', { at })).toBe(expected)
  })

  test('is empty in a gap between two rows', () => {
    const gap = finderOf([entryOf({ effective_to: '2026-01-01' }), entryOf({ effective_from: '2026-01-02' })])
    expect(gap('m', { at: '2026-01-01T12:00:00+08:00' })).toBeNull()
  })

  test('of a historic row ends by the day it was looked up where the source has no end', () => {
    const retired = finderOf([entryOf({ historic: true, checked_on: '2025-06-23' })])
    expect(retired('m', { at: '2025-06-22T23:59:59.999+08:00' })).toBe('vendor/m;CNY;checked=2025-06-23')
    expect(retired('m', { at: '2025-06-23T00:00:00+08:00' })).toBeNull()
  })

  test('of a historic row ends where the source says', () => {
    const historic = finderOf([
      entryOf({ historic: true, effective_to: '2024-12-31', checked_on: '2024-05-23' }),
    ])
    expect(historic('m', { at: '2024-12-30T12:00:00+08:00' })).not.toBeNull()
    expect(historic('m')).toBeNull()
  })

  test('of a historic row without any day is never', () => {
    expect(finderOf([entryOf({ historic: true })])('m', { at: '2020-01-01T00:00:00Z' })).toBeNull()
  })

  test('is independent of the order of rows', () => {
    const day = fc.date({ min: new Date('2024-01-01'), max: new Date('2027-01-01'), noInvalidDate: true })
    const starts = fc.uniqueArray(
      day.map((date) => date.toISOString().slice(0, 10)),
      { minLength: 1, maxLength: 8 },
    )
    fc.assert(
      fc.property(starts, day, fc.nat(), (days, at, turn) => {
        const entries = days.map((from) => entryOf({ effective_from: from }))
        const turned = entries.map((_, index) => entries[(index + turn) % entries.length] ?? entryOf())
        const expected = days
          .filter((from) => Date.parse(`${from}T00:00:00+08:00`) <= at.getTime())
          .toSorted()
          .at(-1)
        const version = expected === undefined ? null : `vendor/m;CNY;from=${expected}`
        expect(finderOf(turned)('m', { atMs: at.getTime() })).toBe(version)
      }),
    )
  })
})

describe('the region', () => {
  const find = finderOf([
    entryOf({ model: 'both', region: 'cn' }),
    entryOf({ model: 'both', region: 'intl', currency: 'USD' }),
    entryOf({ model: 'both', region: 'us', currency: 'USD' }),
    entryOf({ model: 'home', region: 'cn' }),
    entryOf({ model: 'abroad', region: 'intl', currency: 'USD' }),
    entryOf({ model: 'anywhere' }),
    entryOf({ model: 'anywhere', region: 'cn' }),
  ])

  test.each([
    ['its own row first', 'both', 'us', 'vendor/both@us;USD'],
    ['the international row where it has none', 'both', 'eu', 'vendor/both@intl;USD'],
    ['the mainland’s row in the mainland', 'both', 'cn', 'vendor/both@cn;CNY'],
    ['its own row before one without a region', 'anywhere', 'cn', 'vendor/anywhere@cn;CNY'],
    ['a row without a region anywhere', 'anywhere', 'moon', 'vendor/anywhere;CNY'],
    ['no international row in a part of the mainland', 'abroad', 'cn-beijing', null],
    ['no mainland row abroad', 'home', 'intl', null],
    ['no mainland row in another region', 'home', 'us', null],
    ['no international row in the mainland', 'abroad', 'cn', null],
  ])('takes %s', (_title, model, region, expected) => {
    expect(find(model, { region })).toBe(expected)
  })
})

describe('one price in two currencies', () => {
  const entries = [entryOf({ currency: 'USD' }), entryOf()]

  test('is taken in the currency of the books', () => {
    expect(finderOf(entries, { currency: 'CNY' })('m')).toBe('vendor/m;CNY')
    expect(finderOf(entries, { currency: 'USD' })('m')).toBe('vendor/m;USD')
  })

  test('is the list’s first one where the books have neither', () => {
    expect(finderOf(entries, { currency: 'EUR' })('m')).toBe('vendor/m;USD')
    expect(finderOf(entries)('m')).toBe('vendor/m;USD')
  })

  test('beats a later start in another currency, since that would have to be converted', () => {
    const later = entryOf({ currency: 'USD', effective_from: '2026-01-01' })
    expect(finderOf([...entries, later], { currency: 'CNY' })('m')).toBe('vendor/m;CNY')
  })

  test('gives way where the books’ own has ended', () => {
    const ended = [entryOf({ effective_to: '2026-01-01' }), entryOf({ currency: 'USD' })]
    expect(finderOf(ended, { currency: 'CNY' })('m')).toBe('vendor/m;USD')
  })
})

describe('the configuration', () => {
  const override = (pattern: string, entry: Partial<PriceEntry> = {}) => ({
    pattern,
    entry: entryOf({ model: pattern.slice(pattern.indexOf('/') + 1), ...entry }),
  })
  const find = finderOf([entryOf({ model: 'listed' }), entryOf({ model: 'other-250615' })], {
    overrides: [
      override('shop/*'),
      override('shop/listed', { aliases: ['listed-too'] }),
      override('shop/ended', { effective_to: '2026-01-01' }),
      override('shop/abroad', { region: 'intl' }),
      override('shop/org/deep'),
    ],
  })

  test.each([
    ['exactly', 'listed', 'config:shop/listed'],
    ['by alias', 'listed-too', 'config:shop/listed'],
    ['with a slash in the model', 'org/deep', 'config:shop/org/deep'],
    ['by the pattern for all else', 'other-250615', 'config:shop/*'],
    ['by the pattern for models that no list knows', 'unheard-of', 'config:shop/*'],
    ['by the pattern after the exact price has ended', 'ended', 'config:shop/*'],
    ['by the pattern where the exact price is another region’s', 'abroad', 'config:shop/*'],
  ])('prices a model %s before the list does', (_title, model, expected) => {
    expect(find(model)).toBe(expected)
  })

  test('speaks of providers by their configured name', () => {
    expect(find('listed', { providerName: 'vendor' })).toBe('vendor/listed;CNY')
  })

  test('leaves to the list what it does not speak of at that time', () => {
    const only = finderOf([entryOf({ model: 'listed' })], {
      overrides: [override('shop/listed', { effective_from: '2027-01-01' })],
    })
    expect(only('listed')).toBe('vendor/listed;CNY')
    expect(only('listed', { at: '2027-01-01T00:00:00+08:00' })).toBe('config:shop/listed')
  })

  test('does not price a model whose name only resembles it', () => {
    const only = finderOf([], { overrides: [override('shop/seed')] })
    expect(only('seed-250615')).toBeNull()
    expect(only('SEED')).toBeNull()
  })
})

test('any number of names is answered, and the same way again', () => {
  const find = finderOf([entryOf({ model: 'known-*' })])
  for (let index = 0; index < 20_001; index++) find(`known-${index}`)
  expect(find('known-0')).toBe('vendor/known-*;CNY')
  expect(find('unknown')).toBeNull()
})

test('an entry that cannot be read is refused when the catalogue is built', () => {
  expect(() => finderOf([entryOf({ tiers: [{ input: '1e3' }] })])).toThrow(RangeError)
  for (const from of ['soon', '2026-13-01', '2026-01-01T10:00:00', '1 May 2026', '2026-02-31'])
    expect(() => finderOf([entryOf({ effective_from: from })])).toThrow(RangeError)
})

describe('facts', () => {
  const { facts } = buildCatalogue({
    lists: [
      {
        provider: 'vendor',
        entries: [
          entryOf({
            model: 'm',
            effective_from: '2024-01-01',
            historic: true,
            context_window: 1,
            capabilities: ['old'],
          }),
          entryOf({ model: 'm', context_window: 2, capabilities: [] }),
          entryOf({ model: 'm', region: 'intl', context_window: 3, capabilities: ['tools'] }),
          entryOf({ model: 'plain-250615', aliases: ['plain'] }),
        ],
      },
    ],
    overrides: [],
  })

  const factsOf = (provider: string, model: string) =>
    facts({ providerName: provider, providerId: provider, model })

  test('come from the first row that knows them, historic rows last', () => {
    expect(factsOf('vendor', 'm')).toEqual({ contextWindow: 2, maxOutput: null, capabilities: ['tools'] })
  })

  test('are unknown where no row says', () => {
    expect(factsOf('vendor', 'plain')).toEqual({ contextWindow: null, maxOutput: null, capabilities: null })
  })

  test('come from the configuration first, by the name that it gives the provider', () => {
    const entry = entryOf({ context_window: 9 })
    const catalogue = buildCatalogue({
      lists: [
        {
          provider: 'vendor',
          entries: [entryOf({ model: 'm', context_window: 2, capabilities: ['tools'] })],
        },
      ],
      overrides: [{ pattern: 'own/*', entry }],
    })
    const query = { providerName: 'own', providerId: 'vendor', model: 'm' }
    expect(catalogue.facts(query)).toEqual({ contextWindow: 9, maxOutput: null, capabilities: ['tools'] })
    expect(catalogue.facts({ ...query, providerName: 'vendor' })?.contextWindow).toBe(2)
  })

  test('are none of a model or a provider that no list knows', () => {
    expect(factsOf('vendor', 'x')).toBeNull()
    expect(factsOf('other', 'm')).toBeNull()
  })
})

test('prices are found at the instant that is asked for, not at the one asked for first', () => {
  const find = finderOf([entryOf(), entryOf({ effective_from: '2026-09-21T12:00:00+08:00' })])
  expect(find('m', { atMs: NOON_MS - 1 })).toBe('vendor/m;CNY')
  expect(find('m', { atMs: NOON_MS })).toBe('vendor/m;CNY;from=2026-09-21T12:00:00+08:00')
  expect(find('m', { atMs: NOON_MS - 1 })).toBe('vendor/m;CNY')
})

test('a contract of the configuration goes over the list’s price of a provider or a model', () => {
  const catalogue = buildCatalogue({
    lists: [{ provider: 'vendor', entries: [entryOf(), entryOf({ model: 'other' })] }],
    overrides: [
      { pattern: 'shop/*', entry: entryOf({ model: '*', tiers: [], discounts: [{ discount: '0.9' }] }) },
      { pattern: 'shop/m', entry: entryOf({ tiers: [], discounts: [{ discount: '0.5' }] }) },
    ],
  })
  const shares = (providerName: string, model: string) =>
    catalogue
      .find({ providerName, providerId: 'vendor', region: 'cn', model, atMs: NOON_MS })
      ?.discounts.map(({ share }) => share)
  expect(shares('shop', 'm')).toEqual([500_000n, 900_000n])
  expect(shares('shop', 'other')).toEqual([900_000n])
  expect(shares('elsewhere', 'm')).toEqual([])
})

test('a row that is only quoted prices nothing', () => {
  expect(finderOf([entryOf({ quoted_only: true })])('m')).toBeNull()
})
