// What a request would cost, as a number for comparisons: what is billed is in rate.ts, in integers. A price list is
// read into floats once a second of the clock that is passed in.

import type { Micro } from '#core/money.ts'
import { type Balance, payTokens } from './balances.ts'
import { priceAt } from './catalogue.ts'
import { holdsAt } from './instants.ts'
import { type Price, type Tier, tiersAt, type UnitPrice } from './price.ts'

export interface QuoteSource {
  readonly prices: readonly Price[]
  /** Book units per unit of a currency, micro; null: no rate is known. */
  readonly rateOf: (currency: string, atMs: number) => Micro | null
  readonly bookCurrency: string
  readonly isThinking: boolean
  /** What is left of free quotas and packages: it pays before anything is billed. */
  readonly balances: (price: Price, atMs: number) => readonly Balance[]
}

export interface Quote {
  /** Book currency; NaN: not known. */
  readonly cost: (atMs: number, inputTokens: number, cachedTokens: number, outputTokens: number) => number
  /** Per million tokens, on average over the request's, of which balances may pay some. */
  readonly inputPrice: (atMs: number, inputTokens: number, outputTokens: number) => number
  readonly outputPrice: (atMs: number, inputTokens: number, outputTokens: number) => number
}

/** Per token. */
interface Row {
  readonly inputTokensMax: number
  readonly outputTokensMax: number
  readonly input: number
  readonly cached: number
  readonly output: number
}

const MILLION = 1_000_000
const KEPT_MS = 1_000

export function createQuote(source: QuoteSource): Quote {
  let keptSecond = Number.NaN
  let price: Price | null = null
  let rows: readonly Row[] = []
  let hasBalances = false
  const rowFor = (atMs: number, inputTokens: number, outputTokens: number): Row | undefined => {
    const second = Math.floor(atMs / KEPT_MS)
    if (second !== keptSecond) {
      price = priceAt(source.prices, atMs)
      keptSecond = second
      rows = readRows(source, price, atMs)
      hasBalances = price !== null && source.balances(price, atMs).length > 0
    }
    for (const row of rows) {
      if (inputTokens <= row.inputTokensMax && outputTokens <= row.outputTokensMax) return row
    }
    // Past the last limit no row speaks of the request; the last one's price is taken, as in bills.
    return rows.at(-1)
  }
  const costBy = (row: Row, atMs: number, input: number, cached: number, output: number): number => {
    if (!hasBalances || price === null) return input * row.input + cached * row.cached + output * row.output
    // A balance may be used up at any moment: it is asked for each request, and what it does not cover is billed.
    const parts = { input, cached, output }
    payTokens(parts, source.balances(price, atMs), atMs)
    return parts.input * row.input + parts.cached * row.cached + parts.output * row.output
  }
  return {
    cost(atMs, inputTokens, cachedTokens, outputTokens) {
      const row = rowFor(atMs, inputTokens, outputTokens)
      if (row === undefined) return Number.NaN
      return costBy(row, atMs, inputTokens - cachedTokens, cachedTokens, outputTokens)
    },
    inputPrice(atMs, inputTokens, outputTokens) {
      const row = rowFor(atMs, inputTokens, outputTokens)
      if (row === undefined) return Number.NaN
      const tokens = Math.max(1, inputTokens)
      return (hasBalances ? costBy(row, atMs, tokens, 0, 0) / tokens : row.input) * MILLION
    },
    outputPrice(atMs, inputTokens, outputTokens) {
      const row = rowFor(atMs, inputTokens, outputTokens)
      if (row === undefined) return Number.NaN
      if (!hasBalances) return row.output * MILLION
      const tokens = Math.max(1, outputTokens)
      const whole = costBy(row, atMs, inputTokens, 0, tokens)
      return ((whole - costBy(row, atMs, inputTokens, 0, 0)) / tokens) * MILLION
    },
  }
}

function readRows(source: QuoteSource, price: Price | null, atMs: number): readonly Row[] {
  if (price === null || price.unit !== 'per_million_tokens') return []
  const rate = source.rateOf(price.currency, atMs)
  if (rate === null && price.currency !== source.bookCurrency) return []
  const exchange = rate === null ? 1 : Number(rate) / MILLION
  const share = Number(price.discounts.find((discount) => holdsAt(discount.validity, atMs))?.share ?? MILLION)
  const factor = (exchange * share) / MILLION
  return tiersAt(price, atMs)
    .filter((tier) => tier.when === null)
    .map((tier) => ({
      inputTokensMax: tier.inputTokensMax,
      outputTokensMax: tier.outputTokensMax,
      input: perToken(tier.input, factor),
      cached: perToken(tier.cachedInput, factor),
      output: perToken(outputOf(tier, source.isThinking), factor),
    }))
}

function outputOf(tier: Tier, isThinking: boolean): UnitPrice | null {
  return isThinking ? tier.thinkingOutput : tier.output
}

/** Micro per million tokens. */
function perToken(price: UnitPrice | null, factor: number): number {
  return price === null ? 0 : (Number(price.micro) / MILLION / MILLION) * factor
}
