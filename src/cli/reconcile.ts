// `sluice reconcile`: a provider's bill beside our rows.

import { readFile, stat } from 'node:fs/promises'
import { GatewayError } from '#core/errors.ts'
import { BILL_BYTES_MAX } from '#core/limits.ts'
import { type Pico, parseDecimal } from '#core/money.ts'
import { startOfMonthMs } from '#core/months.ts'
import { reconciliationJson } from '#http/admin-reconcile.ts'
import { BYTE_ORDER_MARK, type Cell, csvLines } from '#http/csv.ts'
import { readProviderFolders } from '#runtime/node/providers.ts'
import { ConfigError, readConfig } from '#runtime/node/read-config.ts'
import { reconcileFile, reconcileLedger } from '#runtime/node/reconcile.ts'
import { openStoppedLedger } from '#runtime/node/stopped-ledger.ts'
import { formatProblems } from '#settings/problems.ts'
import { adminAddress, askJob } from './admin-client.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { instantMs } from './instants.ts'
import { alignedLines } from './table.ts'

type Json = Record<string, unknown>

const DEFAULT_CONFIG = 'config/sluice.yaml'
/** Of a table for people; --json and --csv have all. */
const DIFFERENCES_SHOWN = 50
const REQUESTS_SHOWN = 5

export const reconcile: Command = {
  name: 'reconcile',
  summary: "a provider's bill beside our rows",
  help: `usage: sluice reconcile BILL.csv --provider P [--month 2026-10 | --from DATE --to DATE]
                        [--absolute 0.01] [--relative 0.001] [--config FILE | --url URL [--token T]] [--json | --csv]

Joins the bill of provider P (a name under providers:) with its attempts: request by request where the bill names
them, else by model and day of the vendor's zone, and says what is behind each difference: price (theirs, ours, since
when), tokens, requests that are missing at either side, free quota, discount, refund, rounding. The bills of Ark,
Alibaba Cloud and Baidu AI Cloud are known; reconcile.P.columns of the configuration says how others are read.
UTF-8, UTF-16 and GBK; commas, semicolons and tabs.

A difference is none within the larger of --absolute (default 0.000001, native currency) and --relative (a share of
what the bill says), or where roundings explain all of it: each amount of the bill may be off by its last place.
Without a span, the days of the bill. Without --url it reads the file of a gateway that does not run.
Exit code 1: there are differences beyond that.

example: sluice reconcile ark-2026-10.csv --provider doubao --month 2026-10`,
  async run(args) {
    const { values, positionals } = readOptions(
      args,
      {
        provider: { type: 'string' },
        month: { type: 'string' },
        from: { type: 'string' },
        to: { type: 'string' },
        absolute: { type: 'string' },
        relative: { type: 'string' },
        config: { type: 'string' },
        url: { type: 'string' },
        token: { type: 'string' },
        json: { type: 'boolean' },
        csv: { type: 'boolean' },
      },
      1,
    )
    const [path] = positionals
    if (path === undefined) throw new UsageError('which BILL.csv?')
    if (values.provider === undefined) throw new UsageError('--provider: whose bill is it?')
    if (values.url !== undefined && values.config !== undefined)
      throw new UsageError(
        '--config is for a gateway that does not run, --url for one that does: give one of them',
      )
    if (values.json === true && values.csv === true) throw new UsageError('--json or --csv?')
    const asked = { ...values, ...spanOf(values), provider: values.provider }
    checkDecimals(values)
    const bytes = await readBill(path)
    const found =
      values.url === undefined && process.env['SLUICE_URL'] === undefined
        ? await offline(bytes, asked, values.config ?? process.env['SLUICE_CONFIG'] ?? DEFAULT_CONFIG)
        : await online(bytes, asked)
    if (values.json === true) console.log(JSON.stringify(found))
    else if (values.csv === true) process.stdout.write(csvOf(found))
    else console.log(textOf(found))
    return found['exceeding'] === 0 ? 0 : 1
  },
}

interface Asked {
  readonly provider: string
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly absolute?: string | undefined
  readonly relative?: string | undefined
  readonly url?: string | undefined
  readonly token?: string | undefined
}

function spanOf({ month, from, to }: { month?: string; from?: string; to?: string }): {
  from?: string
  to?: string
} {
  if (month === undefined) return {}
  if (from !== undefined || to !== undefined) throw new UsageError('--month, or --from and --to?')
  if (startOfMonthMs('UTC', month) === null)
    throw new UsageError(`--month must be such as 2026-10; found "${month}"`)
  const [year = 0, number = 0] = month.split('-').map(Number)
  const next = new Date(Date.UTC(year, number, 1)).toISOString().slice(0, 10)
  return { from: `${month}-01`, to: next }
}

function checkDecimals(values: { readonly absolute?: string; readonly relative?: string }): void {
  for (const name of ['absolute', 'relative'] as const) {
    const text = values[name]
    if (text !== undefined && !/^\d{1,12}(\.\d{1,12})?$/.test(text))
      throw new UsageError(`--${name} must be a decimal number such as 0.01; found "${text}"`)
  }
}

async function readBill(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const unreadable = (error: NodeJS.ErrnoException): never => {
    throw new Error(`${path} cannot be read (${error.code})`)
  }
  const { size } = await stat(path).catch(unreadable)
  if (size > BILL_BYTES_MAX)
    throw new Error(`${path} is larger than ${BILL_BYTES_MAX} bytes: give a bill of fewer days`)
  return new Uint8Array(await readFile(path).catch(unreadable))
}

function online(bytes: Uint8Array<ArrayBuffer>, asked: Asked): Promise<Json> {
  const query = new URLSearchParams()
  for (const name of ['provider', 'from', 'to', 'absolute', 'relative'] as const) {
    const value = asked[name]
    if (value !== undefined) query.set(name, value)
  }
  const address = adminAddress({
    ...(asked.url === undefined ? {} : { url: asked.url }),
    ...(asked.token === undefined ? {} : { token: asked.token }),
  })
  return askJob(address, 'POST', `/reconcile?${query}`, { bytes })
}

async function offline(bytes: Uint8Array<ArrayBuffer>, asked: Asked, configPath: string): Promise<Json> {
  const live = await readConfig(configPath, process.env, await readProviderFolders()).catch(
    (error: unknown) => {
      if (error instanceof ConfigError) throw new Error(formatProblems(error.problems))
      throw error
    },
  )
  const { settings } = live
  const bill = settings.bills.get(asked.provider)
  const zone = bill?.timeZone ?? settings.timeZone
  const span = {
    fromMs: asked.from === undefined ? null : instantMs('from', asked.from, zone),
    toMs: asked.to === undefined ? null : instantMs('to', asked.to, zone),
  }
  const known = bill?.tolerance
  const decimal = (text: string): bigint => parseDecimal(text, 12)
  const tolerance =
    asked.absolute === undefined && asked.relative === undefined
      ? null
      : {
          absolute:
            asked.absolute === undefined
              ? (known?.absolute ?? (1_000_000n as Pico))
              : (decimal(asked.absolute) as Pico),
          relativeMicro:
            asked.relative === undefined
              ? (known?.relativeMicro ?? 0n)
              : decimal(asked.relative) / 1_000_000n,
        }
  const stopped = openStoppedLedger(settings.store, process.env)
  try {
    const options = {
      onThread: async (
        ...given: [Parameters<typeof reconcileFile>[1], Parameters<typeof reconcileFile>[2]]
      ) => reconcileFile(stopped.driver, ...given),
      store: stopped.ledger.store,
      live: () => live,
    }
    const ask = { provider: asked.provider, bytes, ...span, tolerance }
    return reconciliationJson(await reconcileLedger(options, ask, () => undefined))
  } catch (error) {
    if (error instanceof GatewayError) throw new Error(error.message)
    throw error
  } finally {
    stopped.close()
  }
}

const COLUMNS = ['period', 'model', 'request', 'theirs', 'ours', 'difference'] as const

/** One line for each cause of each difference. */
function csvOf(found: Json): string {
  const heading = [
    ...COLUMNS,
    'within_tolerance',
    'cause',
    'item',
    'their_value',
    'our_value',
    'amount',
    'requests',
  ]
  const number = (value: unknown): Cell => ({ number: String(value ?? '') })
  const name = (value: unknown): Cell => ({ name: String(value ?? '') })
  const rows = (found['differences'] as Json[]).flatMap((one) =>
    (one['causes'] as Json[]).map((cause) => [
      name(one['period']),
      name(one['model']),
      name(one['request']),
      number(one['theirs']),
      number(one['ours']),
      number(one['difference']),
      name(one['within_tolerance']),
      name(cause['cause']),
      name(cause['item']),
      name(cause['theirs']),
      name(cause['ours']),
      number(cause['amount']),
      name(((cause['requests'] as string[] | undefined) ?? []).join(' ')),
    ]),
  )
  return BYTE_ORDER_MARK + csvLines([heading.map(name), ...rows])
}

function textOf(found: Json): string {
  const { currency, tolerance, rounding, exceeding, within } = found
  const { absolute, relative } = tolerance as Json
  const lines = [
    `${found['provider']}, joined by ${found['joined_by']}, ${found['from']} to ${found['to']} (${found['time_zone']})`,
    `${found['lines']} lines of the bill, ${found['attempts']} attempts of ours${found['skipped_lines'] === 0 ? '' : `; ${found['skipped_lines']} lines skipped`}`,
    `theirs ${found['theirs']}  ours ${found['ours']}  difference ${found['difference']} ${currency}`,
    `tolerance: the larger of ${absolute} ${currency} and ${relative} of the bill; rounding: to ${(rounding as Json)['place']} ${currency} in each line`,
  ]
  const findings = found['findings'] as Json[]
  if (findings.length > 0) {
    const cells = findings.map((one) =>
      ['cause', 'model', 'item', 'theirs', 'ours', 'since', 'until', 'count', 'amount'].map((column) =>
        String(one[column] ?? '-'),
      ),
    )
    const heading = ['CAUSE', 'MODEL', 'ITEM', 'THEIRS', 'OURS', 'SINCE', 'UNTIL', 'TIMES', 'AMOUNT']
    lines.push('', ...alignedLines([heading, ...cells]))
  }
  const differences = (found['differences'] as Json[]).filter((one) => one['within_tolerance'] === false)
  if (differences.length > 0) {
    const cells = differences
      .slice(0, DIFFERENCES_SHOWN)
      .map((one) => [
        ...COLUMNS.map((column) => String(one[column] ?? '-')),
        (one['causes'] as Json[]).map(words).join('; '),
      ])
    lines.push(
      '',
      ...alignedLines([[...COLUMNS.map((column) => column.toUpperCase()), 'BEHIND IT'], ...cells]),
    )
    if (differences.length > DIFFERENCES_SHOWN)
      lines.push(`… and ${differences.length - DIFFERENCES_SHOWN} more: --json or --csv has them`)
  }
  lines.push(
    '',
    exceeding === 0
      ? `no difference beyond tolerance (${within} within)`
      : `${exceeding} differences beyond tolerance, ${within} within`,
  )
  return lines.join('\n')
}

function words(cause: Json): string {
  const item = cause['item'] === null ? '' : ` of ${cause['item']}`
  const sides =
    cause['theirs'] === null && cause['ours'] === null
      ? ''
      : ` ${cause['theirs'] ?? '-'} against ${cause['ours'] ?? '-'}`
  const requests = (cause['requests'] as string[] | undefined) ?? []
  const count = Number(cause['request_count'] ?? 0)
  const more = count > REQUESTS_SHOWN ? ` and ${count - REQUESTS_SHOWN} more` : ''
  const named = requests.length === 0 ? '' : ` (${requests.slice(0, REQUESTS_SHOWN).join(', ')}${more})`
  return `${String(cause['cause']).replaceAll('_', ' ')}${item}${sides}: ${cause['amount']}${named}`
}
