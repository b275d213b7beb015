import { describe, expect, test } from 'vitest'
import { type CollectedEntry, importPrices } from '#cli/import-prices.ts'
import type { PriceEntry } from '#core/price.ts'

const PROVIDERS = ['doubao', 'qwen', 'zhipu', 'vllm']

function collected(entry: Partial<CollectedEntry> & Record<string, unknown> = {}): CollectedEntry {
  return {
    provider: 'volcengine',
    model: 'seed',
    kind: 'chat',
    region: 'cn',
    currency: 'CNY',
    unit: 'per_million_tokens',
    tiers: [{ input: '0.8', output: '2' }],
    aliases: [],
    capabilities: [],
    context_window: null,
    ...entry,
  }
}

/** What becomes of one entry. */
function imported(entry: Partial<CollectedEntry> & Record<string, unknown>) {
  const { lists, unmapped, leftOut } = importPrices([collected(entry)], PROVIDERS)
  const found = [...lists].flatMap(([provider, entries]) => entries.map((own) => ({ provider, entry: own })))
  return { mapped: found[0], reason: unmapped[0]?.reason, leftOut }
}

test('an entry keeps its names, tiers, bands, dates, facts and source', () => {
  const band = { timezone: 'Asia/Shanghai', days: 'all', start: '00:30', end: '08:30' } as const
  const { mapped } = imported({
    model: 'seed-250615',
    aliases: ['seed'],
    tiers: [
      {
        input_tokens_up_to: 32000,
        output_tokens_up_to: 200,
        input: '0.8',
        cached_input: '0.16',
        output: '2',
      },
      { input: '1.2', output: '16', thinking_output: '20', batch_discount: '0.5' },
    ],
    time_bands: [{ ...band, effective_from: '2025-02-26', tiers: [{ input: '0.4', output: '1' }] }],
    effective_from: '2025-02-25',
    effective_to: '2025-09-05',
    context_window: 256000,
    max_output: 16384,
    capabilities: ['tools'],
    source: 'https://vendor.example/pricing',
    source_date: '2026-08-22',
    confidence: 'high',
  })
  expect(mapped).toEqual({
    provider: 'doubao',
    entry: {
      model: 'seed-250615',
      aliases: ['seed'],
      region: 'cn',
      currency: 'CNY',
      unit: 'per_million_tokens',
      tiers: [
        {
          input_tokens_up_to: 32000,
          output_tokens_up_to: 200,
          input: '0.8',
          cached_input: '0.16',
          output: '2',
        },
        { input: '1.2', output: '16', thinking_output: '20' },
      ],
      time_bands: [{ ...band, effective_from: '2025-02-26', tiers: [{ input: '0.4', output: '1' }] }],
      effective_from: '2025-02-25',
      effective_to: '2025-09-05',
      context_window: 256000,
      max_output: 16384,
      capabilities: ['tools'],
      source: 'https://vendor.example/pricing',
      checked_on: '2026-08-22',
    } satisfies PriceEntry,
  })
})

test('a source is cited without the places of its copies', () => {
  const source =
    'https://vendor.example/p (full stored copy of the page, text id 56160251087) ; a table (CNY)'
  expect(imported({ source }).mapped?.entry.source).toBe('https://vendor.example/p ; a table (CNY)')
})

test('what the collection does not know is left out', () => {
  expect(Object.keys(imported({}).mapped?.entry ?? {})).toEqual([
    'model',
    'region',
    'currency',
    'unit',
    'tiers',
  ])
})

test.each([
  ['volcengine', 'cn', 'doubao', 'cn'],
  ['byteplus', 'intl', 'doubao', 'intl'],
  ['dashscope-intl', 'us', 'qwen', 'us'],
  ['dashscope-intl', null, 'qwen', 'intl'],
  ['zai', 'intl', 'zhipu', 'intl'],
  ['zhipu', null, 'zhipu', undefined],
])('the vendor %s in region %s is %s in region %s', (provider, region, expected, expectedRegion) => {
  const { mapped } = imported({ provider, region })
  expect([mapped?.provider, mapped?.entry.region]).toEqual([expected, expectedRegion])
})

test.each([
  ['historic (end date unknown)', true],
  ['retired 2024 family', true],
  ['absent from newest snapshot', undefined],
  [undefined, undefined],
])('the status "%s" makes a row historic: %s', (status, expected) => {
  expect(imported(status === undefined ? {} : { status }).mapped?.entry.historic).toBe(expected)
})

test('a display name is also called as the API calls it', () => {
  const { mapped } = imported({ model: 'ByteDance-Seed-1.6-flash', id_kind: 'display_name' })
  expect(mapped?.entry.aliases).toEqual(['seed-1-6-flash'])
})

describe('a rule of caches', () => {
  test.each([
    [
      'fills in what the tiers do not print',
      'implicit read 20% of input; explicit (cache_control) create 125%, read 10%',
      { input: '0.15', cached_input: '0.03', output: '1' },
      { cached_input: '0.03', cached_input_explicit: '0.015', cache_write: '0.1875' },
    ],
    [
      'tells the explicit hit from the implicit one',
      'cached_input here is the EXPLICIT read (10%) and cache_write the explicit create (125%); implicit read would be 20%',
      { input: '2', cached_input: '0.2', cache_write: '2.5', output: '12' },
      { cached_input: '0.4', cached_input_explicit: '0.2', cache_write: '2.5' },
    ],
  ])('%s', (_title, cache_rule, tier, expected) => {
    expect(imported({ cache_rule, tiers: [tier] }).mapped?.entry.tiers[0]).toMatchObject(expected)
  })
})

test.each<[string, Partial<CollectedEntry> & Record<string, unknown>]>([
  ['unit per_image', { unit: 'per_image' }],
  ['kind video', { kind: 'video', tiers: [{ output: '15' }] }],
  ['no provider for longcat', { provider: 'longcat' }],
  [
    'tokens of images or sound have prices of their own',
    { tiers: [{ input: '1', output: '2', input_audio: '5' }] },
  ],
  ['tiers hang on more than lengths', { tiers: [{ input: '1', output: '2', condition: { audio: true } }] }],
  ['a tier lacks the price of input or output', { tiers: [{ input: '1' }] }],
  ['a price is no decimal string', { tiers: [{ input: '4e-07', output: '1' }] }],
  ['a price is no decimal string', { tiers: [{ input: 0.8, output: '1' }] }],
  [
    'tier 1 is never reached: tier 0 fits all that it fits',
    {
      tiers: [
        { input: '1', output: '1' },
        { input_tokens_up_to: 5, input: '1', output: '1' },
      ],
    },
  ],
])('an entry is not mapped, and the reason is said: %s', (reason, entry) => {
  expect(imported(entry)).toMatchObject({ mapped: undefined, reason })
})

test('an embedding has no output to price', () => {
  expect(imported({ kind: 'embedding', tiers: [{ input: '0.5' }] }).mapped?.entry.tiers).toEqual([
    { input: '0.5' },
  ])
})

test('rivals are both left out', () => {
  const { lists, unmapped } = importPrices(
    [collected(), collected({ tiers: [{ input: '9', output: '9' }] })],
    PROVIDERS,
  )
  expect(lists.get('doubao')).toEqual([])
  expect(unmapped).toHaveLength(2)
})

test('every provider gets a list, in one order whatever the collection’s', () => {
  const entries = [
    collected({ model: 'b' }),
    collected({ model: 'a', region: 'intl', currency: 'USD' }),
    collected({ model: 'a', region: 'intl' }),
    collected({ model: 'a', effective_from: '2026-01-01' }),
    collected({ model: 'a' }),
    collected({ model: 'B' }),
  ]
  const forth = importPrices(entries, PROVIDERS)
  const back = importPrices(entries.toReversed(), PROVIDERS.toReversed())
  expect(JSON.stringify([...back.lists])).toBe(JSON.stringify([...forth.lists]))
  expect([...forth.lists.keys()]).toEqual(['doubao', 'qwen', 'vllm', 'zhipu'])
  expect(
    forth.lists
      .get('doubao')
      ?.map(({ model, region, currency, effective_from: from }) =>
        [model, region, currency, from].join(' ').trim(),
      ),
  ).toEqual(['B cn CNY', 'a cn CNY', 'a cn CNY 2026-01-01', 'a intl CNY', 'a intl USD', 'b cn CNY'])
})

test('what has no field yet is counted, of mapped entries only', () => {
  const rest = { tiers: [{ input: '1', output: '1', batch_discount: '0.5' }], free_quota: '1M tokens' }
  const { leftOut } = importPrices(
    [collected(rest), collected({ ...rest, model: 'other' }), collected({ ...rest, unit: 'per_image' })],
    PROVIDERS,
  )
  expect(Object.fromEntries(leftOut)).toEqual({ free_quota: 2, batch_discount: 2 })
})
