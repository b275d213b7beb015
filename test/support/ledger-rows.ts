// Ledger rows for tests: whole and plausible, with the fields that a test cares about set by it.

import fc from 'fast-check'
import type { AdjustmentRow } from '#core/adjustments.ts'
import type { AttemptRow, Cost, CostLine, LedgerBatch, LedgerRow, RequestRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'

export const HOUR_MS = 3_600_000
/** 23:00 in Shanghai, so that the next hour is another day there. */
export const START_MS = Date.UTC(2026, 9, 1, 15)

export function attemptRow(fields: Partial<AttemptRow>): AttemptRow {
  return {
    requestId: 'r1',
    attempt: 1,
    role: 'first',
    key: 'demo',
    tags: { app: 'web', team: 'growth' },
    user: 'u-17',
    model: 'assistant',
    target: 'doubao/seed',
    responseModel: 'seed-250828',
    upstreamRequestId: '0217"\n',
    outcome: 'success',
    httpStatus: 200,
    usage: {
      inputTokens: 100,
      cachedInputTokens: 10,
      cacheWriteTokens: 0,
      outputTokens: 20,
      reasoningTokens: 5,
    },
    usageSource: 'provider',
    estimateError: null,
    usageDoubt: null,
    cost: {
      amountNano: 1_000_000n as Nano,
      currency: 'CNY',
      nativeNano: 140_845n as Nano,
      nativeCurrency: 'USD',
      lines: [
        { item: 'input', quantity: 90, price: '0.8', amount: '0.000072' },
        { item: 'output', quantity: 20, price: '2', amount: '0.00004' },
      ],
      priceVersion: 'doubao/seed#1',
    },
    startedAtMs: START_MS,
    ttftMs: 320,
    durationMs: 2100,
    ...fields,
  }
}

export function openAttempt(fields: Partial<AttemptRow>): AttemptRow {
  return attemptRow({
    outcome: 'open',
    httpStatus: 0,
    responseModel: null,
    upstreamRequestId: null,
    usageSource: 'estimated',
    cost: null,
    ttftMs: null,
    durationMs: 0,
    ...fields,
  })
}

export function requestRow(fields: Partial<RequestRow>): RequestRow {
  return {
    id: 'r1',
    timeMs: START_MS,
    key: 'demo',
    tags: { app: 'web', team: 'growth' },
    user: 'u-17',
    model: 'assistant',
    api: 'chat',
    stream: true,
    status: 200,
    outcome: 'success',
    error: null,
    attempts: 1,
    costNano: 1_000_000n as Nano,
    currency: 'CNY',
    durationMs: 2200,
    decision: {
      policy: 'quick',
      policyVersion: '1a2b3c4d',
      sort: 'value',
      value: 0.02,
      explored: false,
      propensity: 1,
      candidates: [
        {
          target: 'doubao/seed',
          account: 'key-2',
          estimatedCost: '0.001',
          pSlo: 0.97,
          ttftMs: 300,
          tokensPerSecond: 61.5,
          cachedTokens: 512,
          samples: 20,
          roomCost: 0.0003,
          utility: 0.0184,
          reason: 'best_value',
        },
      ],
      runnerUp: { target: 'qwen/plus', lostBy: 0.001, by: 'utility' },
      counterfactuals: [{ quantity: 'p_slo', target: 'doubao/seed', above: null, below: 0.91 }],
      later: [{ target: 'qwen/plus', role: 'fallback', estimatedCost: '0.002', pSlo: 0.9 }],
      excluded: [{ target: 'qwen/flash', reason: 'cooling_down', detail: '429 for 3 s' }],
      sloRelaxed: false,
    },
    ...fields,
  }
}

export function openRequest(fields: Partial<RequestRow>): RequestRow {
  return requestRow({ status: 0, outcome: 'open', attempts: 0, costNano: null, durationMs: 0, ...fields })
}

export function adjustmentRow(fields: Partial<AdjustmentRow>): AdjustmentRow {
  return {
    id: 'adj-1',
    timeMs: START_MS + 24 * HOUR_MS,
    bookedAtMs: START_MS,
    month: '2026-10',
    requestId: 'r1',
    attempt: 1,
    day: null,
    key: 'demo',
    tags: { app: 'web', team: 'growth' },
    user: 'u-17',
    model: 'assistant',
    target: 'doubao/seed',
    amountNano: -250_000n as Nano,
    currency: 'CNY',
    nativeNano: -35_211n as Nano,
    nativeCurrency: 'USD',
    reason: 'rerate',
    author: 'mei',
    note: 'the list of October was wrong',
    priceVersionOld: 'doubao/seed#1',
    priceVersionNew: 'doubao/seed#2',
    ...fields,
  }
}

export function batchOf(rows: readonly LedgerRow[], firstSequence = 1): LedgerBatch {
  return { instance: 'one', epoch: 1, firstSequence, rows }
}

/** A cost with 1,000 nano off its list price and 2,000 paid by a package. */
export function discountedCost(): Cost {
  return {
    amountNano: 1_000_000n as Nano,
    currency: 'CNY',
    nativeNano: 1_000_000n as Nano,
    nativeCurrency: 'CNY',
    lines: [
      { item: 'input', quantity: 9, price: '1', amount: '0.001003' },
      { item: 'discount', quantity: 1, price: '-0.000001', amount: '-0.000001' },
      { item: 'package', quantity: 9, price: '-0.000002', amount: '-0.000002', balance: 'pack' },
    ],
    priceVersion: 'doubao/seed#1',
  }
}

/** A request of one attempt that has such a cost. */
export function discounted(id: string, atMs: number): readonly LedgerRow[] {
  return [
    { kind: 'attempt', row: attemptRow({ requestId: id, startedAtMs: atMs, cost: discountedCost() }) },
    { kind: 'request', row: requestRow({ id, timeMs: atMs }) },
  ]
}

/** Rows with ids of their own, over few series and a few days around midnight in Shanghai. */
export function arbitraryRows(rowsMax: number): fc.Arbitrary<LedgerRow[]> {
  return fc
    .array(
      fc.oneof(
        { weight: 3, arbitrary: arbitraryAttempt() },
        { weight: 2, arbitrary: arbitraryRequest() },
        { weight: 1, arbitrary: arbitraryAdjustment() },
      ),
      {
        maxLength: rowsMax,
      },
    )
    .map((rows) => rows.map(withOwnId))
}

function withOwnId(entry: LedgerRow, index: number): LedgerRow {
  if (entry.kind === 'attempt') return { kind: 'attempt', row: { ...entry.row, requestId: `q${index}` } }
  if (entry.kind === 'request') return { kind: 'request', row: { ...entry.row, id: `q${index}` } }
  return { kind: 'adjustment', row: { ...entry.row, id: `j${index}` } }
}

function arbitraryAttempt(): fc.Arbitrary<LedgerRow> {
  const tokens = fc.nat(1_000_000)
  return fc
    .record({
      attempt: fc.integer({ min: 1, max: 3 }),
      key: fc.constantFrom('demo', 'other'),
      model: fc.constantFrom('assistant', '长'),
      target: fc.constantFrom('doubao/seed', 'qwen/flash'),
      tags: fc.constantFrom({}, { team: 'growth' }, { app: 'web', team: 'ops "quoted"' }),
      user: fc.constantFrom(null, 'u-17', '用户 "1"'),
      usageSource: fc.constantFrom('provider', 'drained', 'estimated', 'recovered'),
      estimateError: fc.option(
        fc.record(
          { inputTokens: fc.nat(9_000), outputTokens: fc.nat(200_000), gpuMs: fc.nat(600_000) },
          { requiredKeys: ['inputTokens', 'outputTokens'] },
        ),
      ),
      usageDoubt: fc.option(fc.constantFrom('malformed', 'total', 'parts', 'zero', 'behind')),
      usage: fc.record({
        inputTokens: tokens,
        cachedInputTokens: tokens,
        cacheWriteTokens: tokens,
        outputTokens: tokens,
        reasoningTokens: tokens,
      }),
      amountNano: fc.option(fc.bigInt({ min: 0n, max: 2n ** 53n - 1n })),
      off: fc.array(fc.tuple(fc.constantFrom('discount', 'free_quota', 'package'), fc.nat(999_999_999))),
      startedAtMs: fc.integer({ min: START_MS - 30 * HOUR_MS, max: START_MS + 30 * HOUR_MS }),
    })
    .map(({ amountNano, off, ...fields }): LedgerRow => {
      const row = attemptRow(fields as Partial<AttemptRow>)
      const lines = off.map(
        ([item, nano]): CostLine => ({
          item,
          quantity: 1,
          price: '-1',
          amount: `-0.${`${nano}`.padStart(9, '0')}`,
        }),
      )
      const cost =
        amountNano === null || row.cost === null
          ? null
          : { ...row.cost, amountNano: amountNano as Nano, lines: [...row.cost.lines, ...lines] }
      return { kind: 'attempt', row: { ...row, cost } }
    })
}

function arbitraryAdjustment(): fc.Arbitrary<LedgerRow> {
  return fc
    .record({
      key: fc.constantFrom('demo', 'other'),
      target: fc.constantFrom('doubao/seed', 'qwen/flash'),
      tags: fc.constantFrom({}, { team: 'growth' }),
      user: fc.constantFrom(null, 'u-17'),
      amountNano: fc.bigInt({ min: -(2n ** 53n) + 1n, max: 2n ** 53n - 1n }),
      bookedAtMs: fc.integer({ min: START_MS - 30 * HOUR_MS, max: START_MS + 30 * HOUR_MS }),
      timeMs: fc.integer({ min: START_MS, max: START_MS + 5 }),
    })
    .map(({ amountNano, ...fields }): LedgerRow => {
      return { kind: 'adjustment', row: adjustmentRow({ ...fields, amountNano: amountNano as Nano }) }
    })
}

function arbitraryRequest(): fc.Arbitrary<LedgerRow> {
  return fc
    .record({
      timeMs: fc.integer({ min: START_MS, max: START_MS + 5 }),
      status: fc.constantFrom(200, 402, 502),
      attempts: fc.constant(0),
    })
    .map((fields): LedgerRow => ({ kind: 'request', row: requestRow(fields) }))
}
