// Whom usage is booked to, what tax it holds and what its team is charged.

import type { ChargePrice, FinanceSettings, Tax } from '#core/finance.ts'
import type { UsageGroup, UsageTotals } from '#core/ledger.ts'
import type { Pico } from '#core/money.ts'

/** What a row of usage says of itself. */
export type Dimensions = (by: UsageGroup) => string

const WHOLE = 1_000_000n
const PICO_PER_NANO = 1_000n

/** A team's own word, else its organisation's; empty: neither says any. */
export function bookedOf(
  { teams, organisations }: FinanceSettings,
  by: 'cost_centre' | 'contract_number',
  of: Dimensions,
): string {
  const booked = teams.get(of('team')) ?? organisations.get(of('organisation'))
  if (booked === undefined) return ''
  return by === 'cost_centre' ? booked.costCentre : booked.contractNumber
}

/** null: no tax is spoken of. */
export function taxOf({ tax, taxOf: own }: FinanceSettings, of: Dimensions): Tax | null {
  return own.size === 0 ? tax : (own.get(of('provider')) ?? tax)
}

export function isCharged({ teams }: FinanceSettings): boolean {
  return [...teams.values()].some(({ charge }) => charge !== null)
}

/** Whether charges hang on models and targets. */
export function needsPrices({ teams }: FinanceSettings): boolean {
  return [...teams.values()].some(({ charge }) => charge !== null && charge.prices.size > 0)
}

/** What usage of one team, model and target is charged, exactly, in millionths of a pico. */
export function chargeOf({ teams }: FinanceSettings, of: Dimensions, totals: UsageTotals): bigint {
  const costPico = ((totals.costNano + totals.adjustmentNano) * PICO_PER_NANO) as Pico
  const charge = teams.get(of('team'))?.charge ?? null
  if (charge === null) return costPico * WHOLE
  const price = priceFor(charge.prices, of)
  if (price === null) return costPico * (WHOLE + charge.markup)
  const cached = Math.min(totals.cachedInputTokens, totals.inputTokens)
  const pico =
    BigInt(totals.inputTokens - cached) * price.input +
    BigInt(cached) * price.cachedInput +
    BigInt(totals.outputTokens) * price.output
  return pico * (WHOLE + charge.markup)
}

/** The most exact name that there is a price for. */
function priceFor(prices: ReadonlyMap<string, ChargePrice>, of: Dimensions): ChargePrice | null {
  if (prices.size === 0) return null
  const target = of('target')
  const names = [target, of('model'), `${target.slice(0, target.indexOf('/'))}/*`, '*']
  for (const name of names) {
    const price = prices.get(name)
    if (price !== undefined) return price
  }
  return null
}
