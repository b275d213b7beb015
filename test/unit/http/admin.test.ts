import { describe, expect, test } from 'vitest'
import type { LedgerRow, LedgerStore } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { csvLines } from '#http/csv.ts'
import { createMemoryStore } from '#store/memory.ts'
import { attemptRow, HOUR_MS, requestRow, START_MS } from '../../support/ledger-rows.ts'
import { type Answer, admin, openApp } from './support.ts'

const rows: readonly LedgerRow[] = [
  { kind: 'attempt', row: attemptRow({}) },
  { kind: 'request', row: requestRow({}) },
  {
    kind: 'attempt',
    row: attemptRow({ requestId: 'r2', cost: null, startedAtMs: START_MS + HOUR_MS, model: 'fast' }),
  },
  {
    kind: 'request',
    row: requestRow({ id: 'r2', costNano: null, timeMs: START_MS + HOUR_MS, model: 'fast' }),
  },
]

const ask = async (path: string, given: readonly LedgerRow[] = rows): Promise<Answer> =>
  (await openApp({ rows: given })).ask(path, admin)

const errorOf = (answer: Answer): unknown => answer.body['error']

describe('usage', () => {
  test('is summed by group, amounts as decimal strings', async () => {
    const { body } = await ask('/admin/v1/usage?group_by=model,tag:team')
    const counts = {
      requests: 1,
      attempts: 1,
      input_tokens: 100,
      cached_input_tokens: 10,
      output_tokens: 20,
      reasoning_tokens: 5,
      currency: 'CNY',
      discount: '0',
      free_quota: '0',
      package: '0',
    }
    expect(body).toEqual({
      data: [
        {
          model: 'assistant',
          'tag:team': 'growth',
          ...counts,
          cost: '0.001',
          adjustments: '0',
          total: '0.001',
          list: '0.001',
          contract: '0.001',
          estimated_attempts: 0,
          unpriced_attempts: 0,
        },
        {
          model: 'fast',
          'tag:team': 'growth',
          ...counts,
          cost: '0',
          adjustments: '0',
          total: '0',
          list: '0',
          contract: '0',
          estimated_attempts: 0,
          unpriced_attempts: 1,
        },
      ],
      total: {
        ...counts,
        requests: 2,
        attempts: 2,
        input_tokens: 200,
        cached_input_tokens: 20,
        output_tokens: 40,
        reasoning_tokens: 10,
        cost: '0.001',
        adjustments: '0',
        total: '0.001',
        list: '0.001',
        contract: '0.001',
        estimated_attempts: 0,
        unpriced_attempts: 1,
      },
      time_zone: 'Asia/Shanghai',
      next_cursor: null,
    })
  })

  test('is exact beyond what a double can say', async () => {
    const big = {
      kind: 'attempt',
      row: attemptRow({
        cost: { ...attemptRow({}).cost, amountNano: 9_007_199_254_740_993_000_000_001n as Nano } as never,
      }),
    } as const
    const { text } = await ask('/admin/v1/usage', [big])
    expect(text).toContain('"9007199254740993.000000001"')
  })

  test('has list and contract price and what balances paid, in the books’ currency', async () => {
    const lines = [
      { item: 'input', quantity: 1000, price: '100', amount: '0.1' },
      { item: 'discount', quantity: 1, price: '-0.02', amount: '-0.02' },
      { item: 'free_quota', quantity: 500, price: '-0.04', amount: '-0.04', balance: 'new' },
    ] as const
    const bill = {
      amountNano: 284_000_000n as Nano,
      currency: 'CNY',
      nativeNano: 40_000_000n as Nano,
      nativeCurrency: 'USD',
      priceVersion: 'v;fx=7.1',
      lines,
    }
    const { body } = await ask('/admin/v1/usage', [
      ...rows,
      { kind: 'attempt', row: attemptRow({ cost: bill }) },
    ])
    expect(body['total']).toMatchObject({
      cost: '0.285',
      list: '0.711',
      contract: '0.569',
      free_quota: '0.284',
      package: '0',
    })
  })

  test('by day begins its days in Shanghai', async () => {
    const { body } = await ask('/admin/v1/usage?group_by=key&bucket=day')
    expect((body['data'] as { bucket: string }[]).map((row) => row.bucket)).toEqual([
      '2026-09-30T16:00:00.000Z',
      '2026-10-01T16:00:00.000Z',
    ])
  })

  test('takes a bare date or month for its beginning in Shanghai, and an instant for itself', async () => {
    const requests = async (query: string): Promise<unknown> =>
      ((await ask(`/admin/v1/usage?${query}`)).body['total'] as Record<string, unknown>)['requests']
    expect(await requests('from=2026-10-02')).toBe(1)
    expect(await requests('from=2026-10&to=2026-11')).toBe(2)
    expect(await requests('to=2026-10')).toBe(0)
    expect(await requests('to=2026-10-02')).toBe(1)
    expect(await requests('from=2026-10-01T15:00:00Z')).toBe(2)
    expect(await requests('from=2026-10-02T00:00:00%2B08:00')).toBe(1)
  })

  test('goes by the days of another zone where the configuration names one', async () => {
    const { ask: askApp } = await openApp({ rows, config: { time_zone: 'America/New_York' } })
    const usage = async (query: string) => (await askApp(`/admin/v1/usage?${query}`, admin)).body
    // 11:00 and 12:00 of the first of October there.
    const { data } = await usage('group_by=key&bucket=day')
    expect(data).toMatchObject([{ bucket: '2026-10-01T04:00:00.000Z', requests: 2 }])
    expect((await usage('from=2026-10-02'))['total']).toMatchObject({ requests: 0 })
    expect((await usage('from=2026-10-01&to=2026-10-02'))['total']).toMatchObject({ requests: 2 })
    expect((await usage('from=2026-10-01T16:00:00Z'))['total']).toMatchObject({ requests: 1 })
  })

  test.each([
    { query: 'group_by=colour', param: 'group_by', found: 'colour' },
    { query: 'cursor=x', param: 'cursor', found: 'x' },
    { query: 'group_by=tag:', param: 'group_by', found: 'tag:' },
    { query: 'bucket=week', param: 'bucket', found: 'week' },
    { query: 'time_zone=Mars/Base', param: 'time_zone', found: 'Mars/Base' },
    { query: 'from=2026-10-02&to=2026-10-01', param: 'to', found: '2026-10-01' },
    { query: 'unit=ton', param: 'unit', found: 'ton' },
    { query: 'numbers=wan', param: 'numbers', found: 'wan' },
    { query: 'round=dollars', param: 'round', found: 'dollars' },
    { query: 'baseline=nowhere/x', param: 'baseline', found: 'nowhere/x' },
    { query: 'baseline=main', param: 'baseline', found: 'main' },
    { query: 'teams=growth', param: 'teams', found: 'teams' },
    { query: 'from=yesterday', param: 'from', found: 'yesterday' },
    { query: 'format=xml', param: 'format', found: 'xml' },
  ])('with $query is refused for $param', async ({ query, param, found }) => {
    const answer = await ask(`/admin/v1/usage?${query}`)
    expect(answer.status).toBe(400)
    expect(errorOf(answer)).toMatchObject({
      code: 'invalid_request',
      param,
      message: expect.stringContaining(`"${found}"`),
    })
  })

  test('comes as a table for spreadsheets', async () => {
    const answer = await ask('/admin/v1/usage?group_by=model&format=csv')
    expect(answer.headers.get('content-type')).toContain('text/csv')
    const [head, first] = answer.text.split('\r\n')
    expect(head).toMatch(/^model,requests,attempts,input_tokens/)
    expect(first).toMatch(/^assistant,1,1,100,10,20,5,0\.001,CNY/)
  })

  test('has its heads also where nothing was used', async () => {
    const answer = await ask('/admin/v1/usage?group_by=key&bucket=day&to=2020-01-01&format=csv')
    expect(answer.text).toMatch(/^key,bucket,period,requests,attempts,[a-z_,]+\r\n$/)
  })
})

describe('a table', () => {
  test('quotes what would break it', () => {
    const names = ['x,y', 'say "hi"', 'two\r\nlines', 'semi;colon', '', ' edge'].map((name) => ({ name }))
    expect(csvLines([names, [{ number: '-0.5' }]])).toBe(
      '"x,y","say ""hi""","two\r\nlines","semi;colon",," edge"\r\n-0.5\r\n',
    )
  })

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '\r=1', ' =1', '＝1+1', 'a\n=1', '\u200b@x'])(
    'does not let a spreadsheet compute %j',
    (name) => {
      expect(csvLines([[{ name }]])).toMatch(/^"?'/)
    },
  )

  test('leaves plain names and negative amounts as they are', () => {
    expect(csvLines([[{ name: 'a-b=c' }, { name: '张三@公司' }, { number: '-1.5' }]])).toBe(
      'a-b=c,张三@公司,-1.5\r\n',
    )
  })
})

describe('requests', () => {
  const many: LedgerRow[] = Array.from({ length: 7 }, (_, index) => ({
    kind: 'request',
    row: requestRow({ id: `r${index}`, timeMs: START_MS + Math.floor(index / 2) }),
  }))

  test('are listed newest first, page by page, each once', async () => {
    const app = await openApp({ rows: many })
    const seen: unknown[] = []
    let cursor: unknown = null
    let pages = 0
    do {
      const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(String(cursor))}`
      const { body } = await app.ask(`/admin/v1/requests?limit=2${query}`, admin)
      const data = body['data'] as Record<string, unknown>[]
      expect(data.length).toBeLessThanOrEqual(2)
      seen.push(...data.map((row) => row['id']))
      cursor = body['next_cursor']
      pages++
    } while (cursor !== null)
    expect(pages).toBe(4)
    expect(seen).toEqual(['r6', 'r5', 'r4', 'r3', 'r2', 'r1', 'r0'])
  })

  test('have the shape that was promised', async () => {
    const { body } = await ask('/admin/v1/requests')
    expect((body['data'] as unknown[])[1]).toMatchObject({
      id: 'r1',
      time: '2026-10-01T15:00:00.000Z',
      key: 'demo',
      model: 'assistant',
      status: 200,
      outcome: 'success',
      cost: '0.001',
      currency: 'CNY',
    })
    expect((body['data'] as unknown[])[0]).toMatchObject({ id: 'r2', cost: null })
  })

  test.each(['0', '501', '1.5', '-1', 'x', ''])('with limit=%s are refused', async (limit) => {
    const answer = await ask(`/admin/v1/requests?limit=${limit}`)
    expect(answer.status).toBe(400)
    expect(errorOf(answer)).toMatchObject({ param: 'limit' })
  })

  test.each(['x', '%00', 'bm8', 'e30='])('with cursor=%s are refused', async (cursor) => {
    const answer = await ask(`/admin/v1/requests?cursor=${cursor}`)
    expect(answer.status).toBe(400)
    expect(errorOf(answer)).toMatchObject({ param: 'cursor' })
  })
})

describe('one request', () => {
  test('has its attempts, each with its bill, and the decision', async () => {
    const { body } = await ask('/admin/v1/requests/r1')
    expect(body).toMatchObject({
      id: 'r1',
      decision: {
        policy: 'quick',
        candidates: [{ target: 'doubao/seed' }],
        excluded: [{ reason: 'cooling_down' }],
      },
      attempts: [
        {
          target: 'doubao/seed',
          upstream_request_id: '0217"\n',
          outcome: 'success',
          role: 'first',
          usage: {
            input_tokens: 100,
            cached_input_tokens: 10,
            output_tokens: 20,
            reasoning_tokens: 5,
            source: 'provider',
          },
          cost: {
            amount: '0.001',
            currency: 'CNY',
            native: { amount: '0.000140845', currency: 'USD' },
            lines: [{ item: 'input', quantity: 90, price: '0.8', amount: '0.000072' }, { item: 'output' }],
            price_version: 'doubao/seed#1',
          },
          unpriced: false,
          started_at: '2026-10-01T15:00:00.000Z',
          ttft_ms: 320,
          duration_ms: 2100,
        },
      ],
    })
  })

  test('says what else was used, by its type, and never what was said', async () => {
    const { usage } = attemptRow({})
    const other = { serviceTier: 'flex', images: 2, searchCalls: 1, audio: false, text: 'my secret' }
    const row = attemptRow({ usage: { ...usage, explicitCache: true, other } })
    const rows: readonly LedgerRow[] = [
      { kind: 'attempt', row },
      { kind: 'request', row: requestRow({}) },
    ]
    const { body, text } = await ask('/admin/v1/requests/r1', rows)
    const counts = { service_tier: 'flex', images: 2, search_calls: 1, audio: false, explicit_cache: true }
    expect(body).toMatchObject({ attempts: [{ usage: { ...counts, input_tokens: 100 } }] })
    expect(text).not.toContain('secret')
  })

  test('has list, contract and what balances paid apart, which come to the native amount', async () => {
    const lines = [
      { item: 'input', quantity: 90, price: '0.8', amount: '0.000072' },
      { item: 'output', quantity: 20, price: '2', amount: '0.00004' },
      { item: 'discount', quantity: 1, price: '-0.0000112', amount: '-0.0000112' },
      { item: 'free_quota', quantity: 90, price: '-0.0000648', amount: '-0.0000648', balance: 'new' },
      { item: 'package', quantity: 10, price: '-0.000018', amount: '-0.000018', balance: 'pack' },
    ] as const
    const bill = {
      amountNano: 18_000n as Nano,
      currency: 'CNY',
      nativeNano: 18_000n as Nano,
      nativeCurrency: 'CNY',
      priceVersion: 'v',
      lines,
    }
    const rows: readonly LedgerRow[] = [
      { kind: 'attempt', row: attemptRow({ cost: bill }) },
      { kind: 'request', row: requestRow({}) },
    ]
    const { body } = await ask('/admin/v1/requests/r1', rows)
    expect(body).toMatchObject({
      attempts: [
        {
          cost: {
            amount: '0.000018',
            list: '0.000112',
            contract: '0.0001008',
            free_quota: '0.0000648',
            package: '0.000018',
            lines: [{}, {}, {}, { balance: 'new' }, { balance: 'pack' }],
          },
        },
      ],
    })
  })

  test('without a price says so', async () => {
    const { body } = await ask('/admin/v1/requests/r2')
    expect(body).toMatchObject({ cost: null, attempts: [{ cost: null, unpriced: true }] })
  })

  test('that does not exist is a 404, its name cut short', async () => {
    const answer = await ask(`/admin/v1/requests/${'x'.repeat(5_000)}`)
    expect(answer.status).toBe(404)
    expect(errorOf(answer)).toMatchObject({ code: 'not_found', param: 'id' })
    expect(answer.text.length).toBeLessThan(400)
  })
})

describe('a store that does not answer', () => {
  const broken: LedgerStore = {
    ...createMemoryStore(),
    usage: () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.1:6379')),
    requests: () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.1:6379')),
    request: () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.1:6379')),
  }
  test.each(['usage', 'requests', 'requests/r1'])('is a 503 for %s, never an empty report', async (path) => {
    const answer = await (await openApp({ store: broken })).ask(`/admin/v1/${path}`, admin)
    expect(answer.status).toBe(503)
    expect(errorOf(answer)).toMatchObject({ code: 'store_unavailable' })
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(answer.text).not.toContain('10.0.0.1')
  })
})
