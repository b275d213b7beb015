// `fx:` of a configuration → rates with the time that each holds for.

import type { DatedRate, FxRates } from '#core/fx.ts'
import { type Micro, parseMicro } from '#core/money.ts'
import { checkDates } from './dates.ts'
import { describe, type Path } from './problems.ts'
import type { Config } from './schema.ts'
import { indexed, type Scope } from './scope.ts'

type RateConfig = Exclude<NonNullable<Config['fx'][string]>, string>

export function readRates(scope: Scope): FxRates {
  const rates = new Map<string, readonly DatedRate[]>()
  for (const [currency, config] of Object.entries(scope.config.fx)) {
    const path = ['fx', currency]
    checkName(scope, path, currency)
    rates.set(
      currency,
      typeof config === 'string' ? [readAlways(scope, path, config)] : readList(scope, path, config),
    )
  }
  return rates
}

function checkName({ config, report }: Scope, path: Path, currency: string): void {
  if (!/^[A-Z]{3}$/.test(currency)) {
    const allowed = 'an ISO 4217 code, such as USD'
    report.add(path, { message: 'is no currency', found: describe(currency), allowed })
  }
  if (currency === config.currency) {
    const allowed = 'rates of other currencies'
    report.add(path, { message: 'is the currency of the books', found: currency, allowed })
  }
}

function readAlways(scope: Scope, path: Path, text: string): DatedRate {
  const rate = readRate(scope, path, text)
  return { rate, fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY, since: null }
}

function readRate(scope: Scope, path: Path, text: string): Micro {
  const rate = parseMicro(text)
  if (rate === 0n) {
    scope.report.add(path, {
      message: 'must be above 0',
      found: describe(text),
      allowed: 'a decimal above 0',
    })
  }
  return rate
}

/** Each rate begins where one before it ends: an instant with two rates, or with none between two, is an error. */
function readList(scope: Scope, path: Path, list: RateConfig): readonly DatedRate[] {
  const read = [...indexed(list)].flatMap(([index, part]) => {
    const own = [...path, index]
    const span = checkDates(scope, own, part)
    const rate = readRate(scope, [...own, 'rate'], part.rate)
    return span === null ? [] : [{ ...span, rate, since: part.effective_from ?? null, index, part }]
  })
  const inOrder = read.toSorted((a, b) => (a.fromMs === b.fromMs ? 0 : a.fromMs - b.fromMs))
  for (const [place, next] of inOrder.entries()) {
    const before = inOrder[place - 1]
    if (before === undefined || before.toMs === next.fromMs) continue
    const isOverlap = next.fromMs < before.toMs
    scope.report.add([...path, next.index, 'effective_from'], {
      message: isOverlap
        ? `overlaps [${before.index}], which holds ${until(before.part.effective_to)}`
        : `leaves a gap after [${before.index}], which ends at ${before.part.effective_to}`,
      found: describe(next.part.effective_from),
      allowed: 'a start where the rate before it ends',
    })
  }
  noteEnds(scope, path, inOrder)
  return inOrder.map(({ rate, fromMs, toMs, since }) => ({ rate, fromMs, toMs, since }))
}

function until(date: string | undefined): string {
  return date === undefined ? 'for ever' : `until ${date}`
}

/** Outside of its rates a currency has none, and what is priced in it is unpriced. */
function noteEnds(scope: Scope, path: Path, rates: readonly { readonly part: RateConfig[number] }[]): void {
  const end = rates.at(-1)?.part?.effective_to
  if (end !== undefined) {
    scope.notices.push(`${path.join('.')} has no rate from ${end} on: prices in it are not known then`)
  }
}
