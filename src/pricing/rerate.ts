// What a past attempt costs under other prices than those it was booked at. Pure; who reads the rows and who writes what
// comes of it stands elsewhere.

import type { FxRates } from '#core/fx.ts'
import { type AttemptRow, type Cost, isUnpriced } from '#core/ledger.ts'
import type { Balance } from './balances.ts'
import { type Catalogue, priceOfAnswer } from './catalogue.ts'
import type { Validity } from './instants.ts'
import type { Price } from './price.ts'
import { rateCovered } from './rate.ts'

/** Prices and what they go by. */
export interface PriceBook {
  readonly catalogue: Catalogue
  readonly currency: string
  readonly fx: FxRates
  /** By the name under `providers:`. */
  readonly providers: ReadonlyMap<string, { readonly id: string; readonly region: string }>
}

export type Rerated =
  | { readonly kind: 'rated'; readonly cost: Cost }
  /** No price is known of it now, or its provider is gone from the configuration. */
  | { readonly kind: 'no_price' }
  /** The row does not keep what its price hangs on. */
  | { readonly kind: 'unrated' }

/** Where the row's own bill still holds, that is the answer, whatever its price is called now. */
export function rerate(book: PriceBook, row: AttemptRow): Rerated {
  const slash = row.target.indexOf('/')
  const providerName = row.target.slice(0, Math.max(0, slash))
  const provider = book.providers.get(providerName)
  if (provider === undefined) return { kind: 'no_price' }
  const model = row.target.slice(slash + 1)
  const query = { providerName, providerId: provider.id, region: provider.region, model }
  const price = priceOfAnswer(book.catalogue, query, row.responseModel, row.startedAtMs)
  if (price === null) return { kind: 'no_price' }
  if (price.characterRule !== null && row.usage.other?.characters === undefined) return { kind: 'unrated' }
  const balances = balancesThen(book, row, providerName, model, price)
  const costs = [true, false].flatMap((thinking) => {
    const terms = { thinking, atMs: row.startedAtMs, currency: book.currency, fx: book.fx }
    return rateCovered(price, row.usage, terms, balances).cost ?? []
  })
  const cost = likeliest(row, costs)
  return cost === null ? { kind: 'unrated' } : { kind: 'rated', cost }
}

/** Rows do not say whether the thinking mode was on: the bill that they have does, else what came of it. */
function likeliest(row: AttemptRow, costs: readonly Cost[]): Cost | null {
  const [thinking, plain] = costs
  if (thinking === undefined || plain === undefined) return thinking ?? null
  const own = isUnpriced(row.cost) ? null : row.cost
  const guess = row.usage.reasoningTokens > 0 ? thinking : plain
  if (own === null) return guess
  const isSame = (cost: Cost) => cost.amountNano === own.amountNano && cost.nativeNano === own.nativeNano
  const output = outputPrice(own)
  const isBilledAlike = (cost: Cost) => output !== null && outputPrice(cost) === output
  const alike = costs.filter(isBilledAlike)
  return costs.find(isSame) ?? (alike.length === 1 ? (alike[0] ?? guess) : guess)
}

function outputPrice(cost: Cost): string | null {
  return cost.lines.find(({ item }) => item === 'output')?.price ?? null
}

const ALWAYS: Validity = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY }

/** Balances pay for as much as they did then: what they had left is spent since. */
function balancesThen(
  { catalogue }: PriceBook,
  row: AttemptRow,
  providerName: string,
  model: string,
  price: Price,
): readonly Balance[] {
  const paid = row.cost?.lines.filter(({ balance }) => balance !== undefined) ?? []
  if (paid.length === 0) return []
  const known = catalogue.balances.of(providerName, model, price, row.startedAtMs)
  return paid.map(({ item, quantity, balance = '' }) => ({
    id: balance,
    kind: item === 'package' ? 'package' : 'free_quota',
    unit: known.find(({ id }) => id === balance)?.unit ?? 'tokens',
    remaining: quantity,
    validity: ALWAYS,
  }))
}
