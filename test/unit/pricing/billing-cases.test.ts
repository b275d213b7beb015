// Worked bills of the vendors' own rules, through the shipped lists, as `sluice rate` computes them. The cases stand in
// billing-cases.jsonl, each with the rule that it was computed by and its source.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type PriceBook, rateAsked } from '#cli/rate.ts'
import { readRatedUsage } from '#cli/rate-usage.ts'
import { amountsOf } from '#core/amounts.ts'
import { formatNano, type Pico, parseDecimal, roundToNano } from '#core/money.ts'
import type { PriceEntry } from '#core/price.ts'
import { BalanceBook } from '#pricing/balance-book.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'
import { checkEntries } from '#pricing/check.ts'
import { indexList } from '#pricing/price-lists.ts'
import { rateCovered } from '#pricing/rate.ts'
import { NOON_MS, termsOf } from './prices.ts'

interface BillingCase {
  readonly id: string
  readonly provider: string
  readonly model: string
  readonly time?: string
  readonly usage: Readonly<Record<string, unknown>>
  readonly expected_cny?: string
  readonly expected_usd?: string
  readonly rule: string
}

const PROVIDERS = join(import.meta.dirname, '../../../providers')

const lists = readdirSync(PROVIDERS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => {
    const text = readFileSync(join(PROVIDERS, name, 'prices.json'), 'utf8')
    return { provider: name, entries: JSON.parse(text) as PriceEntry[] }
  })

const book: PriceBook = {
  catalogueIn: (currency) =>
    buildCatalogue({ lists, overrides: [], ...(currency === null ? {} : { currency }) }),
  folderOf: (name) =>
    lists.some(({ provider }) => provider === name) ? { id: name, region: 'cn', isConfigured: false } : null,
  fx: new Map(),
}

const cases = readFileSync(join(import.meta.dirname, 'billing-cases.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as BillingCase)

test.each(cases)('$id: $rule', ({ provider, model, time, usage, expected_cny: cny, expected_usd: usd }) => {
  const atMs = time === undefined ? NOON_MS : Date.parse(time)
  const currency = usd === undefined ? 'CNY' : 'USD'
  const read = readRatedUsage(usage)
  const { cost } = rateAsked({ provider, model, region: null, currency, atMs, usage: read }, book)
  expect(formatNano(cost.amountNano)).toBe(cny ?? usd)
  expect(cost.nativeCurrency).toBe(currency)
  const sum = cost.lines.reduce((total, line) => total + parseDecimal(line.amount, 12), 0n)
  expect(cost.nativeNano).toBe(roundToNano(sum as Pico))
  expect(cost.priceVersion).not.toContain('unpriced')
  expect(read.ignored).toEqual([])
})

test('what is left of a free quota pays the bill and leaves the list cost as it is', () => {
  const query = { providerName: 'qwen', providerId: 'qwen', region: 'cn', model: 'qwen-max', atMs: NOON_MS }
  const price = book.catalogueIn('CNY').find(query)
  if (price === null) throw new Error('qwen-max has no price')
  const { usage } = readRatedUsage({ prompt_tokens: 30_000, completion_tokens: 1000 })
  const left = { id: 'new account', kind: 'free_quota', unit: 'input_tokens', amount: 20_000 } as const
  const balances = new BalanceBook([{ pattern: 'qwen/*', balances: [left] }])
  const { cost } = rateCovered(price, usage, termsOf(), balances.of('qwen', 'qwen-max', price, NOON_MS))
  expect(amountsOf(cost?.lines ?? []).list).toBe(parseDecimal('0.0816', 12))
  expect(cost === null ? null : formatNano(cost.nativeNano)).toBe('0.0336')
})

describe.each(lists)('the list of $provider', ({ provider, entries }) => {
  test('has no row that cannot be used', () => {
    expect(checkEntries(entries)).toEqual([])
  })

  test('names each row by a version of its own', () => {
    const whole = entries.filter((entry) => entry.quoted_only !== true)
    const versions = whole.map(
      (entry) => indexList(provider, [entry], null).findAnywhere(entry.model)[0]?.price.version,
    )
    expect(versions).not.toContain(undefined)
    expect(new Set(versions).size).toBe(whole.length)
  })
})
