// `reconcile:` of a configuration over what the folders know of their vendors' bills.

import { BILL_COLUMNS, type BillColumn, type BillFormat, type Tolerance } from '#core/bill.ts'
import { type Pico, parseDecimal } from '#core/money.ts'
import type { ProviderSettings } from '#core/settings.ts'
import { DEFAULT_TIME_ZONE } from '#core/zones.ts'
import { checkTimeZone } from './dates.ts'
import { describe, listNames } from './problems.ts'
import type { Config } from './schema.ts'
import type { Scope } from './scope.ts'

type BillConfig = Config['reconcile'][string]

const DEFAULT_TOLERANCE: Tolerance = { absolute: 1_000_000n as Pico, relativeMicro: 0n }

export function readBills(
  scope: Scope,
  providers: ReadonlyMap<string, ProviderSettings>,
): ReadonlyMap<string, BillFormat> {
  const { reconcile } = scope.config
  const bills = new Map<string, BillFormat>()
  for (const name of Object.keys(reconcile)) {
    if (providers.has(name)) continue
    scope.report.add(['reconcile', name], {
      message: 'is no provider of this configuration',
      found: describe(name),
      allowed: listNames([...providers.keys()]),
      nearest: scope.report.nearest(name, [...providers.keys()]),
    })
  }
  for (const [name, { provider }] of providers) {
    const own = reconcile[name]
    if (own?.time_zone !== undefined) checkTimeZone(scope, ['reconcile', name, 'time_zone'], own.time_zone)
    if (own === undefined && provider.bill === undefined) continue
    const format = formatOf(own ?? {}, provider.bill)
    const missing = (['time', 'model', 'amount'] as const).filter(
      (column) => format.columns[column] === undefined,
    )
    if (missing.length > 0) {
      scope.report.add(['reconcile', name, 'columns'], {
        message: `lacks ${missing.join(', ')}`,
        found: describe(own?.columns),
        allowed: 'what these columns are called in the bill',
      })
    }
    bills.set(name, format)
  }
  return bills
}

function formatOf(own: BillConfig, known: BillFormat | undefined): BillFormat {
  const columns: Partial<Record<BillColumn, readonly string[]>> = { ...known?.columns }
  for (const column of BILL_COLUMNS) {
    const given = own.columns?.[column]
    if (given !== undefined)
      columns[column] = typeof given === 'string' ? [given] : given.filter((heading) => heading !== undefined)
  }
  // A column of one's own holds what one says that it holds.
  const modelPart = own.model_part ?? (own.columns?.['model'] === undefined ? known?.modelPart : undefined)
  const itemPart = own.item_part ?? (own.columns?.['item'] === undefined ? known?.itemPart : undefined)
  const delimiter = own.delimiter ?? known?.delimiter
  const models = { ...known?.models, ...own.models }
  const tolerance = own.tolerance === undefined ? known?.tolerance : toleranceOf(own.tolerance)
  return {
    source: known?.source ?? 'the configuration',
    columns,
    timeZone: own.time_zone ?? known?.timeZone ?? DEFAULT_TIME_ZONE,
    currency: own.currency ?? known?.currency ?? 'CNY',
    models,
    ...(modelPart === undefined ? {} : { modelPart }),
    ...(itemPart === undefined ? {} : { itemPart }),
    ...(delimiter === undefined ? {} : { delimiter }),
    ...(tolerance === undefined ? {} : { tolerance }),
  }
}

function toleranceOf({ absolute, relative }: NonNullable<BillConfig['tolerance']>): Tolerance {
  return {
    absolute: absolute === undefined ? DEFAULT_TOLERANCE.absolute : (parseDecimal(absolute, 12) as Pico),
    relativeMicro: relative === undefined ? 0n : parseDecimal(relative, 12) / 1_000_000n,
  }
}
