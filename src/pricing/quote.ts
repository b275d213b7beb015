// What a request would cost, as a number for comparisons: what is billed is in rate.ts, in integers. A price list is
// read into floats once a second of the clock that is passed in.

import type { Micro } from '#core/money.ts'
import { type Balance, holdsFor } from './balances.ts'
import { priceAt } from './catalogue.ts'
import { holdsAt } from './instants.ts'
import { type Price, type Tier, tiersAt, type UnitPrice } from './price.ts'

export interface QuoteSource {
  readonly prices: readonly Price[]
  /** Book units per unit of a currency, micro; null: no rate is known. */
  readonly rateOf: (currency: string, atMs: number) => Micro | null
  readonly bookCurrency: string
  readonly isThinking: boolean
  /** What is left of free quotas and packages: while it lasts, a request costs nothing more. */
  readonly balances: (price: Price, atMs: number) => readonly Balance[]
}

export interface Quote {
  /** Book currency; NaN: not known. */
  readonly cost: (atMs: number, inputTokens: number, cachedTokens: number, outputTokens: number) => number
  /** Per million tokens. */
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
  // A balance may be used up at any moment: then nothing is kept.
  let keptSecond = Number.NaN
  let rows: readonly Row[] = []
  const rowFor = (atMs: number, inputTokens: number, outputTokens: number): Row | undefined => {
    const second = Math.floor(atMs / KEPT_MS)
    if (second !== keptSecond) {
      const price = priceAt(source.prices, atMs)
      const balances = price === null ? NO_BALANCES : source.balances(price, atMs)
      keptSecond = balances.length === 0 ? second : Number.NaN
      rows = readRows(source, price, balances, atMs)
    }
    for (const row of rows) {
      if (inputTokens <= row.inputTokensMax && outputTokens <= row.outputTokensMax) return row
    }
    // Past the last limit no row speaks of the request; the last one's price is taken, as in bills.
    return rows.at(-1)
  }
  return {
    cost(atMs, inputTokens, cachedTokens, outputTokens) {
      const row = rowFor(atMs, inputTokens, outputTokens)
      if (row === undefined) return Number.NaN
      return (inputTokens - cachedTokens) * row.input + cachedTokens * row.cached + outputTokens * row.output
    },
    inputPrice: (atMs, inputTokens, outputTokens) =>
      (rowFor(atMs, inputTokens, outputTokens)?.input ?? Number.NaN) * MILLION,
    outputPrice: (atMs, inputTokens, outputTokens) =>
      (rowFor(atMs, inputTokens, outputTokens)?.output ?? Number.NaN) * MILLION,
  }
}

const NO_BALANCES: readonly Balance[] = []

function readRows(
  source: QuoteSource,
  price: Price | null,
  balances: readonly Balance[],
  atMs: number,
): readonly Row[] {
  if (price === null || price.unit !== 'per_million_tokens') return []
  const rate = source.rateOf(price.currency, atMs)
  if (rate === null && price.currency !== source.bookCurrency) return []
  const exchange = rate === null ? 1 : Number(rate) / MILLION
  const share = Number(price.discounts.find((discount) => holdsAt(discount.validity, atMs))?.share ?? MILLION)
  const factor = (exchange * share) / MILLION
  const isInputFree = holdsFor(balances, 'input', atMs)
  const isOutputFree = holdsFor(balances, 'output', atMs)
  return tiersAt(price, atMs)
    .filter((tier) => tier.when === null)
    .map((tier) => ({
      inputTokensMax: tier.inputTokensMax,
      outputTokensMax: tier.outputTokensMax,
      input: isInputFree ? 0 : perToken(tier.input, factor),
      cached: isInputFree ? 0 : perToken(tier.cachedInput, factor),
      output: isOutputFree ? 0 : perToken(outputOf(tier, source.isThinking), factor),
    }))
}

function outputOf(tier: Tier, isThinking: boolean): UnitPrice | null {
  return isThinking ? tier.thinkingOutput : tier.output
}

/** Micro per million tokens. */
function perToken(price: UnitPrice | null, factor: number): number {
  return price === null ? 0 : (Number(price.micro) / MILLION / MILLION) * factor
}
