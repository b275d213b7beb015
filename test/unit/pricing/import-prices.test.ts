import { describe, expect, test } from 'vitest'
import type { CollectedEntry } from '#cli/collected-entry.ts'
import { importPrices } from '#cli/import-prices.ts'
import { readQuota } from '#cli/import-rules.ts'
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
      { input: '1.2', output: '16', thinking_output: '20' },
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
  ['unit per_parsec', { unit: 'per_parsec' }],
  ['no provider for longcat', { provider: 'longcat' }],
  [
    'its tiers count over many requests, which no single one can know',
    { unit: 'per_image', kind: 'image', tiers: [{ quantity_up_to: 25, output: '0.3' }, { output: '0.1' }] },
  ],
  ['a tier has no single price per_second', { unit: 'per_second', tiers: [{ input: '1', output: '2' }] }],
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

test('what has no place is counted, of mapped entries only', () => {
  const rest = { tiers: [{ input: '1', output: '1', cached_input_unconfirmed: true }], free_quota: 'some' }
  const { leftOut } = importPrices(
    [collected(rest), collected({ ...rest, model: 'other' }), collected({ ...rest, provider: 'longcat' })],
    PROVIDERS,
  )
  expect(Object.fromEntries(leftOut)).toEqual({
    'free_quota in unclear prose': 2,
    cached_input_unconfirmed: 2,
  })
})

describe('an entry by another unit than tokens', () => {
  test.each<[string, Partial<CollectedEntry> & Record<string, unknown>, Partial<PriceEntry>]>([
    [
      'images',
      { kind: 'image', unit: 'per_image', tiers: [{ output: '0.25' }] },
      { unit: 'per_image', tiers: [{ price: '0.25' }] },
    ],
    [
      'speech, by its rule of characters',
      {
        kind: 'tts',
        unit: 'per_10k_chars',
        tiers: [{ input: '2' }],
        char_rule: '1 Chinese character = 2 billing chars; others 1',
        voice_clone_one_off: '9.9',
      },
      {
        tiers: [{ price: '2' }],
        character_rule: 'han_double',
        items: [{ item: 'voice_clone', price: '9.9' }],
      },
    ],
    [
      'video, by resolution and the seconds given in',
      {
        kind: 'video',
        model: 'wan2.6-r2v',
        unit: 'per_second',
        tiers: [{ condition: { resolution: '720P', generate_audio: true }, output: '0.6' }],
      },
      {
        input_seconds_up_to: 5,
        tiers: [{ when: { resolution: '720P', audio: true }, price: '0.6' }],
      },
    ],
    [
      'hearing, by whole seconds',
      { kind: 'asr', unit: 'per_second', tiers: [{ input: '0.00008' }], note: 'seconds rounded half up' },
      { rounding: 'half_up', tiers: [{ price: '0.00008' }] },
    ],
  ])('keeps %s', (_title, entry, expected) => {
    expect(imported(entry).mapped?.entry).toMatchObject(expected)
  })
})

describe('a batch', () => {
  const batch = { service_tier: 'batch' }

  test('at a share of the list has no hits of a cache, and its rows go first', () => {
    const tier = {
      input: '2.4',
      cached_input: '0.5',
      output: '10',
      thinking_output: '20',
      batch_discount: '0.5',
    }
    const tiers = [{ ...tier, input_tokens_up_to: 32000 }, tier]
    const { batch_discount: _share, ...plain } = tier
    expect(imported({ tiers }).mapped?.entry.tiers).toEqual([
      { when: batch, input_tokens_up_to: 32000, input: '1.2', output: '5', thinking_output: '10' },
      { when: batch, input: '1.2', output: '5', thinking_output: '10' },
      { ...plain, input_tokens_up_to: 32000 },
      plain,
    ])
  })

  test('with prices of its own leaves the hits of the cache at theirs', () => {
    const tiers = [{ input: '0.8', cached_input: '0.16', output: '8', batch_input: '0.4', batch_output: '4' }]
    expect(imported({ tiers }).mapped?.entry.tiers[0]).toEqual({
      when: batch,
      input: '0.4',
      output: '4',
      cached_input: '0.16',
    })
  })
})

test('tokens of sound and images keep their prices, from the tier or beside it', () => {
  const entry = {
    tiers: [{ input: '7', output: '40', input_audio: '53' }],
    image_input: 7,
    audio_output: '213',
  }
  expect(imported(entry).mapped?.entry.tiers).toEqual([
    { input: '7', output: '40', audio_input: '53', image_input: '7', audio_output: '213' },
  ])
})

test('a surcharge that is an entry of its own goes on the models it is for', () => {
  const search = collected({
    model: 'web-search-plugin-plus',
    kind: 'search',
    unit: 'per_call',
    tiers: [{ input: '0.006' }],
  })
  const { lists, unmapped } = importPrices(
    [collected(), search, collected({ provider: 'byteplus', region: 'intl', currency: 'USD' })],
    PROVIDERS,
  )
  expect(unmapped).toEqual([])
  expect(lists.get('doubao')?.map(({ region, items }) => [region, items])).toEqual([
    ['cn', [{ item: 'search_call', price: '0.006' }]],
    ['intl', undefined],
  ])
})

test.each([
  ['1,000,000 tokens within 90 days of activation, mainland scope only', 1_000_000, 'tokens', 90],
  ['1M/90d', 1_000_000, 'tokens', 90],
  ['500k tokens/90d', 500_000, 'tokens', 90],
  ['36,000 s / 90 days', 36_000, 'seconds', 90],
  ['36,000 s per month', 36_000, 'seconds', undefined],
  ['30,000 chars/month per model', 30_000, 'characters', undefined],
  ['10 voices per account', 10, 'voices', undefined],
])('the free quota "%s" is read', (text, amount, unit, days) => {
  expect(readQuota(text)).toMatchObject({ amount, unit })
  expect(readQuota(text)?.valid_days).toBe(days)
})

describe('what older sources had', () => {
  const past = (as_of: string, input: string, output = '3') => ({
    as_of,
    source: 'an older page',
    unit: 'per_million_tokens',
    tiers: [{ input, output }],
  })
  const rowsOf = (entry: Partial<CollectedEntry>, others: readonly CollectedEntry[] = []) =>
    importPrices([collected({ source_date: '2026-08-22', ...entry }), ...others], PROVIDERS)
      .lists.get('doubao')
      ?.map(({ tiers, effective_from: from, effective_to: to, historic }) =>
        [tiers[0]?.input, from ?? '', to ?? '', historic === true ? 'historic' : ''].join(' ').trim(),
      )

  test('becomes rows one after the other, and the row of today begins after them', () => {
    expect(rowsOf({ price_history: [past('2026-05-26', '2'), past('2026-02-11', '3')] })).toEqual(
      ['3  2026-02-12 historic', '0.8 2026-05-27', '2 2026-02-12 2026-05-27 historic'].toSorted((a, b) =>
        (a.split(' ')[1] ?? '').localeCompare(b.split(' ')[1] ?? ''),
      ),
    )
  })

  test.each<[string, Partial<CollectedEntry>]>([
    ['is no older than its row', { price_history: [past('2026-08-22', '2')] }],
    ['is misread', { price_history: [past('2026-05-26', '15', '0.6')] }],
    ['is in another unit', { price_history: [{ ...past('2026-05-26', '2'), unit: 'per_image' }] }],
  ])('is left out where it %s', (_title, entry) => {
    expect(rowsOf(entry)).toEqual(['0.8'])
  })

  test('is left out where the collection has rows of the past itself', () => {
    const historic = collected({
      status: 'historic',
      effective_from: '2024-05-01',
      effective_to: '2025-04-01',
      tiers: [{ input: '60', output: '60' }],
    })
    expect(rowsOf({ price_history: [past('2025-02-21', '60', '60')] }, [historic])).toEqual([
      '0.8',
      '60 2024-05-01 2025-04-01 historic',
    ])
  })
})

test('of two sources that give one price two ends the later is believed from its start on', () => {
  const spans = (first: readonly string[], second: readonly string[]) => {
    const rows = [first, second].map(([effective_from = '', effective_to = '']) =>
      collected({ status: 'historic', effective_from, effective_to }),
    )
    const { lists, unmapped } = importPrices(rows, PROVIDERS)
    const found = lists.get('doubao')?.map((row) => [row.effective_from, row.effective_to])
    return { found, unmapped: unmapped.length }
  }
  expect(spans(['2024-05-21', '2024-12-31'], ['2024-07-23', '2025-01-01'])).toEqual({
    found: [
      ['2024-05-21', '2024-07-23'],
      ['2024-07-23', '2025-01-01'],
    ],
    unmapped: 0,
  })
  // After the shorter one the longer one would hold again: which is right the sources do not say.
  expect(spans(['2024-05-21', '2024-12-31'], ['2024-07-23', '2024-08-01'])).toEqual({
    found: [],
    unmapped: 2,
  })
})

test('what is only quoted may lack a part and does not rival the row it was before', () => {
  const quoted = collected({ quoted_only: true, tiers: [{ input: '5' }], effective_to: '2024-05-11' })
  const { lists, unmapped } = importPrices([collected(), quoted], PROVIDERS)
  expect(unmapped).toEqual([])
  expect(lists.get('doubao')?.map(({ quoted_only: only }) => only)).toEqual([undefined, true])
})
