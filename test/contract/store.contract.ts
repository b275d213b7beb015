// What every LedgerStore must do. Each store's test file runs this in one line.

import { afterEach, describe, expect, test } from 'vitest'
import { NO_AMOUNTS } from '#core/amounts.ts'
import {
  type LedgerRow,
  type LedgerStore,
  ReportError,
  type RequestFilter,
  type UsageGroup,
  type UsageQuery,
} from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { attemptRow, batchOf, discounted, HOUR_MS, requestRow, START_MS } from '../support/ledger-rows.ts'

export interface OpenStore {
  readonly store: LedgerStore
  close(): Promise<void>
}

const EVERYTHING: UsageQuery = { groupBy: [], bucket: null, fromMs: null, toMs: null }
const ANY: RequestFilter = { key: null, model: null, target: null, outcome: null, fromMs: null, toMs: null }

/** Two requests: one with a fallback, one cheap; a third was refused and has no attempt. */
const ROWS: readonly LedgerRow[] = [
  {
    kind: 'attempt',
    row: attemptRow({ requestId: 'r1', outcome: 'timeout', cost: null, usageSource: 'estimated' }),
  },
  {
    kind: 'attempt',
    row: attemptRow({ requestId: 'r1', attempt: 2, role: 'fallback', target: 'qwen/flash' }),
  },
  { kind: 'request', row: requestRow({ id: 'r1', attempts: 2, timeMs: START_MS }) },
  {
    kind: 'attempt',
    row: attemptRow({ requestId: 'r2', key: 'other', tags: {}, startedAtMs: START_MS + HOUR_MS }),
  },
  { kind: 'request', row: requestRow({ id: 'r2', key: 'other', tags: {}, timeMs: START_MS + HOUR_MS }) },
  {
    kind: 'request',
    row: requestRow({
      id: 'r3',
      key: null,
      model: null,
      status: 401,
      outcome: 'refused',
      error: 'invalid_api_key',
      attempts: 0,
      costNano: null,
      timeMs: START_MS + 2 * HOUR_MS,
      decision: null,
    }),
  },
]

export function storeContract(name: string, open: () => Promise<OpenStore>): void {
  describe(`the ${name} store`, () => {
    const opened: OpenStore[] = []

    async function openStore(): Promise<LedgerStore> {
      const one = await open()
      opened.push(one)
      return one.store
    }

    afterEach(async () => {
      for (const one of opened.splice(0)) await one.close()
    })

    test('answers nothing when it is empty', async () => {
      const store = await openStore()
      const report = await store.usage(EVERYTHING)
      expect(report.rows).toEqual([])
      expect(report.total).toMatchObject({ requests: 0, attempts: 0, costNano: 0n })
      expect(await store.requests({ limit: 10, cursor: null })).toEqual({ rows: [], nextCursor: null })
      expect(await store.request('r1')).toBeNull()
    })

    test('counts every attempt once, and a request by its first attempt', async () => {
      const store = await openStore()
      await store.apply(batchOf(ROWS))
      const { rows, total } = await store.usage(EVERYTHING)
      expect(rows).toEqual([{ ...total, group: [], bucketMs: null }])
      expect(total).toEqual({
        requests: 2,
        attempts: 3,
        inputTokens: 300,
        cachedInputTokens: 30,
        outputTokens: 60,
        reasoningTokens: 15,
        costNano: 2_000_000n,
        adjustmentNano: 0n,
        estimatedAttempts: 1,
        unpricedAttempts: 1,
        ...NO_AMOUNTS,
      })
    })

    test('skips rows that were applied before, in whole and in overlapping batches', async () => {
      const store = await openStore()
      await store.apply(batchOf(ROWS.slice(0, 3)))
      const before = await store.usage(EVERYTHING)
      await store.apply(batchOf(ROWS.slice(0, 3)))
      expect(await store.usage(EVERYTHING)).toEqual(before)
      await store.apply(batchOf(ROWS.slice(1), 2))
      await store.apply(batchOf(ROWS))
      await store.apply(batchOf([]))
      expect((await store.usage(EVERYTHING)).total).toMatchObject({ attempts: 3, costNano: 2_000_000n })
      expect((await store.requests({ limit: 10, cursor: null })).rows).toHaveLength(3)
    })

    test('keeps instances and epochs apart', async () => {
      const store = await openStore()
      const row = (requestId: string): LedgerRow[] => [{ kind: 'attempt', row: attemptRow({ requestId }) }]
      await store.apply({ ...batchOf(row('a')), instance: 'one', epoch: 2 })
      await store.apply({ ...batchOf(row('b')), instance: 'two', epoch: 2 })
      await store.apply({ ...batchOf(row('c')), instance: 'one', epoch: 3 })
      await store.apply({ ...batchOf(row('a')), instance: 'one', epoch: 2 })
      expect((await store.usage(EVERYTHING)).total.attempts).toBe(3)
    })

    test('groups usage by model, key, target and tag', async () => {
      const store = await openStore()
      await store.apply(batchOf(ROWS))
      const groups = async (groupBy: UsageQuery['groupBy']): Promise<unknown> =>
        (await store.usage({ ...EVERYTHING, groupBy })).rows.map((row) => [...row.group, row.attempts])
      expect(await groups(['model'])).toEqual([['assistant', 3]])
      expect(await groups(['key'])).toEqual([
        ['demo', 2],
        ['other', 1],
      ])
      expect(await groups(['target', 'key'])).toEqual([
        ['doubao/seed', 'demo', 1],
        ['doubao/seed', 'other', 1],
        ['qwen/flash', 'demo', 1],
      ])
      expect(await groups(['tag:team', 'tag:constructor'])).toEqual([
        ['', '', 1],
        ['growth', '', 2],
      ])
    })

    test('groups usage by team, organisation and provider', async () => {
      const store = await openStore()
      await store.apply(batchOf(ROWS))
      const query: UsageQuery = { ...EVERYTHING, groupBy: ['team', 'organisation', 'provider'] }
      expect((await store.usage(query)).rows.map((row) => [...row.group, row.attempts])).toEqual([
        ['', '', 'doubao', 1],
        ['growth', '', 'doubao', 1],
        ['growth', '', 'qwen', 1],
      ])
    })

    test('sums what is filtered by anything, whatever it is grouped by', async () => {
      const store = await openStore()
      await store.apply(batchOf(ROWS))
      const attempts = async (
        by: UsageGroup,
        values: string[],
        groupBy: UsageGroup[] = [],
      ): Promise<unknown> => {
        const { rows, total } = await store.usage({ ...EVERYTHING, groupBy, where: [{ by, values }] })
        expect(rows.reduce((sum, row) => sum + row.attempts, 0)).toBe(total.attempts)
        return total.attempts
      }
      expect(await attempts('key', ['demo'])).toBe(2)
      expect(await attempts('key', ['demo', 'other'], ['target'])).toBe(3)
      expect(await attempts('model', ['none'])).toBe(0)
      expect(await attempts('provider', ['qwen'], ['key'])).toBe(1)
      expect(await attempts('target', ['doubao/seed'], ['model'])).toBe(2)
      expect(await attempts('team', ['growth'], [])).toBe(2)
      expect(await attempts('team', [''], ['organisation'])).toBe(1)
      expect(await attempts('tag:app', ['web'], ['tag:team'])).toBe(2)
      if (name === 'Redis') await expect(attempts('user', ['u-17'])).rejects.toThrow(ReportError)
      else expect(await attempts('user', ['u-17'], ['key'])).toBe(3)
    })

    test('groups usage by user, or says that it cannot', async () => {
      const store = await openStore()
      const anonymous = attemptRow({ requestId: 'r4', user: null })
      await store.apply(batchOf([...ROWS, { kind: 'attempt', row: anonymous }]))
      const query: UsageQuery = { ...EVERYTHING, groupBy: ['user', 'key'], bucket: 'day' }
      if (name === 'Redis') return expect(store.usage(query)).rejects.toThrow(ReportError)
      const { rows, total } = await store.usage(query)
      expect(rows.map((row) => [...row.group, row.attempts])).toEqual([
        ['', 'demo', 1],
        ['u-17', 'demo', 2],
        ['u-17', 'other', 1],
      ])
      expect(total.attempts).toBe(4)
    })

    test('lists requests that say what is asked for', async () => {
      const store = await openStore()
      await store.apply(batchOf(ROWS))
      const ids = async (filter: Partial<RequestFilter>): Promise<string[]> => {
        const page = await store.requests({ limit: 10, cursor: null, filter: { ...ANY, ...filter } })
        expect(page.nextCursor).toBeNull()
        return page.rows.map((row) => row.id)
      }
      expect(await ids({})).toEqual(['r3', 'r2', 'r1'])
      expect(await ids({ key: 'other' })).toEqual(['r2'])
      expect(await ids({ model: 'assistant' })).toEqual(['r2', 'r1'])
      expect(await ids({ target: 'qwen/flash' })).toEqual(['r1'])
      expect(await ids({ outcome: 'refused' })).toEqual(['r3'])
      expect(await ids({ fromMs: START_MS + HOUR_MS })).toEqual(['r3', 'r2'])
      expect(await ids({ toMs: START_MS + HOUR_MS })).toEqual(['r1'])
      expect(await ids({ key: 'demo', outcome: 'refused' })).toEqual([])
    })

    test('goes on with a filter where the last page ended', async () => {
      const store = await openStore()
      const rows = Array.from({ length: 40 }, (_, index): LedgerRow => {
        const id = `f${String(index).padStart(2, '0')}`
        const key = index % 3 === 0 ? 'third' : 'demo'
        return { kind: 'request', row: requestRow({ id, key, attempts: 0, timeMs: START_MS + (index >> 2) }) }
      })
      await store.apply(batchOf(rows))
      const seen: string[] = []
      let cursor: string | null = null
      do {
        const page = await store.requests({ limit: 4, cursor, filter: { ...ANY, key: 'third' } })
        seen.push(...page.rows.map((row) => row.id))
        cursor = page.nextCursor
      } while (cursor !== null)
      expect(seen).toHaveLength(14)
      expect(new Set(seen).size).toBe(14)
      expect(seen).toEqual(seen.toSorted().reverse())
    })

    test('puts usage into hours, and into days of Shanghai', async () => {
      const store = await openStore()
      await store.apply(batchOf(ROWS))
      const buckets = async (bucket: 'hour' | 'day'): Promise<unknown> =>
        (await store.usage({ ...EVERYTHING, bucket })).rows.map((row) => [row.bucketMs, row.attempts])
      expect(await buckets('hour')).toEqual([
        [START_MS, 2],
        [START_MS + HOUR_MS, 1],
      ])
      // 23:00 and midnight in Shanghai.
      expect(await buckets('day')).toEqual([
        [START_MS - 23 * HOUR_MS, 2],
        [START_MS + HOUR_MS, 1],
      ])
    })

    test('puts usage into the days of a zone, of which one has 25 hours', async () => {
      const store = await openStore()
      const from = Date.parse('2026-10-31T00:00:00-04:00')
      const hours = Array.from({ length: 24 + 25 + 24 }, (_, index) => from + index * HOUR_MS)
      const rows = hours.flatMap((startedAtMs, index): readonly LedgerRow[] => [
        { kind: 'attempt', row: attemptRow({ requestId: `r${index}`, startedAtMs }) },
        { kind: 'request', row: requestRow({ id: `r${index}`, timeMs: startedAtMs }) },
      ])
      await store.apply(batchOf(rows))
      const query: UsageQuery = { ...EVERYTHING, bucket: 'day', timeZone: 'America/New_York' }
      const days = (await store.usage(query)).rows.map(({ bucketMs, attempts }) => [bucketMs, attempts])
      expect(days).toEqual([
        [Date.parse('2026-10-31T00:00:00-04:00'), 24],
        [Date.parse('2026-11-01T00:00:00-04:00'), 25],
        [Date.parse('2026-11-02T00:00:00-05:00'), 24],
      ])
      const one = {
        ...query,
        fromMs: Date.parse('2026-11-01T00:00:00-04:00'),
        toMs: Date.parse('2026-11-02T00:00:00-05:00'),
      }
      expect((await store.usage(one)).rows.map((row) => row.attempts)).toEqual([25])
    })

    test('counts by row, or else an hour of UTC to the day it begins in, where midnight is not on the hour', async () => {
      const store = await openStore()
      // 23:45 and 00:15 in Kolkata, and an hour later.
      const times = ['2026-10-01T18:15:00Z', '2026-10-01T18:45:00Z', '2026-10-01T19:15:00Z'].map(Date.parse)
      const rows = times.flatMap((startedAtMs, index): readonly LedgerRow[] => [
        { kind: 'attempt', row: attemptRow({ requestId: `r${index}`, startedAtMs }) },
        { kind: 'request', row: requestRow({ id: `r${index}`, timeMs: startedAtMs }) },
      ])
      await store.apply(batchOf(rows))
      const query: UsageQuery = { ...EVERYTHING, bucket: 'day', timeZone: 'Asia/Kolkata' }
      const days = (await store.usage(query)).rows.map(({ bucketMs, attempts }) => [bucketMs, attempts])
      expect(days).toEqual([
        [Date.parse('2026-10-01T00:00:00+05:30'), name === 'Redis' ? 2 : 1],
        [Date.parse('2026-10-02T00:00:00+05:30'), name === 'Redis' ? 1 : 2],
      ])
    })

    test('limits usage to whole hours from and to, whatever the bucket', async () => {
      const store = await openStore()
      await store.apply(batchOf(ROWS))
      for (const bucket of [null, 'hour', 'day'] as const) {
        const attempts = async (fromMs: number | null, toMs: number | null): Promise<number> =>
          (await store.usage({ groupBy: [], bucket, fromMs, toMs })).total.attempts
        expect(await attempts(START_MS, START_MS + HOUR_MS)).toBe(2)
        expect(await attempts(START_MS + HOUR_MS, null)).toBe(1)
        expect(await attempts(null, START_MS)).toBe(0)
        expect(await attempts(START_MS - 100 * HOUR_MS, START_MS + 100 * HOUR_MS)).toBe(3)
      }
    })

    test('counts what was used of balances by hour, each row once', async () => {
      const store = await openStore()
      const bill = attemptRow({}).cost
      const paid = (balance: string, quantity: number) =>
        ({ item: 'package', quantity, price: '-0.1', amount: '-0.1', balance }) as const
      const attempt = (requestId: string, startedAtMs: number, lines: readonly ReturnType<typeof paid>[]) => {
        const cost = bill === null ? null : { ...bill, lines: [...bill.lines, ...lines] }
        return { kind: 'attempt', row: attemptRow({ requestId, startedAtMs, cost }) } as const
      }
      const rows: LedgerRow[] = [
        attempt('r1', START_MS, [paid('a pack', 100), paid('speech', 0.25)]),
        attempt('r2', START_MS + 1, [paid('a pack', 7)]),
        attempt('r3', START_MS + HOUR_MS, [paid('a pack', 1)]),
        attempt('r4', START_MS, []),
      ]
      // A tag of that name is no balance.
      const odd = attemptRow({ requestId: 'r5', tags: { balance: 'x' }, cost: null })
      rows.push({ kind: 'attempt', row: odd })
      for (const { row } of [...rows]) {
        if ('outcome' in row && 'requestId' in row)
          rows.push({ kind: 'request', row: requestRow({ id: row.requestId }) })
      }
      await store.apply(batchOf(rows))
      await store.apply(batchOf(rows))
      const used = (await store.balances()).toSorted((a, b) => a.hourMs - b.hourMs || (a.id < b.id ? -1 : 1))
      expect(used).toEqual([
        { id: 'a pack', hourMs: START_MS, quantity: 107 },
        { id: 'speech', hourMs: START_MS, quantity: 0.25 },
        { id: 'a pack', hourMs: START_MS + HOUR_MS, quantity: 1 },
      ])
    })

    test('adds up what stands between list price and cost, in any grouping and range', async () => {
      const store = await openStore()
      const rows = [0, HOUR_MS / 2, HOUR_MS, 30 * HOUR_MS].flatMap((afterMs, index) =>
        discounted(`under${index}`, START_MS + afterMs),
      )
      await store.apply(batchOf([...ROWS, ...rows]))
      const times = (count: bigint) => ({
        discountNano: 1_000n * count,
        freeQuotaNano: 0n,
        packageNano: 2_000n * count,
      })
      for (const bucket of [null, 'hour', 'day'] as const) {
        const sumIs = async (count: bigint, query: Partial<UsageQuery>) =>
          expect((await store.usage({ ...EVERYTHING, bucket, ...query })).total).toMatchObject(times(count))
        await sumIs(4n, {})
        await sumIs(4n, { timeZone: 'America/New_York' })
        await sumIs(4n, { groupBy: ['key', 'model'] })
        await sumIs(4n, { groupBy: ['tag:team'] })
        await sumIs(2n, { toMs: START_MS + HOUR_MS })
        await sumIs(1n, { fromMs: START_MS + HOUR_MS, toMs: START_MS + 2 * HOUR_MS })
        await sumIs(0n, { fromMs: START_MS + 2 * HOUR_MS, toMs: START_MS + 3 * HOUR_MS })
      }
      expect((await store.usage({ ...EVERYTHING, groupBy: ['key'] })).rows).toMatchObject([
        { group: ['demo'], ...times(4n) },
        { group: ['other'], ...times(0n) },
      ])
    })

    test('adds up money beyond 2^53 to the last digit', async () => {
      const store = await openStore()
      const amountNano = (2n ** 53n - 1n) as Nano
      const cost = { ...attemptRow({}).cost, amountNano }
      const rows = Array.from({ length: 5 }, (_, index): LedgerRow => {
        const row = attemptRow({ requestId: `big${index}` })
        return { kind: 'attempt', row: { ...row, cost: row.cost === null ? null : { ...row.cost, ...cost } } }
      })
      await store.apply(batchOf(rows))
      expect((await store.usage(EVERYTHING)).total.costNano).toBe(5n * amountNano)
    })

    test('lists requests newest first, page by page, without gap or repetition', async () => {
      const store = await openStore()
      // Five at each instant: the order within one is by id.
      const ids = Array.from({ length: 25 }, (_, index) => `p${String(index).padStart(2, '0')}`)
      const rows = ids.map(
        (id, index): LedgerRow => ({
          kind: 'request',
          row: requestRow({ id, attempts: 0, timeMs: START_MS + Math.floor(index / 5) }),
        }),
      )
      await store.apply(batchOf(rows.toReversed()))
      const seen: string[] = []
      let cursor: string | null = null
      let pages = 0
      do {
        const page = await store.requests({ limit: 4, cursor })
        seen.push(...page.rows.map((row) => row.id))
        cursor = page.nextCursor
        pages += 1
      } while (cursor !== null)
      expect(seen).toEqual(ids.toReversed())
      expect(pages).toBe(7)
      const whole = await store.requests({ limit: 25, cursor: null })
      expect(whole.nextCursor).toBeNull()
    })

    test('refuses a cursor that is none of its own', async () => {
      const store = await openStore()
      for (const cursor of ['', 'x', '%%%', btoa('hello')]) {
        await expect(store.requests({ limit: 10, cursor })).rejects.toThrow(RangeError)
      }
    })

    test('tells one request with its attempts, as they were written', async () => {
      const store = await openStore()
      await store.apply(batchOf(ROWS))
      const detail = await store.request('r1')
      expect(detail?.request).toEqual(ROWS[2]?.row)
      expect(detail?.attempts).toEqual([ROWS[0]?.row, ROWS[1]?.row])
      expect(await store.request('r3')).toEqual({ request: ROWS[5]?.row, attempts: [] })
      expect(await store.request('none')).toBeNull()
    })

    test('does not show a request of which only attempts have come', async () => {
      const store = await openStore()
      await store.apply(batchOf(ROWS.slice(0, 1)))
      expect(await store.request('r1')).toBeNull()
      expect((await store.requests({ limit: 10, cursor: null })).rows).toEqual([])
      await store.apply(batchOf(ROWS))
      expect((await store.request('r1'))?.attempts).toHaveLength(2)
    })
  })
}
