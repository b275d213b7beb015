// Worked bills of the vendors' own rules, through the shipped lists. The cases stand in billing-cases.jsonl, each with
// the rule that it was computed by.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatNano } from '#core/money.ts'
import type { PriceEntry } from '#core/price.ts'
import type { TokenUsage } from '#core/usage.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'
import { checkEntries } from '#pricing/check.ts'
import { indexList } from '#pricing/price-lists.ts'
import { rate } from '#pricing/rate.ts'
import { NOON_MS, termsOf } from './prices.ts'

interface BillingCase {
  readonly id: string
  readonly provider: string
  readonly region: string
  readonly model: string
  readonly time?: string
  readonly usage: Readonly<Record<string, number | boolean>>
  readonly currency: string
  readonly expected: string
  readonly rule: string
}

const PROVIDERS = join(import.meta.dirname, '../../../providers')

const lists = readdirSync(PROVIDERS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => {
    const text = readFileSync(join(PROVIDERS, name, 'prices.json'), 'utf8')
    return { provider: name, entries: JSON.parse(text) as PriceEntry[] }
  })
const catalogue = buildCatalogue({ lists, overrides: [], currency: 'CNY' })

const cases = readFileSync(join(import.meta.dirname, 'billing-cases.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as BillingCase)

function usageOf(usage: BillingCase['usage']): TokenUsage {
  const count = (name: string): number => Number(usage[name] ?? 0)
  return {
    inputTokens: count('prompt_tokens'),
    cachedInputTokens: count('cached_tokens'),
    cacheWriteTokens: count('cache_write_tokens'),
    outputTokens: count('completion_tokens'),
    reasoningTokens: count('reasoning_tokens'),
    ...(usage['explicit'] === true ? { explicitCache: true } : {}),
  }
}

test.each(cases)('$id: $rule', ({ provider, region, model, time, usage, currency, expected }) => {
  const atMs = time === undefined ? NOON_MS : Date.parse(time)
  const price = catalogue.find({ providerName: provider, providerId: provider, region, model, atMs })
  if (price === null) throw new Error(`${provider}/${model} has no price`)
  const terms = termsOf({ thinking: usage['thinking_mode'] === true, atMs, currency })
  const cost = rate(price, usageOf(usage), terms)
  expect(cost?.nativeCurrency).toBe(currency)
  expect(cost === null ? null : formatNano(cost.amountNano)).toBe(expected)
})

describe.each(lists)('the list of $provider', ({ provider, entries }) => {
  test('has no row that cannot be used', () => {
    expect(checkEntries(entries)).toEqual([])
  })

  test('names each row by a version of its own', () => {
    const versions = entries.map(
      (entry) => indexList(provider, [entry], null).findAnywhere(entry.model)[0]?.price.version,
    )
    expect(versions).not.toContain(undefined)
    expect(new Set(versions).size).toBe(entries.length)
  })
})
