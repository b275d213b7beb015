import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { amountsOf } from '#core/amounts.ts'
import { formatPico, type Pico, parseDecimal, roundToNano } from '#core/money.ts'
import type { PriceBalance, PriceEntry } from '#core/price.ts'
import { BalanceBook } from '#pricing/balance-book.ts'
import { rateCovered } from '#pricing/rate.ts'
import { NOON_MS, priceOf, termsOf, usageOf } from './prices.ts'

const balance = (rest: Partial<PriceBalance> = {}): PriceBalance => ({
  id: 'free',
  kind: 'free_quota',
  unit: 'tokens',
  amount: 1000,
  ...rest,
})

function covered(
  entry: Partial<PriceEntry>,
  balances: readonly PriceBalance[],
  input = 30_000,
  output = 1000,
) {
  const kept = new BalanceBook([{ pattern: 'shop/m', balances }])
  return rateCovered(priceOf(entry), usageOf(input, output), termsOf(), kept.of('shop', 'm', null, NOON_MS))
}

describe('a discount', () => {
  test('is a line of its own, and list and contract stay apart', () => {
    const { cost } = covered({ discounts: [{ discount: '0.85' }] }, [])
    expect(cost?.lines.at(-1)).toEqual({
      item: 'discount',
      quantity: 1,
      price: '-0.0039',
      amount: '-0.0039',
    })
    const { list, contract } = amountsOf(cost?.lines ?? [])
    expect([formatPico(list), formatPico(contract)]).toEqual(['0.026', '0.0221'])
    expect(cost?.nativeNano).toBe(22_100_000n)
  })

  test('holds within its period, the first that does', () => {
    const discounts = [
      { discount: '0.5', effective_to: '2026-09-21' },
      { discount: '0.9', effective_from: '2026-09-21' },
      { discount: '0.1' },
    ]
    expect(covered({ discounts }, []).cost?.nativeNano).toBe(23_400_000n)
  })
})

describe('a balance', () => {
  test('pays first and leaves the rest to the bill, at list price', () => {
    // 20,000 of 30,000 input tokens are still free: qwen-max's worked case.
    const tiers = [{ input: '2.4', output: '9.6' }]
    const { cost, uses } = covered({ tiers }, [balance({ amount: 20_000, unit: 'input_tokens' })])
    const { list, freeQuota } = amountsOf(cost?.lines ?? [])
    expect([formatPico(list), formatPico(freeQuota)]).toEqual(['0.0816', '0.048'])
    expect(cost?.nativeNano).toBe(33_600_000n)
    expect(uses).toEqual([{ id: 'free', unit: 'input_tokens', quantity: 20_000 }])
  })

  test('that ends sooner is used sooner, whatever its place', () => {
    const { uses } = covered({}, [
      balance({ id: 'endless', amount: 50_000 }),
      balance({ id: 'next month', amount: 30_500, effective_to: '2026-10-01', kind: 'package' }),
    ])
    expect(uses).toEqual([
      { id: 'next month', unit: 'tokens', quantity: 30_500 },
      { id: 'endless', unit: 'tokens', quantity: 500 },
    ])
  })

  test.each<[string, Partial<PriceBalance>]>([
    ['has ended', { effective_to: '2026-09-21' }],
    ['has not begun', { effective_from: '2026-10-01' }],
    ['is of another unit', { unit: 'images' }],
  ])('that %s pays nothing', (_title, rest) => {
    const { cost, uses } = covered({}, [balance(rest)])
    expect(uses).toEqual([])
    expect(cost?.nativeNano).toBe(26_000_000n)
  })

  test('pays what the contract leaves', () => {
    const { cost } = covered({ discounts: [{ discount: '0.5' }] }, [
      balance({ amount: 31_000, kind: 'package' }),
    ])
    const amounts = amountsOf(cost?.lines ?? [])
    expect([amounts.list, amounts.contract, amounts.package].map(formatPico)).toEqual([
      '0.026',
      '0.013',
      '0.013',
    ])
    expect(cost?.nativeNano).toBe(0n)
  })
})

const decimal = fc
  .bigInt({ min: 0n, max: 200_000_000n })
  .map((micro) => `${micro / 1_000_000n}.${String(micro % 1_000_000n).padStart(6, '0')}`)
const share = fc
  .nat(1_000_000)
  .map((micro) => (micro === 1_000_000 ? '1' : `0.${String(micro).padStart(6, '0')}`))

test('under any contract and balances the lines sum to the total, which is never negative', () => {
  const entry = fc.record({ input: decimal, output: decimal, discount: share })
  const amounts = fc.array(fc.integer({ min: 1, max: 3_000_000 }), { maxLength: 4 })
  fc.assert(
    fc.property(
      entry,
      fc.nat(2_000_000),
      fc.nat(2_000_000),
      amounts,
      ({ discount, ...tier }, input, output, left) => {
        const { cost } = covered(
          { tiers: [tier], discounts: [{ discount }] },
          left.map((amount, index) => balance({ id: String(index), amount })),
          input,
          output,
        )
        const sum = (cost?.lines ?? []).reduce((total, line) => total + parseDecimal(line.amount, 12), 0n)
        expect(sum).toBeGreaterThanOrEqual(0n)
        expect(cost?.nativeNano).toBe(roundToNano(sum as Pico))
        const all = amountsOf(cost?.lines ?? [])
        expect(all.contract - all.freeQuota - all.package).toBe(sum)
        expect(all.contract).toBeLessThanOrEqual(all.list)
      },
    ),
  )
})
