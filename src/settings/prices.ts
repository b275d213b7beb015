// `prices:` of a configuration → price entries over the catalogue.

import { parseMicro } from '#core/money.ts'
import { PRICE_NAMES, type PriceEntry, type PriceTier, type PriceTimeBand } from '#core/price.ts'
import type { Settings } from '#core/settings.ts'
import { checkDates, checkTimeZone } from './dates.ts'
import { describe, type Path } from './problems.ts'
import type { PriceConfig } from './schema.ts'
import { indexed, present, type Scope } from './scope.ts'
import { checkTarget } from './target-name.ts'

type TierConfig = NonNullable<NonNullable<PriceConfig['tiers']>[number]>
type BandConfig = NonNullable<NonNullable<PriceConfig['time_bands']>[number]>

const PATTERN = 'PROVIDER/MODEL or PROVIDER/*'

export function readPrices(scope: Scope): Settings['prices'] {
  const balances = new Map<string, string>()
  return Object.entries(scope.config.prices).map(([pattern, config]) => {
    const path = ['prices', pattern]
    const target = checkTarget(scope, path, pattern, PATTERN)
    if (target !== null && target.model !== '*' && target.model.includes('*')) {
      scope.report.add(path, { message: `must read ${PATTERN}`, found: describe(pattern), allowed: PATTERN })
    }
    checkWhole(scope, path, config)
    if (config.currency !== undefined) checkCurrency(scope, [...path, 'currency'], config.currency)
    checkTiers(scope, [...path, 'tiers'], config.tiers ?? [])
    checkDates(scope, path, config)
    checkContract(scope, path, config)
    checkBalances(scope, path, config, balances)
    for (const [index, band] of indexed(config.time_bands ?? [])) {
      checkBand(scope, [...path, 'time_bands', index], band)
    }
    return { pattern, entry: entryOf(target?.model ?? pattern, config, scope.config.currency) }
  })
}

/** A price says its currency, unit and tiers; without tiers there is a contract or a balance over the list's price. */
function checkWhole(scope: Scope, path: Path, config: PriceConfig): void {
  const isContract =
    config.tiers === undefined && (config.discounts !== undefined || config.balances !== undefined)
  if (isContract || scope.report.hasWithin(path)) return
  for (const name of ['currency', 'unit', 'tiers'] as const) {
    if (config[name] !== undefined) continue
    const allowed = 'currency, unit and tiers; discounts or balances alone go over the list’s price'
    scope.report.add([...path, name], { message: 'is missing', found: 'nothing', allowed })
  }
}

function checkContract(scope: Scope, path: Path, config: PriceConfig): void {
  for (const [index, part] of indexed(config.discounts ?? [])) {
    checkDates(scope, [...path, 'discounts', index], part)
    if (parseMicro(part.discount) <= WHOLE) continue
    const allowed = 'a share of the list price, at most "1"'
    scope.report.add([...path, 'discounts', index, 'discount'], {
      message: 'is more than the list price',
      found: describe(part.discount),
      allowed,
    })
  }
  for (const [index, part] of indexed(config.items ?? [])) checkDates(scope, [...path, 'items', index], part)
}

/** A balance may pay for several models; it is one then, and must be the same wherever it stands. */
function checkBalances(scope: Scope, path: Path, config: PriceConfig, known: Map<string, string>): void {
  for (const [index, part] of indexed(config.balances ?? [])) {
    const own = [...path, 'balances', index]
    checkDates(scope, own, part)
    const { id, kind, unit, amount, every, effective_from: from, effective_to: to } = part
    const text = JSON.stringify([kind, unit, amount, every, from, to])
    const other = known.get(id)
    known.set(id, text)
    if (other === undefined || other === text) continue
    const allowed = 'another id, or the same kind, unit, amount and dates'
    scope.report.add([...own, 'id'], {
      message: 'names another balance before',
      found: describe(id),
      allowed,
    })
  }
}

const WHOLE = 1_000_000n

function checkCurrency(scope: Scope, path: Path, currency: string): void {
  if (currency === scope.config.currency || scope.declared.currencies.has(currency)) return
  scope.report.add(path, {
    message: `there is no rate for ${currency} under fx`,
    found: currency,
    allowed: `${scope.config.currency}, or a rate such as fx: { ${currency}: "7.10" }`,
    nearest: scope.report.nearest(currency, [scope.config.currency, ...scope.declared.currencies]),
  })
}

/** The first row that fits prices a request, so a row behind a wider one is never reached. */
function checkTiers(scope: Scope, path: Path, tiers: readonly (TierConfig | undefined)[]): void {
  const before: (readonly [number, TierConfig])[] = []
  for (const [index, tier] of indexed(tiers)) {
    const hasPrice = PRICE_NAMES.some((price) => tier[price] !== undefined)
    if (!hasPrice && !scope.report.hasWithin([...path, index])) {
      const allowed = `at least one of ${PRICE_NAMES.join(', ')}`
      scope.report.add([...path, index], { message: 'has no price', found: 'none', allowed })
    }
    const wider = before.find(([, other]) => covers(other, tier))
    if (wider !== undefined) {
      scope.report.add([...path, index], {
        message: `is never reached: row ${wider[0]} before it fits all that it fits`,
        found: `a row behind a wider one`,
        allowed: 'rows from the narrowest to the widest',
      })
    }
    before.push([index, tier])
  }
}

function covers(wide: TierConfig, narrow: TierConfig): boolean {
  if (wide.when !== undefined && JSON.stringify(wide.when) !== JSON.stringify(narrow.when)) return false
  const bound = (value: number | undefined): number => value ?? Number.POSITIVE_INFINITY
  return (
    bound(wide.input_tokens_up_to) >= bound(narrow.input_tokens_up_to) &&
    bound(wide.output_tokens_up_to) >= bound(narrow.output_tokens_up_to)
  )
}

function checkBand(scope: Scope, path: Path, band: BandConfig): void {
  checkTimeZone(scope, [...path, 'timezone'], band.timezone)
  if (band.start === band.end) {
    const allowed = 'an end other than the start; one before it wraps past midnight'
    scope.report.add([...path, 'end'], { message: 'is the start', found: band.end, allowed })
  }
  checkDates(scope, path, band)
  checkTiers(scope, [...path, 'tiers'], band.tiers)
}

function entryOf(model: string, config: PriceConfig, bookCurrency: string): PriceEntry {
  const {
    currency = bookCurrency,
    unit = 'per_million_tokens',
    tiers = [],
    time_bands: bands,
    ...rest
  } = config
  const { aliases, capabilities, items, discounts, balances, ...plain } = rest
  return {
    model,
    ...compact(plain),
    currency,
    unit,
    tiers: tiersOf(tiers),
    ...(bands === undefined ? {} : { time_bands: present(bands).map(bandOf) }),
    ...(aliases === undefined ? {} : { aliases: present(aliases) }),
    ...(capabilities === undefined ? {} : { capabilities: present(capabilities) }),
    ...(items === undefined ? {} : { items: present(items).map(compact) }),
    ...(discounts === undefined ? {} : { discounts: present(discounts).map(compact) }),
    ...(balances === undefined ? {} : { balances: present(balances).map(compact) }),
  }
}

function bandOf(band: BandConfig): PriceTimeBand {
  const { tiers, except_dates: exceptDates, ...rest } = band
  return {
    ...compact(rest),
    ...(exceptDates === undefined ? {} : { except_dates: present(exceptDates) }),
    tiers: tiersOf(tiers),
  }
}

function tiersOf(tiers: readonly (TierConfig | undefined)[]): readonly PriceTier[] {
  return present(tiers).map(({ when, ...rest }) => ({
    ...(when === undefined ? {} : { when: compact(when) }),
    ...compact(rest),
  }))
}

/** An optional property of core/price.ts is absent, never undefined. */
type Compact<Value> = {
  [Name in keyof Value]: Value extends Record<Name, Value[Name]>
    ? Value[Name]
    : Exclude<Value[Name], undefined>
}

function compact<Value extends object>(value: Value): Compact<Value> {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Compact<Value>
}
