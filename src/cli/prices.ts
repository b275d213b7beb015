// `sluice prices`: what models cost, today or on a day of the past.

import { readProviderFolders } from '#runtime/node/providers.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { type PriceTable, priceTable, TABLE_UNITS, type TableRow, type TableUnit } from './price-table.ts'
import { vendorOf } from './price-vendors.ts'
import { readInstant } from './rate.ts'
import { alignedLines } from './table.ts'

const DAY_MS = 24 * 60 * 60_000
const DAY = /^\d{4}-\d{2}-\d{2}$/

export const prices: Command = {
  name: 'prices',
  summary: 'what models cost, today or on a day of the past',
  help: `usage: sluice prices [--at DATE] [--provider P] [--model M] [--region R]
                     [--unit ${TABLE_UNITS.join('|')}] [--json]

Lists the prices of providers/ in force at DATE: a date means its end in Beijing, an instant with its offset
itself, no DATE now. With --unit only prices in yuan by tokens, in that unit; else as the vendors list them. On a
day of the past, prices that were first seen later and do not say since when are left out and counted, unless
--model asks for one.

example: sluice prices --at 2024-05-21 --unit yuan-per-1k`,
  async run(args) {
    const { values } = readOptions(args, {
      at: { type: 'string' },
      provider: { type: 'string' },
      model: { type: 'string' },
      region: { type: 'string' },
      unit: { type: 'string' },
      json: { type: 'boolean' },
    })
    const folders = await readProviderFolders()
    const vendor = values.provider === undefined ? null : vendorOf(values.provider)
    if (vendor !== null && !folders.providers.has(vendor.provider)) {
      throw new UsageError(`there is no provider "${values.provider}"`)
    }
    const atMs = values.at === undefined ? Date.now() : endOf(values.at)
    const unit = readUnit(values.unit)
    const table = priceTable(folders.lists, {
      atMs,
      provider: vendor?.provider ?? null,
      region: values.region ?? vendor?.region ?? null,
      model: values.model ?? null,
      unit,
    })
    if (values.json === true) {
      const { rows: data, undated } = table
      console.log(JSON.stringify({ at: new Date(atMs).toISOString(), unit, data, undated }))
    } else console.log(tableText(table, atMs))
    return 0
  },
}

/** The last millisecond of a day in Beijing. */
export function endOf(text: string): number {
  const instantMs = readInstant(text)
  return DAY.test(text) ? instantMs + DAY_MS - 1 : instantMs
}

function readUnit(text: string | undefined): TableUnit | null {
  if (text === undefined) return null
  const unit = TABLE_UNITS.find((known) => known === text)
  if (unit === undefined) throw new UsageError(`--unit must be ${TABLE_UNITS.join(' or ')}`)
  return unit
}

function tableText({ rows, undated }: PriceTable, atMs: number): string {
  const cells = [
    ['PROVIDER', 'MODEL', 'REGION', 'INPUT', 'CACHED', 'OUTPUT', 'IN', 'SINCE'],
    ...rows.map(cellsOf),
  ]
  const lines = alignedLines(cells)
  const left = undated === 0 ? [] : [`${undated} prices first seen later do not say since when they hold`]
  return [`prices at ${new Date(atMs).toISOString()}`, ...lines, ...left].join('\n')
}

function cellsOf(row: TableRow): readonly string[] {
  const more = row.tiers.length > 1 ? '…' : ''
  return [
    row.provider,
    row.model,
    row.region ?? '-',
    `${row.input ?? row.price ?? '?'}${more}`,
    row.cached_input ?? '-',
    row.output ?? (row.quoted_only ? '?' : '-'),
    `${row.currency} ${row.unit}`,
    row.since ?? '-',
  ]
}
