// List prices of a target over a span of time as plain data (core/tariff.ts): what bands, dates and rates of exchange
// say, cut into spans that each have one price. Contracts and balances are left out.

import { type FxRates, rateAt } from '#core/fx.ts'
import { EVER_MS, NO_BOUND, type Tariff, type TariffSpan, type TariffTier } from '#core/tariff.ts'
import { startOfDayMs } from '#core/zones.ts'
import { priceAt } from './catalogue.ts'
import { type Price, type Tier, tiersAt, type UnitPrice } from './price.ts'

export interface TariffTerms {
  /** In the order in which `priceAt` looks. */
  readonly prices: readonly Price[]
  /** Of the books. */
  readonly currency: string
  readonly fx: FxRates
  /** Where hours of the day matter: of which days; half-open, epoch ms. */
  readonly fromMs: number
  readonly toMs: number
}

const HOUR_MS = 3_600_000
/** Seven a day for bands of a year and more. */
const SPANS_MAX = 50_000

export function tariffOf(terms: TariffTerms): Tariff {
  const edges = [-EVER_MS, ...edgesOf(terms), EVER_MS]
  const spans: TariffSpan[] = []
  for (const [index, toMs] of edges.entries()) {
    const fromMs = edges[index - 1]
    if (fromMs === undefined) continue
    // Before the first edge and after the last there is nothing to cut by.
    const atMs = fromMs !== -EVER_MS ? fromMs : toMs !== EVER_MS ? toMs - 1 : 0
    const span = spanAt(terms, atMs, fromMs, toMs)
    if (span === null) continue
    const last = spans.at(-1)
    if (last !== undefined && last.toMs === fromMs && isSame(last, span))
      spans[spans.length - 1] = { ...last, toMs }
    else spans.push(span)
  }
  return spans
}

/** Where a price may change, ascending, each once. */
function edgesOf({ prices, fx, fromMs, toMs }: TariffTerms): readonly number[] {
  const edges = new Set<number>()
  const add = (...instants: readonly number[]): void => {
    for (const atMs of instants) if (Number.isFinite(atMs)) edges.add(atMs)
  }
  for (const price of prices) {
    add(price.validity.fromMs, price.validity.toMs)
    for (const { fromMs: since, toMs: until } of fx.get(price.currency) ?? []) add(since, until)
    for (const { hours } of price.bands) {
      add(hours.validity.fromMs, hours.validity.toMs, fromMs, toMs)
      const lastDay = hours.zone(toMs).day
      for (let { day } = hours.zone(fromMs); day <= lastDay && edges.size < SPANS_MAX; day++) {
        const startMs = startOfDayMs(hours.zone, day)
        add(startMs)
        // Where a clock changed that day, it shows the minute an hour off.
        for (const minute of [hours.startMinute, hours.endMinute])
          for (const offMs of [-HOUR_MS, 0, HOUR_MS]) add(startMs + minute * 60_000 + offMs)
      }
    }
  }
  return [...edges].sort((left, right) => left - right)
}

function spanAt(terms: TariffTerms, atMs: number, fromMs: number, toMs: number): TariffSpan | null {
  const price = priceAt(terms.prices, atMs)
  if (price === null || price.unit !== 'per_million_tokens') return null
  // Days that nobody walked through have hours that nobody knows.
  if (price.bands.length > 0 && (fromMs < terms.fromMs || toMs > terms.toMs)) return null
  const isBooks = price.currency === terms.currency
  const exchange = isBooks ? null : rateAt(terms.fx, price.currency, atMs)
  if (exchange === null && !isBooks) return null
  const tiers = tiersAt(price, atMs).filter((tier) => tier.when === null)
  return tiers.length === 0 ? null : { fromMs, toMs, rate: exchange?.rate ?? null, tiers: tiers.map(tierOf) }
}

function tierOf(tier: Tier): TariffTier {
  return {
    inputTokensMax: Math.min(tier.inputTokensMax, NO_BOUND),
    outputTokensMax: Math.min(tier.outputTokensMax, NO_BOUND),
    input: microOf(tier.input),
    cachedInput: microOf(tier.cachedInput),
    output: microOf(tier.output),
    thinkingOutput: microOf(tier.thinkingOutput),
  }
}

function microOf(price: UnitPrice | null): bigint {
  return price?.micro ?? 0n
}

function isSame(left: TariffSpan, right: TariffSpan): boolean {
  return (
    left.rate === right.rate &&
    left.tiers.length === right.tiers.length &&
    left.tiers.every((tier, index) => {
      const other = right.tiers[index]
      return other !== undefined && TIER_NAMES.every((name) => tier[name] === other[name])
    })
  )
}

const TIER_NAMES = [
  'inputTokensMax',
  'outputTokensMax',
  'input',
  'cachedInput',
  'output',
  'thinkingOutput',
] as const satisfies readonly (keyof TariffTier)[]
