import { expect, test } from 'vitest'
import { amountsBetween, NO_AMOUNTS } from '#core/amounts.ts'
import type { Cost, CostLine } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'

const LIST: readonly CostLine[] = [{ item: 'input', quantity: 1000, price: '100', amount: '0.1' }]
const OFF: CostLine = { item: 'discount', quantity: 1, price: '-0.02', amount: '-0.02' }
const FREE: CostLine = { item: 'free_quota', quantity: 500, price: '-0.04', amount: '-0.04', balance: 'new' }
const PAID: CostLine = { item: 'package', quantity: 10, price: '-0.01', amount: '-0.01', balance: 'pack' }

function between(lines: readonly CostLine[], rest: Partial<Cost> = {}) {
  const nano = 30_000_000n as Nano
  const bill = {
    amountNano: nano,
    currency: 'CNY',
    nativeNano: nano,
    nativeCurrency: 'CNY',
    priceVersion: 'v',
  }
  return amountsBetween({ ...bill, lines, ...rest })
}

test('of a bill at list price nothing stands between', () => {
  expect(between(LIST)).toBe(NO_AMOUNTS)
  expect(between([])).toBe(NO_AMOUNTS)
})

test('contract and balances are told apart', () => {
  expect(between([...LIST, OFF, FREE, PAID])).toEqual({
    discountNano: 20_000_000n,
    freeQuotaNano: 40_000_000n,
    packageNano: 10_000_000n,
  })
})

test.each(['v;fx=7.1', 'config:a;fx=9/*;fx=7.1@2026-10-01'])(
  '%s says the rate to the books',
  (priceVersion) => {
    expect(between([...LIST, OFF], { nativeCurrency: 'USD', priceVersion })).toEqual({
      discountNano: 142_000_000n,
      freeQuotaNano: 0n,
      packageNano: 0n,
    })
  },
)
