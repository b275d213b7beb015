// Re-rating changes what a corrected price changes, by what it changes it, and nothing else.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AdjustmentRow } from '#core/adjustments.ts'
import type { AttemptRow, Cost } from '#core/ledger.ts'
import type { Micro } from '#core/money.ts'
import type { PriceEntry } from '#core/price.ts'
import type { RerateJob } from '#core/rerate.ts'
import { BalanceBook } from '#pricing/balance-book.ts'
import { buildCatalogue, priceOfAnswer } from '#pricing/catalogue.ts'
import { rateCovered } from '#pricing/rate.ts'
import type { PriceBook } from '#pricing/rerate.ts'
import { RerateRun } from '#pricing/rerate-run.ts'
import { attemptRow, requestRow, START_MS } from '../../support/ledger-rows.ts'

const ENTRY: PriceEntry = {
  model: 'seed',
  currency: 'USD',
  unit: 'per_million_tokens',
  tiers: [
    { input_tokens_up_to: 500, input: '0.8', cached_input: '0.16', output: '2', thinking_output: '8' },
    { input: '1.2', output: '16' },
  ],
}

function bookOf(entry: PriceEntry): PriceBook {
  const overrides = [
    {
      pattern: 'doubao/*',
      entry: {
        ...ENTRY,
        model: '*',
        tiers: [],
        discounts: [{ discount: '0.85' }],
        balances: [{ id: 'pack', kind: 'package', unit: 'tokens', amount: 1_000_000 } as const],
      },
    },
  ]
  return {
    catalogue: buildCatalogue({
      lists: [{ provider: 'vendor', entries: [entry] }],
      overrides,
      currency: 'CNY',
      balances: new BalanceBook([{ pattern: 'doubao/*', balances: overrides[0]?.entry.balances ?? [] }]),
    }),
    currency: 'CNY',
    fx: new Map([['USD', [{ rate: 7_100_000n as Micro, fromMs: -Infinity, toMs: Infinity, since: null }]]]),
    providers: new Map([['doubao', { id: 'vendor', region: 'cn' }]]),
  }
}

const JOB: RerateJob = {
  filter: { fromMs: null, toMs: null, provider: null, model: null, target: null, key: null },
  author: 'mei',
  note: 'list',
  nowMs: START_MS + 86_400_000,
  timeZone: 'Asia/Shanghai',
  closedMonths: [],
}

/** An attempt as it was billed under a book; `covered`: so many tokens were paid by the package. */
function billed(
  book: PriceBook,
  thinking: boolean,
  covered: number,
  fields: Partial<AttemptRow>,
): AttemptRow {
  const row = attemptRow({ responseModel: null, ...fields })
  const query = { providerName: 'doubao', providerId: 'vendor', region: 'cn', model: 'seed' }
  const price = priceOfAnswer(book.catalogue, query, null, row.startedAtMs)
  if (price === null) throw new Error('there is a price')
  const validity = { fromMs: -Infinity, toMs: Infinity }
  const pack = { id: 'pack', kind: 'package', unit: 'tokens', remaining: covered, validity } as const
  const terms = { thinking, atMs: row.startedAtMs, currency: book.currency, fx: book.fx }
  return { ...row, cost: rateCovered(price, row.usage, terms, [pack]).cost }
}

const attempts = fc
  .record({
    thinking: fc.boolean(),
    covered: fc.constantFrom(0, 7, 100, 5_000),
    input: fc.nat(1_000),
    cached: fc.nat(1_000),
    output: fc.nat(3_000),
    reasoning: fc.nat(50),
  })
  .map((one) => ({
    ...one,
    cached: Math.min(one.cached, one.input),
    reasoning: Math.min(one.reasoning, one.output),
  }))

const usageOf = (one: { input: number; cached: number; output: number; reasoning: number }) => ({
  inputTokens: one.input,
  cachedInputTokens: one.cached,
  cacheWriteTokens: 0,
  outputTokens: one.output,
  reasoningTokens: one.reasoning,
})

function rerun(book: PriceBook, row: AttemptRow, before: readonly AdjustmentRow[] = [], job = JOB) {
  const run = new RerateRun(book, job)
  const made = run.take({ request: requestRow({}), attempts: [row], adjustments: before })
  return { made, summary: run.summary() }
}

describe('re-rating', () => {
  test('changes nothing where prices have not changed, whatever the thinking mode and balances were', () => {
    const book = bookOf(ENTRY)
    fc.assert(
      fc.property(attempts, (one) => {
        const row = billed(book, one.thinking, one.covered, { usage: usageOf(one) })
        const { made, summary } = rerun(book, row)
        expect(made).toEqual([])
        expect(summary).toMatchObject({ attempts: 1, changed: 0, byPrice: [], byDay: [] })
        expect(summary.newNano).toBe(row.cost?.amountNano)
      }),
      { seed: 41_126, numRuns: 400 },
    )
  })

  test('adds exactly what makes the cost that of the new price, once', () => {
    const [first = {}, ...rest] = ENTRY.tiers
    const changed = bookOf({ ...ENTRY, tiers: [{ ...first, input: '0.7', cached_input: '0.2' }, ...rest] })
    const old = bookOf(ENTRY)
    fc.assert(
      fc.property(attempts, (one) => {
        const row = billed(old, one.thinking, one.covered, { usage: usageOf(one) })
        const right = billed(changed, one.thinking, one.covered, { usage: usageOf(one) })
        const { made } = rerun(changed, row)
        const sum = made.reduce((total, { amountNano }) => total + amountNano, 0n)
        expect((row.cost?.amountNano ?? 0n) + sum).toBe(right.cost?.amountNano)
        expect(rerun(changed, row, made).made).toEqual([])
        // Corrections by hand are no matter of prices.
        const byHand = made.map((adjustment) => ({ ...adjustment, reason: 'manual' as const }))
        expect(rerun(changed, row, byHand).made).toEqual(made)
      }),
      { seed: 41_127, numRuns: 400 },
    )
  })

  const row = billed(bookOf(ENTRY), true, 0, {})

  test('gives what had no price its first one, also where a budget was charged what it held', () => {
    const bound: Cost = {
      ...(row.cost as Cost),
      amountNano: 99n as Cost['amountNano'],
      priceVersion: 'unpriced;bound',
    }
    for (const cost of [null, bound]) {
      const { made, summary } = rerun(bookOf(ENTRY), { ...row, cost })
      expect(summary).toMatchObject({ changed: 1, firstPriced: 1 })
      expect(made[0]?.amountNano).toBe((row.cost?.amountNano ?? 0n) - (cost?.amountNano ?? 0n))
    }
  })

  test('counts estimates, and leaves alone what has no price now', () => {
    const gone = { ...row, target: 'gone/x', usageSource: 'estimated' as const }
    expect(rerun(bookOf(ENTRY), gone).summary).toMatchObject({ estimated: 1, withoutPrice: 1, changed: 0 })
    const refused = { ...gone, usage: usageOf({ input: 0, cached: 0, output: 0, reasoning: 0 }), cost: null }
    expect(rerun(bookOf(ENTRY), refused).summary).toMatchObject({ withoutPrice: 0 })
  })

  test('books in the month of the attempt while that is open, else now', () => {
    const unpriced = { ...row, cost: null }
    const [open] = rerun(bookOf(ENTRY), unpriced).made
    expect(open).toMatchObject({ month: '2026-10', bookedAtMs: START_MS, id: 'rerate:r1:1:1' })
    const nowMs = Date.UTC(2026, 10, 3)
    const [closed] = rerun(bookOf(ENTRY), unpriced, [], { ...JOB, nowMs, closedMonths: ['2026-10'] }).made
    expect(closed).toMatchObject({ month: '2026-11', bookedAtMs: nowMs })
  })

  test('shows only what its filter shows', () => {
    const filtered = (filter: Partial<RerateJob['filter']>) =>
      rerun(bookOf(ENTRY), row, [], { ...JOB, filter: { ...JOB.filter, ...filter } }).summary.attempts
    expect(filtered({ provider: 'doubao', model: 'assistant', target: 'doubao/seed', key: 'demo' })).toBe(1)
    expect(filtered({ fromMs: START_MS, toMs: START_MS + 1 })).toBe(1)
    for (const filter of [
      { toMs: START_MS },
      { fromMs: START_MS + 1 },
      { provider: 'doub' },
      { model: 'x' },
      { target: 'doubao/see' },
      { key: 'x' },
    ])
      expect(filtered(filter)).toBe(0)
  })
})
