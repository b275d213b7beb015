// What every store must do with adjustments. Each store's test file runs this in one line.

import { afterEach, describe, expect, test } from 'vitest'
import { type AdjustmentFilter, EVERY_ADJUSTMENT } from '#core/adjustments.ts'
import type { LedgerRow, LedgerStore, UsageQuery } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { adjustmentRow, attemptRow, batchOf, HOUR_MS, requestRow, START_MS } from '../support/ledger-rows.ts'
import type { OpenStore } from './store.contract.ts'

const EVERYTHING: UsageQuery = { groupBy: [], bucket: null, fromMs: null, toMs: null }

const ROWS: readonly LedgerRow[] = [
  { kind: 'attempt', row: attemptRow({}) },
  { kind: 'request', row: requestRow({}) },
  { kind: 'adjustment', row: adjustmentRow({}) },
  {
    kind: 'adjustment',
    row: adjustmentRow({
      id: 'adj-2',
      timeMs: START_MS + 25 * HOUR_MS,
      bookedAtMs: START_MS + HOUR_MS,
      amountNano: 100n as Nano,
      target: 'qwen/flash',
      reason: 'manual',
    }),
  },
  {
    kind: 'adjustment',
    row: adjustmentRow({
      id: 'adj: 3\t"三"',
      timeMs: START_MS + 26 * HOUR_MS,
      bookedAtMs: START_MS + 800 * HOUR_MS,
      month: '2026-11',
      requestId: null,
      attempt: null,
      day: '2026-10-01',
      key: '',
      tags: {},
      user: null,
      model: '',
      amountNano: 7n as Nano,
      reason: 'reconcile',
    }),
  },
]

export function adjustmentsContract(name: string, open: () => Promise<OpenStore>): void {
  describe(`adjustments in the ${name} store`, () => {
    const opened: OpenStore[] = []

    async function openStore(): Promise<LedgerStore> {
      const one = await open()
      opened.push(one)
      await one.store.apply(batchOf(ROWS))
      return one.store
    }

    afterEach(async () => {
      for (const one of opened.splice(0)) await one.close()
    })

    test('count beside cost, and neither as requests nor as attempts', async () => {
      const store = await openStore()
      expect((await store.usage(EVERYTHING)).total).toMatchObject({
        requests: 1,
        attempts: 1,
        inputTokens: 100,
        costNano: 1_000_000n,
        adjustmentNano: -249_893n,
        unpricedAttempts: 0,
      })
    })

    test('count in the hour and the series that they are booked in', async () => {
      const store = await openStore()
      const sums = async (query: Partial<UsageQuery>): Promise<unknown> =>
        (await store.usage({ ...EVERYTHING, ...query })).rows.map((row) => [...row.group, row.adjustmentNano])
      expect(await sums({ groupBy: ['target'] })).toEqual([
        ['doubao/seed', -249_993n],
        ['qwen/flash', 100n],
      ])
      expect(await sums({ groupBy: ['key', 'tag:team'] })).toEqual([
        ['', '', 7n],
        ['demo', 'growth', -249_900n],
      ])
      expect(await sums({ fromMs: START_MS, toMs: START_MS + HOUR_MS })).toEqual([[-250_000n]])
      expect(await sums({ groupBy: ['model'], bucket: 'day', toMs: START_MS + 48 * HOUR_MS })).toEqual([
        ['assistant', -250_000n],
        ['assistant', 100n],
      ])
    })

    test('count once, however often and under whichever sequence they come', async () => {
      const store = await openStore()
      const before = await store.usage({ ...EVERYTHING, groupBy: ['key', 'target'] })
      await store.apply(batchOf(ROWS))
      await store.apply({ ...batchOf(ROWS.slice(2)), instance: 'two' })
      expect(await store.usage({ ...EVERYTHING, groupBy: ['key', 'target'] })).toEqual(before)
      expect((await store.adjustments({ limit: 10, cursor: null })).rows).toHaveLength(3)
    })

    test('are listed newest first, whole and page by page', async () => {
      const store = await openStore()
      const expected = ROWS.flatMap((entry) => (entry.kind === 'adjustment' ? [entry.row] : [])).toReversed()
      expect(await store.adjustments({ limit: 10, cursor: null })).toEqual({
        rows: expected,
        nextCursor: null,
      })
      const first = await store.adjustments({ limit: 2, cursor: null })
      expect(first.rows).toEqual(expected.slice(0, 2))
      const second = await store.adjustments({ limit: 2, cursor: first.nextCursor })
      expect(second).toEqual({ rows: expected.slice(2), nextCursor: null })
      await expect(store.adjustments({ limit: 2, cursor: 'none' })).rejects.toThrow(RangeError)
    })

    test('are found by request, month, reason and target', async () => {
      const store = await openStore()
      const ids = async (filter: Partial<AdjustmentFilter>): Promise<readonly string[]> => {
        const query = { limit: 10, cursor: null, filter: { ...EVERY_ADJUSTMENT, ...filter } }
        return (await store.adjustments(query)).rows.map(({ id }) => id)
      }
      expect(await ids({ requestId: 'r1' })).toEqual(['adj-2', 'adj-1'])
      expect(await ids({ requestId: 'r1', reason: 'rerate' })).toEqual(['adj-1'])
      expect(await ids({ requestId: 'r' })).toEqual([])
      expect(await ids({ month: '2026-11' })).toEqual(['adj: 3\t"三"'])
      expect(await ids({ reason: 'manual' })).toEqual(['adj-2'])
      expect(await ids({ target: 'qwen/flash', month: '2026-10' })).toEqual(['adj-2'])
    })

    test('of nobody are none', async () => {
      const one = await open()
      opened.push(one)
      expect(await one.store.adjustments({ limit: 5, cursor: null })).toEqual({ rows: [], nextCursor: null })
    })
  })
}
