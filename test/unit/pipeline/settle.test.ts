import { describe, expect, test } from 'vitest'
import type { AttemptRow, RequestRow } from '#core/ledger.ts'
import type { Headers } from '#core/ports.ts'
import type { AttemptEnd } from '#pipeline/attempt-end.ts'
import type { Call, Deps, Exchange } from '#pipeline/context.ts'
import { readCall } from '#pipeline/ingress.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { openLane } from '#pipeline/lane.ts'
import { OutputGauge } from '#pipeline/output-gauge.ts'
import { bookEnd, bookOpen, requestRow } from '#pipeline/settle.ts'
import { createMetrics } from '#telemetry/prometheus.ts'
import { vendor } from '../settings/fixtures.ts'
import { attemptEnd, encode, FakeClock, liveWith } from './support.ts'

const USAGE = {
  inputTokens: 1_000,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 500,
  reasoningTokens: 0,
}

function setUp(
  prices: object = {
    'main/*': { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '2', output: '8' }] },
  },
) {
  const live = liveWith([vendor], {
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { assistant: { targets: ['main/small'] } },
    prices,
  })
  const [target] = live.settings.models.get('assistant')?.targets ?? []
  if (target === undefined) throw new Error('no target')
  const opened: [RequestRow, AttemptRow][] = []
  const closed: AttemptRow[] = []
  const clock = new FakeClock()
  const deps = {
    clock,
    metrics: createMetrics(),
    gauge: new InputGauge(),
    outputGauge: new OutputGauge(),
    journal: {
      open: (request: RequestRow, attempt: AttemptRow, written: (error: Error | null) => void) => {
        opened.push([request, attempt])
        written(null)
      },
      attempt: (row: AttemptRow) => closed.push(row),
      request: () => undefined,
      pendingRows: 0,
    },
  } as unknown as Deps
  const exchange = {
    id: 'req_1',
    live,
    api: 'chat',
    key: {
      name: 'demo',
      digest: 'd',
      models: null,
      tags: { app: 'web' },
      team: null,
      organisation: null,
      scopes: [],
    },
    model: 'assistant',
    startedAtMs: clock.nowMs(),
    startedMs: clock.monotonicMs(),
    attempts: [],
    attemptsStarted: 0,
    call: null,
    decision: null,
    lane: openLane(),
  } as unknown as Exchange
  const call = readCall(
    'chat',
    encode('{"model":"assistant","messages":[{"role":"user","content":"hello there"}]}'),
  )
  return { deps, exchange, call, facts: live.factsOf(target), opened, closed, clock }
}

function ended(changes: Partial<AttemptEnd> = {}, state: Partial<AttemptEnd['state']> = {}): AttemptEnd {
  const { state: empty, ...end } = attemptEnd(USAGE, { ttftMs: 320.6, durationMs: 2_100.4 })
  return { ...end, state: { ...empty, content: true, finished: true, ...state }, ...changes }
}

async function book(end: AttemptEnd, prices?: object, fields: Partial<Call['body']> = {}) {
  const made = setUp(prices)
  const all = { ...made, call: { ...made.call, body: { ...made.call.body, ...fields } } }
  const open = await bookOpen(
    all.deps,
    all.exchange,
    all.exchange.lane,
    all.call,
    all.facts,
    'first',
    all.clock.nowMs(),
  )
  bookEnd(all.deps, all.exchange, all.exchange.lane, all.call, all.facts, open, end)
  const [row] = all.closed
  if (row === undefined) throw new Error('no row')
  return { ...all, open, row }
}

const failure = (kind: 'moderation' | 'server' | 'rate_limit' | 'truncated', status = 500) => ({
  kind,
  status,
  vendorCode: null,
  vendorMessage: '',
  retryAfterMs: null,
})

describe('an attempt is booked before it is sent', () => {
  test('as open, under its request, with the input it would be charged for', async () => {
    const { opened, call } = await book(ended())
    expect(opened).toMatchObject([
      [
        { id: 'req_1', outcome: 'open', status: 0, attempts: 1, costNano: null },
        {
          requestId: 'req_1',
          attempt: 1,
          role: 'first',
          outcome: 'open',
          key: 'demo',
          target: 'main/small',
          usageSource: 'estimated',
          cost: null,
        },
      ],
    ])
    expect(opened[0]?.[1].usage).toMatchObject({
      inputTokens: call.inputTokensEstimate,
      outputTokens: call.outputTokensEstimate,
    })
  })

  test('and numbered within its request', async () => {
    const { deps, exchange, call, facts, clock } = setUp()
    const numbers: number[] = []
    for (const role of ['first', 'retry', 'fallback'] as const)
      numbers.push((await bookOpen(deps, exchange, exchange.lane, call, facts, role, clock.nowMs())).attempt)
    expect(numbers).toEqual([1, 2, 3])
  })
})

test.each([null, new Error('disk full')])(
  'an attempt waits for its row to be written, and a disk that fails does not stop it: %s',
  async (error) => {
    const { deps, exchange, call, facts, clock } = setUp()
    const written: ((error: Error | null) => void)[] = []
    const journal = {
      ...deps.journal,
      open: (_request: unknown, _attempt: unknown, run: () => void) => written.push(run),
    }
    let booked: AttemptRow | null = null
    const booking = bookOpen(
      { ...deps, journal } as unknown as Deps,
      exchange,
      exchange.lane,
      call,
      facts,
      'first',
      clock.nowMs(),
    )
    void booking.then((row) => {
      booked = row
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(booked).toBeNull()
    written[0]?.(error)
    expect(await booking).toMatchObject({ outcome: 'open', attempt: 1 })
  },
)

test('under a strict budget an attempt whose row is not written is not sent, and ends as free', async () => {
  const { deps, exchange, call, facts, clock, closed } = setUp()
  const scope = {
    id: 'key:demo',
    kind: 'key',
    name: 'demo',
    limits: { rpm: null, tpm: null, concurrency: null },
    budget: { amountNano: 1n, period: { kind: 'life' }, isStrict: true },
  }
  const strict = { ...exchange, key: { ...exchange.key, scopes: [scope] } } as unknown as Exchange
  const journal = {
    ...deps.journal,
    open: (_request: unknown, _attempt: unknown, run: (error: Error) => void) => run(new Error('disk full')),
  }
  const failing = { ...deps, journal } as unknown as Deps
  await expect(
    bookOpen(failing, strict, strict.lane, call, facts, 'first', clock.nowMs()),
  ).rejects.toMatchObject({
    code: 'store_unavailable',
    status: 503,
  })
  expect(closed).toMatchObject([{ outcome: 'cancelled', usage: { inputTokens: 0, outputTokens: 0 } }])
  expect(closed[0]?.cost?.amountNano).toBe(0n)
})

describe('an attempt that ended', () => {
  test('is priced with the upstream’s own count, in integers', async () => {
    const { row } = await book(ended({}, { responseModel: 'small-250828', upstreamId: 'chatcmpl-1' }))
    expect(row).toMatchObject({
      requestId: 'req_1',
      attempt: 1,
      outcome: 'success',
      httpStatus: 200,
      usage: USAGE,
      usageSource: 'provider',
      responseModel: 'small-250828',
      upstreamRequestId: 'chatcmpl-1',
      ttftMs: 321,
      durationMs: 2_100,
    })
    expect(row.cost).toMatchObject({ amountNano: 6_000_000n, currency: 'CNY', nativeNano: 6_000_000n })
  })

  test('without a price has no cost, which is not a cost of zero', async () => {
    const { row, exchange } = await book(ended(), {})
    expect(row.cost).toBeNull()
    expect(requestRow(exchange, 0, 200, 'success', null).costNano).toBeNull()
  })

  test('without a count is estimated, and says so', async () => {
    const { row, call } = await book(ended({}, { usage: null, outputBytes: 400 }))
    expect(row).toMatchObject({
      usageSource: 'estimated',
      usage: { inputTokens: call.inputTokensEstimate, outputTokens: 100 },
    })
    expect(row.cost?.amountNano).toBeGreaterThan(0n)
  })

  const free = [
    {
      name: 'refused under an error status',
      end: { outcome: 'failed', failure: failure('server'), httpStatus: 500 },
    },
    {
      name: 'never written',
      end: { outcome: 'failed', failure: failure('server', 0), httpStatus: 0, sent: false },
    },
    {
      name: 'refused by the content filter under 200',
      end: { outcome: 'failed', failure: failure('moderation', 200) },
    },
    {
      name: 'refused for its rate under 200',
      end: { outcome: 'failed', failure: failure('rate_limit', 200) },
    },
  ] as const
  test.each([
    [{ max_tokens: 30 }, 30],
    [{ max_tokens: 30, n: 2 }, 60],
    [{ max_completion_tokens: 300 }, 100],
  ])('without a count is no longer than it was allowed to be: %j', async (fields, outputTokens) => {
    const { row } = await book(ended({}, { usage: null, outputBytes: 400 }), undefined, fields)
    expect(row.usage.outputTokens).toBe(outputTokens)
  })

  test.each(free)('costs nothing when it was $name', async ({ end }) => {
    const { row } = await book(
      ended({ ...end, ttftMs: null }, { usage: null, content: false, finished: false }),
    )
    expect(row).toMatchObject({
      outcome: end.failure.kind,
      usage: { inputTokens: 0, outputTokens: 0 },
      ttftMs: null,
    })
    expect(row.cost?.amountNano).toBe(0n)
  })

  test('costs what was used when it was cut, or when the client left', async () => {
    const cut = await book(
      ended({ outcome: 'failed', failure: failure('truncated', 200) }, { usage: null, outputBytes: 40 }),
    )
    expect(cut.row).toMatchObject({
      outcome: 'truncated',
      usageSource: 'estimated',
      usage: { outputTokens: 10 },
    })
    const left = await book(ended({ outcome: 'cancelled' }, { usage: null, outputBytes: 40 }))
    expect(left.row).toMatchObject({
      outcome: 'cancelled',
      usageSource: 'estimated',
      usage: { outputTokens: 10 },
    })
  })

  test('that failed but counted is charged what it counted', async () => {
    const { row } = await book(ended({ outcome: 'failed', failure: failure('moderation', 200) }))
    expect(row).toMatchObject({ outcome: 'moderation', usageSource: 'provider', usage: USAGE })
    expect(row.cost?.amountNano).toBe(6_000_000n)
  })

  test.each([
    { headers: { 'x-request-id': 'a', 'request-id': 'c' }, id: 'a' },
    { headers: { 'x-baidu-request-id': 'b' }, id: 'b' },
    { headers: { 'request-id': 'c' }, id: 'c' },
    { headers: {}, id: 'body-id' },
  ])('has the upstream’s id from $headers', async ({ headers, id }) => {
    const { row } = await book(ended({ headers: headers as Headers }, { upstreamId: 'body-id' }))
    expect(row.upstreamRequestId).toBe(id)
  })

  test('is counted in the metrics as it is in the books', async () => {
    const { deps } = await book(ended({}, { droppedEvents: 2 }))
    const text = await deps.metrics.render()
    expect(text).toContain(
      'sluice_cost_cny_total{gen_ai_provider_name="vendor",gen_ai_request_model="small"} 0.006',
    )
    expect(text).toContain('sluice_stream_events_dropped_total 2')
  })
})

test('a request costs the sum of its attempts', async () => {
  const { deps, exchange, call, facts, clock } = setUp()
  for (const role of ['first', 'fallback'] as const) {
    const open = await bookOpen(deps, exchange, exchange.lane, call, facts, role, clock.nowMs())
    bookEnd(deps, exchange, exchange.lane, call, facts, open, ended())
  }
  clock.advance(1_234)
  expect(requestRow(exchange, clock.monotonicMs(), 200, 'success', null)).toMatchObject({
    attempts: 2,
    costNano: 12_000_000n,
    currency: 'CNY',
    durationMs: 1_234,
    tags: { app: 'web' },
  })
})
