import { describe, expect, test } from 'vitest'
import type { PriceBalance, PriceEntry } from '#core/price.ts'
import { BalanceBook } from '#pricing/balance-book.ts'
import { configureBalances } from '#runtime/node/balances.ts'
import { liveWith } from '../pipeline/support.ts'
import { vendor } from '../settings/fixtures.ts'
import { NOON_MS, priceOf } from './prices.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The hour of noon in Shanghai. */
const NOW_MS = NOON_MS

const balance = (rest: Partial<PriceBalance> = {}): PriceBalance => ({
  id: 'free',
  kind: 'free_quota',
  unit: 'tokens',
  amount: 1000,
  ...rest,
})
const use = (quantity: number, id = 'free') => [{ id, unit: 'tokens', quantity }] as const
const bookOf = (...balances: readonly PriceBalance[]) => new BalanceBook([{ pattern: 'shop/m', balances }])
const leftIn = (book: BalanceBook, atMs = NOW_MS) => book.of('shop', 'm', null, atMs)[0]?.remaining

test('balances go down by what was taken and are kept by pattern', () => {
  const book = new BalanceBook([
    { pattern: 'shop/*', balances: [balance({ id: 'all' })] },
    { pattern: 'shop/m', balances: [balance({ id: 'own' })] },
  ])
  book.take(use(400, 'own'), NOW_MS)
  const left = (model: string) =>
    book.of('shop', model, null, NOW_MS).map(({ id, remaining }) => [id, remaining])
  expect(left('m')).toEqual([
    ['own', 600],
    ['all', 1000],
  ])
  expect(left('other')).toEqual([['all', 1000]])
  expect(book.of('elsewhere', 'm', null, NOW_MS)).toEqual([])
})

test('parts of seconds add up exactly', () => {
  const book = bookOf(balance({ unit: 'seconds', amount: 1 }))
  for (let index = 0; index < 10; index++) book.take(use(0.1), NOW_MS)
  expect(leftIn(book)).toBe(0)
})

describe('what was used of a balance', () => {
  test('stays used over a new configuration, whatever its amount', () => {
    const book = bookOf(balance())
    book.take(use(400), NOW_MS)
    book.configure([{ pattern: 'shop/m', balances: [balance({ amount: 2000 })] }])
    expect(leftIn(book)).toBe(1600)
  })

  test('is counted from its start on, to the whole hour', () => {
    const book = bookOf(balance({ effective_from: '2026-09-21T12:30:00+08:00' }))
    book.take(use(100), NOW_MS - HOUR_MS)
    book.take(use(10), NOW_MS)
    book.take(use(1), NOW_MS + HOUR_MS)
    expect(leftIn(book)).toBe(989)
  })

  test('is what the ledger says, and what was taken since', () => {
    const book = bookOf(balance())
    book.take(use(10), NOW_MS)
    book.learn([
      { id: 'free', hourMs: NOW_MS - DAY_MS, quantity: 300 },
      { id: 'free', hourMs: NOW_MS, quantity: 4 },
    ])
    expect(leftIn(book)).toBe(690)
    book.learn([{ id: 'free', hourMs: NOW_MS, quantity: 30 }])
    expect(leftIn(book)).toBe(670)
    book.take(use(1), NOW_MS)
    expect(leftIn(book)).toBe(669)
  })

  test('is not known before the ledger was read, and nothing is given away until then', () => {
    const book = new BalanceBook([{ pattern: 'shop/m', balances: [balance()] }], false)
    expect(book.of('shop', 'm', null, NOW_MS)).toEqual([])
    book.learn([])
    expect(leftIn(book)).toBe(1000)
  })

  test('more than there was leaves nothing', () => {
    const book = bookOf(balance())
    book.learn([{ id: 'free', hourMs: NOW_MS, quantity: 5000 }])
    expect(leftIn(book)).toBe(0)
  })
})

test('a balance of each month is whole again when the month begins in Beijing', () => {
  const book = bookOf(balance({ every: 'month' }))
  const lastMs = Date.parse('2026-09-30T23:30:00+08:00')
  book.take(use(900), lastMs)
  expect(leftIn(book, lastMs)).toBe(100)
  expect(leftIn(book, lastMs + HOUR_MS)).toBe(1000)
  book.take(use(1), lastMs + HOUR_MS)
  expect(leftIn(book, lastMs + HOUR_MS)).toBe(999)
  expect(leftIn(book, lastMs)).toBe(99)
})

describe('the free quota of a list', () => {
  const QUOTA: Partial<PriceEntry> = { free_quota: { amount: 1000, unit: 'tokens', valid_days: 90 } }
  const quotaIn = (book: BalanceBook, entry = QUOTA, atMs = NOW_MS) =>
    book.of('shop', 'an alias', priceOf(entry), atMs)
  const accountOf = (sinceMs: number | null) => {
    const book = new BalanceBook()
    book.configure([], [{ providerName: 'shop', sinceMs }])
    return book
  }

  test('is nobody’s by default, since an account may have used it up', () => {
    expect(quotaIn(bookOf())).toEqual([])
    expect(quotaIn(bookOf(balance()))).toEqual([])
  })

  test('is that of the account that is said to have it, by the model of the list', () => {
    const [quota] = quotaIn(accountOf(null))
    expect(quota).toMatchObject({
      id: 'free_quota:shop/m',
      kind: 'free_quota',
      unit: 'tokens',
      remaining: 1000,
    })
    expect(quotaIn(accountOf(null), {})).toEqual([])
  })

  test('is asked for in the configuration of a provider, with or without a day', () => {
    const main = { use: 'vendor', api_key: 'secret-of-vendor' }
    const quotaOf = (freeQuota?: unknown) => {
      const { settings } = liveWith([vendor], {
        providers: { main: { ...main, ...(freeQuota === undefined ? {} : { free_quota: freeQuota }) } },
        models: { m: { targets: ['main/m'] } },
      })
      const book = new BalanceBook()
      configureBalances(book, settings)
      return book.of('main', 'm', priceOf(QUOTA), NOW_MS)[0]?.validity.fromMs ?? null
    }
    expect(quotaOf()).toBeNull()
    expect(quotaOf(false)).toBeNull()
    expect(quotaOf(true)).toBe(Number.NEGATIVE_INFINITY)
    expect(quotaOf('2026-09-01')).toBe(Date.parse('2026-09-01T00:00:00+08:00'))
  })

  test('ends so many days after the account was opened', () => {
    const [quota] = quotaIn(accountOf(NOW_MS))
    expect(quota?.validity).toEqual({ fromMs: NOW_MS, toMs: NOW_MS + 90 * DAY_MS })
  })

  test('ends so many days after its first use, also over a restart', () => {
    const book = accountOf(null)
    expect(quotaIn(book)[0]?.validity.toMs).toBe(Number.POSITIVE_INFINITY)
    book.learn([{ id: 'free_quota:shop/m', hourMs: NOW_MS - HOUR_MS, quantity: 1 }])
    book.take(use(1, 'free_quota:shop/m'), NOW_MS)
    expect(quotaIn(book)[0]?.validity.toMs).toBe(NOW_MS - HOUR_MS + 90 * DAY_MS)
  })

  test('of each month is whole again in the next one', () => {
    const book = accountOf(null)
    const entry: Partial<PriceEntry> = { free_quota: { amount: 1000, unit: 'tokens', every: 'month' } }
    book.take(use(1000, 'free_quota:shop/m'), NOW_MS)
    expect(quotaIn(book, entry)[0]?.remaining).toBe(0)
    expect(quotaIn(book, entry, NOW_MS + 31 * DAY_MS)[0]?.remaining).toBe(1000)
  })
})
