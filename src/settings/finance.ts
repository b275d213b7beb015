// Tax, charges, cost centres and alerts of a configuration.

import type { Booked, Charge, ChargePrice, FinanceSettings, Tax } from '#core/finance.ts'
import { type Micro, parseMicro } from '#core/money.ts'
import { isPrivateHost } from './addresses.ts'
import { checkTimeZone } from './dates.ts'
import { describe, type Path } from './problems.ts'
import type { Config } from './schema.ts'
import type { Scope } from './scope.ts'

type TaxConfig = NonNullable<Config['tax']>
type ChargeConfig = NonNullable<Config['teams'][string]['charge']>
type BookedConfig = Pick<Config['teams'][string], 'cost_centre' | 'contract_number'>

const NO_MARKUP = 0n as Micro
/** A charge of less than nothing is no charge. */
const MARKUP_MIN = -1_000_000n
const TAX_MAX = 1_000_000n

export function readFinance(scope: Scope): FinanceSettings {
  const { config } = scope
  const organisations = new Map<string, Booked & { readonly timeZone: string | null }>()
  for (const [name, organisation] of Object.entries(config.organisations)) {
    const { time_zone: timeZone } = organisation
    if (timeZone !== undefined) checkTimeZone(scope, ['organisations', name, 'time_zone'], timeZone)
    organisations.set(name, { ...bookedOf(organisation), timeZone: timeZone ?? null })
  }
  const taxOf = new Map<string, Tax>()
  for (const [name, { tax }] of Object.entries(config.providers))
    if (tax !== undefined) taxOf.set(name, readTax(scope, ['providers', name, 'tax'], tax))
  return {
    tax: config.tax === undefined ? null : readTax(scope, ['tax'], config.tax),
    taxOf,
    organisations,
    teams: new Map(
      Object.entries(config.teams).map(([name, team]) => {
        const above = team.organisation === undefined ? undefined : organisations.get(team.organisation)
        const charge = team.charge === undefined ? null : readCharge(scope, ['teams', name], team.charge)
        return [name, { ...bookedOf(team, above), charge }]
      }),
    ),
    alerts: readAlerts(scope),
  }
}

/** A host that is private by its name is refused here, one that resolves so is at the socket. */
function readAlerts({ config: { alerts }, report }: Scope): FinanceSettings['alerts'] {
  const { webhook = null, allow_private: allowPrivate } = alerts
  if (webhook !== null && !allowPrivate && URL.canParse(webhook) && isPrivateHost(new URL(webhook).hostname))
    report.add(['alerts', 'webhook'], {
      message: 'has a loopback or private host',
      found: describe(new URL(webhook).hostname),
      allowed: 'a public host, or allow_private: true beside it',
    })
  return { webhook, allowPrivate }
}

function bookedOf(config: BookedConfig, above?: Booked): Booked {
  return {
    costCentre: config.cost_centre ?? above?.costCentre ?? '',
    contractNumber: config.contract_number ?? above?.contractNumber ?? '',
  }
}

function readTax(scope: Scope, path: Path, { included, rate }: TaxConfig): Tax {
  const share = parseMicro(rate)
  if (share > TAX_MAX)
    scope.report.add([...path, 'rate'], {
      message: 'is more than all',
      found: describe(rate),
      allowed: '"0" to "1"; "0.06" is 6 %',
    })
  return { isIncluded: included, rate: share }
}

function readCharge(scope: Scope, path: Path, { markup, prices = {} }: ChargeConfig): Charge {
  const share = markup === undefined ? NO_MARKUP : parseMicro(markup)
  if (share < MARKUP_MIN)
    scope.report.add([...path, 'charge', 'markup'], {
      message: 'takes off more than all',
      found: describe(markup),
      allowed: '"-1" or more; "0.10" is 10 % on top',
    })
  return {
    markup: share,
    prices: new Map(
      Object.entries(prices).map(([name, price]): [string, ChargePrice] => [
        name,
        {
          input: parseMicro(price.input),
          cachedInput: parseMicro(price.cached_input ?? price.input),
          output: parseMicro(price.output),
        },
      ]),
    ),
  }
}
