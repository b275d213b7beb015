// Entries, usages and terms that the tests of pricing share.

import type { FxRates } from '#core/fx.ts'
import { parseMicro } from '#core/money.ts'
import type { PriceEntry } from '#core/price.ts'
import { NO_USAGE, type TokenUsage } from '#core/usage.ts'
import { buildCatalogue, type CatalogueSources, type PriceQuery } from '#pricing/catalogue.ts'
import { type Price, readPrice } from '#pricing/price.ts'
import type { RatingTerms } from '#pricing/rate.ts'

export const NOON_MS = Date.parse('2026-09-21T12:00:00+08:00')

export function entryOf(entry: Partial<PriceEntry> = {}): PriceEntry {
  return {
    model: 'm',
    currency: 'CNY',
    unit: 'per_million_tokens',
    tiers: [{ input: '0.8', output: '2' }],
    ...entry,
  }
}

export function priceOf(entry: Partial<PriceEntry> = {}): Price {
  return readPrice(entryOf(entry), 'vendor/m')
}

export function usageOf(
  inputTokens: number,
  outputTokens: number,
  rest: Partial<TokenUsage> = {},
): TokenUsage {
  return { ...NO_USAGE, inputTokens, outputTokens, ...rest }
}

export function termsOf(terms: Partial<RatingTerms> = {}): RatingTerms {
  return { thinking: false, atMs: NOON_MS, currency: 'CNY', fx: new Map(), ...terms }
}

/** Dollars at one rate for ever. */
export function dollarsAt(rate: string): FxRates {
  const ever = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY, since: null }
  return new Map([['USD', [{ rate: parseMicro(rate), ...ever }]]])
}

/** A function that says which row prices a model of the provider "vendor", configured as "shop". */
export function finderOf(entries: readonly PriceEntry[], rest: Partial<CatalogueSources> = {}) {
  const catalogue = buildCatalogue({ lists: [{ provider: 'vendor', entries }], overrides: [], ...rest })
  return (model: string, query: Partial<PriceQuery> & { readonly at?: string } = {}) => {
    const { at, ...others } = query
    const atMs = at === undefined ? NOON_MS : Date.parse(at)
    const own = { providerName: 'shop', providerId: 'vendor', region: 'cn', model, atMs, ...others }
    return catalogue.find(own)?.version ?? null
  }
}
