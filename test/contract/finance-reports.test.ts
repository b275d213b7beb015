// Reports over a SQLite ledger as finance reads them: whatever is asked, rows come to the total and the total to the rows
// of the ledger.

import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import type { LedgerRow } from '#core/ledger.ts'
import { type Nano, parseDecimal } from '#core/money.ts'
import { arbitraryRows, attemptRow, batchOf, START_MS } from '../support/ledger-rows.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'
import { type Asker, askUsage, openApp } from '../unit/http/support.ts'

const SEED = 20_261_103
const folder = temporaryFolder()
afterAll(() => folder.remove())

const CONFIG = {
  tax: { rate: '0.06' },
  providers: {
    main: { use: 'vendor', api_key: 'secret-of-vendor' },
    qwen: { use: 'vendor', api_key: 'secret-of-vendor', tax: { included: false, rate: '0.13' } },
    doubao: { use: 'vendor', api_key: 'secret-of-vendor' },
  },
  prices: {
    'main/small': {
      currency: 'CNY',
      unit: 'per_million_tokens',
      tiers: [
        { input_tokens_up_to: 32_000, input: '1', cached_input: '0.2', output: '3' },
        { input: '2', cached_input: '0.4', output: '6' },
      ],
    },
    'doubao/*': {
      currency: 'CNY',
      unit: 'per_million_tokens',
      tiers: [{ input: '0.8', cached_input: '0.16', output: '2' }],
    },
  },
  organisations: { acme: { time_zone: 'America/New_York', cost_centre: 'CC-1' } },
  teams: {
    growth: { organisation: 'acme', charge: { markup: '0.10' }, contract_number: 'HT-2026-07' },
    'ops "quoted"': {
      cost_centre: '=CC-2',
      charge: { prices: { 'qwen/*': { input: '1', output: '2.5' } }, markup: '-0.003' },
    },
  },
}

let files = 0
async function appWith(rows: readonly LedgerRow[]): Promise<Asker> {
  const { store } = openLedger(join(folder.path, `${files++}.db`))
  await store.apply(batchOf(rows))
  return openApp({ store, config: CONFIG })
}

const AMOUNTS = [
  'cost',
  'list',
  'contract',
  'discount',
  'free_quota',
  'package',
  'adjustments',
  'total',
  'net',
  'vat',
  'gross',
  'charge',
]
type Row = Record<string, string>
const nano = (row: Row | undefined, name: string): bigint => parseDecimal(row?.[name] ?? '', 9)

async function allPages(app: Asker, query: string): Promise<{ rows: Row[]; total: Row }> {
  const rows: Row[] = []
  let total: Row = {}
  let cursor: unknown = ''
  do {
    const { body, text } = await askUsage(app, `${query}&limit=3${cursor}`)
    if (body['data'] === undefined) throw new Error(text)
    rows.push(...(body['data'] as Row[]))
    total = body['total'] as Row
    cursor = body['next_cursor'] === null ? null : `&cursor=${body['next_cursor']}`
  } while (cursor !== null)
  return { rows, total }
}

test('every column of every page comes to its total, and totals are the same however they are grouped', async () => {
  const groupings = [
    '',
    'model',
    'team,provider',
    'cost_centre',
    'contract_number,key',
    'user',
    'tag:app,target',
  ]
  await fc.assert(
    fc.asyncProperty(
      arbitraryRows(25),
      fc.constantFrom('', '&bucket=day', '&bucket=month&time_zone=Asia/Kathmandu'),
      fc.constantFrom('', '&round=cents'),
      async (rows, bucket, round) => {
        const app = await appWith(rows)
        const isAllPaid = rows.every(({ kind, row }) => kind !== 'adjustment' || row.amountNano >= 0n)
        const ledger = rows.reduce((sum, { kind, row }) => {
          if (kind === 'adjustment') return sum + row.amountNano
          return kind === 'attempt' ? sum + (row.cost?.amountNano ?? 0n) : sum
        }, 0n)
        const totals: Row[] = []
        for (const grouping of groupings) {
          const { rows: found, total } = await allPages(app, `group_by=${grouping}${bucket}${round}`)
          for (const name of AMOUNTS)
            expect(
              found.reduce((sum, row) => sum + nano(row, name), 0n),
              `${name} by ${grouping}`,
            ).toBe(nano(total, name))
          for (const row of [...found, total]) {
            expect(nano(row, 'net') + nano(row, 'vat')).toBe(nano(row, 'gross'))
            if (round !== '') for (const name of AMOUNTS) expect(nano(row, name) % 10_000_000n).toBe(0n)
            if (isAllPaid) expect(nano(row, 'vat') >= 0n).toBe(true)
          }
          if (round === '') expect(nano(total, 'total')).toBe(ledger)
          totals.push(total)
        }
        for (const total of totals) expect(total).toEqual(totals[0])
      },
    ),
    { seed: SEED, numRuns: 15 },
  )
}, 60_000)

const row = (fields: Parameters<typeof attemptRow>[0], amount: string): LedgerRow => {
  const { cost } = attemptRow({})
  const amountNano = parseDecimal(amount, 9) as Nano
  return {
    kind: 'attempt',
    row: attemptRow({ ...fields, cost: cost && { ...cost, amountNano, nativeNano: amountNano, lines: [] } }),
  }
}

test('tax is taken out of what holds it and put on what does not; charges are markups or own prices', async () => {
  const tags = { team: 'growth', organisation: 'acme' }
  const app = await appWith([
    row({ requestId: 'a', target: 'doubao/seed', tags }, '1.06'),
    row({ requestId: 'b', target: 'qwen/flash', tags }, '1'),
    row({ requestId: 'c', target: 'qwen/flash', tags: { team: 'ops "quoted"' } }, '5'),
    row({ requestId: 'd', target: 'doubao/seed', tags: {} }, '0.01'),
  ])
  const { body } = await askUsage(app, 'group_by=team,cost_centre,contract_number,target')
  const shown = (body['data'] as Row[]).map((line) =>
    ['team', 'cost_centre', 'contract_number', 'cost', 'net', 'vat', 'gross', 'charge'].map(
      (name) => line[name],
    ),
  )
  expect(shown).toEqual([
    ['', '', '', '0.01', '0.009433962', '0.000566038', '0.01', '0.01'],
    ['growth', 'CC-1', 'HT-2026-07', '1.06', '1', '0.06', '1.06', '1.166'],
    ['growth', 'CC-1', 'HT-2026-07', '1', '1', '0.13', '1.13', '1.1'],
    // 100 tokens in at 1, 20 out at 2.5 per million, less 0.3 %.
    ['ops "quoted"', '=CC-2', '', '5', '5', '0.65', '5.65', '0.00014955'],
  ])
  const cents = await askUsage(app, 'group_by=team,target&round=cents')
  expect((cents.body['data'] as Row[])[0]).toMatchObject({
    cost: '0.01',
    net: '0.01',
    vat: '0',
    gross: '0.01',
  })
  const filtered = await askUsage(app, 'group_by=&cost_centre=CC-1')
  expect(filtered.body['total']).toMatchObject({ cost: '2.06', charge: '2.266' })
})

test('savings against a baseline are those of each request, by its own tier', async () => {
  const tokens = (inputTokens: number, cachedInputTokens: number, outputTokens: number) => ({
    usage: { ...attemptRow({}).usage, inputTokens, cachedInputTokens, outputTokens, reasoningTokens: 0 },
  })
  const app = await appWith([
    row({ requestId: 'a', target: 'doubao/seed', ...tokens(10_000, 5_000, 1_000) }, '0.004'),
    row({ requestId: 'b', target: 'doubao/seed', ...tokens(100_000, 0, 1_000) }, '0.09'),
  ])
  const { body } = await askUsage(app, 'group_by=key&baseline=main/small&cache_savings=true')
  expect(body['data']).toMatchObject([
    {
      cost: '0.094',
      // 5k × 1 + 5k × 0.2 + 1k × 3, and 100k × 2 + 1k × 6, per million.
      baseline_cost: '0.215',
      saving: '0.121',
      baseline_left_out: 0,
      // 5k × (0.8 − 0.16).
      cache_saving: '0.0032',
      cache_left_out: 0,
    },
  ])
})

test('a table says periods, averages and totals plainly, and large numbers by 万 and 亿', async () => {
  const usage = {
    ...attemptRow({}).usage,
    inputTokens: 123_456_789,
    cachedInputTokens: 0,
    outputTokens: 43_211,
  }
  const app = await appWith([
    row(
      { requestId: 'a', usage, startedAtMs: START_MS, tags: { team: 'growth' }, key: '=cmd|x' },
      '12345.6789',
    ),
    row({ requestId: 'b', startedAtMs: START_MS + 3_600_000, key: 'b' }, '0.5'),
  ])
  const table = async (query: string) => (await askUsage(app, `format=csv&${query}`)).text
  const text = await table('group_by=key&bucket=day&unit=1m&totals=true')
  const lines = text.split('\r\n')
  expect(lines[0]).toMatch(/^key,bucket,period,requests,.*,charge,cost_per_1m_tokens,estimated_attempts,/)
  expect(lines[1]).toMatch(
    /^'=cmd\|x,2026-09-30T16:00:00.000Z,2026-10-01,1,1,123456789,0,43211,5,12345.6789,CNY,/,
  )
  expect(lines[1]).toContain(',99.965011336,0,0')
  expect(lines[3]).toMatch(/^total,,,2,2,123456889,10,/)
  expect(lines).toHaveLength(5)
  const wan = await table('group_by=key&numbers=wan&bucket=month&organisation=acme&time_zone=Asia/Shanghai')
  expect(wan.split('\r\n')).toHaveLength(2)
  const people = await table('group_by=key&numbers=wan&bucket=month&team=growth&time_zone=Asia/Shanghai')
  expect(people).toContain(
    "'=cmd|x,2026-09-30T16:00:00.000Z,2026-10,1,1,1.23456789亿,0,4.3211万,5,1.23456789万,CNY",
  )
})

test('the zone of a report is the one asked for, that of its organisation, or that of the books', async () => {
  const app = await appWith([row({ tags: { organisation: 'acme' } }, '1')])
  const zone = async (query: string) => (await askUsage(app, `${query}`)).body['time_zone']
  expect(await zone('')).toBe('Asia/Shanghai')
  expect(await zone('organisation=acme')).toBe('America/New_York')
  expect(await zone('organisation=acme&organisation=other')).toBe('Asia/Shanghai')
  expect(await zone('team=growth')).toBe('America/New_York')
  expect(await zone('team=growth&team=other')).toBe('Asia/Shanghai')
  expect(await zone('organisation=acme&time_zone=Asia/Kolkata')).toBe('Asia/Kolkata')
  const { body } = await askUsage(app, 'group_by=organisation&bucket=month&organisation=acme')
  expect(body['data']).toMatchObject([{ bucket: '2026-10-01T04:00:00.000Z', period: '2026-10' }])
})
