// `sluice usage`: reports of a running gateway, for people, spreadsheets and programs.

import { type AdminAddress, adminAddress, askAdmin, askAdminText } from './admin-client.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { alignedLines } from './table.ts'

type Json = Record<string, unknown>

const FORMATS = ['table', 'json', 'csv'] as const
const POLL_MS = 500
const ROWS = 500

const OPTIONS = {
  url: { type: 'string' },
  token: { type: 'string' },
  'group-by': { type: 'string' },
  bucket: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  'time-zone': { type: 'string' },
  where: { type: 'string', multiple: true },
  baseline: { type: 'string' },
  'cache-savings': { type: 'boolean' },
  unit: { type: 'string' },
  numbers: { type: 'string' },
  round: { type: 'string' },
  format: { type: 'string' },
  json: { type: 'boolean' },
} as const

/** Columns of a table, in order; those that a report does not have are left out. */
const COLUMNS = [
  'requests',
  'input_tokens',
  'cached_input_tokens',
  'output_tokens',
  'cost',
  'adjustments',
  'total',
  'net',
  'vat',
  'gross',
  'charge',
  'baseline_cost',
  'saving',
  'baseline_left_out',
  'cache_saving',
  'cache_left_out',
  'cost_per_1k_tokens',
  'cost_per_1m_tokens',
  'currency',
] as const

export const usage: Command = {
  name: 'usage',
  summary: 'reports of a running gateway: usage and money by anything',
  help: `usage: sluice usage [OPTIONS]

Speaks to the admin API at --url or $SLUICE_URL (default http://127.0.0.1:8787) with --token or
$SLUICE_ADMIN_TOKEN.

  --group-by G,G     model (default), key, team, organisation, target, provider, user, cost_centre, contract_number,
                     tag:NAME
  --bucket B         hour, day or month
  --from, --to       2026-10-01 or an instant; --to is not included
  --where G=VALUE    only that; again and again, several values of one G are any of them
  --time-zone ZONE   whose days; default the organisation's that it is about, else the configuration's
  --baseline P/M     what the same tokens would have cost at PROVIDER/MODEL
  --cache-savings    what caches saved
  --unit 1k|1m       the average price of a thousand or a million tokens
  --round cents      each line to cents, so that lines come to the total
  --numbers wan      large numbers by 万 and 亿 (table, csv)
  --format F         table (default), json (the same as --json) or csv

example: sluice usage --group-by team,model --bucket month --from 2026-10-01 --unit 1m`,
  async run(args) {
    const { values } = readOptions(args, OPTIONS)
    const format = values.json === true ? 'json' : (values.format ?? 'table')
    if (!FORMATS.some((known) => known === format))
      throw new UsageError(`--format must be ${FORMATS.join(', ')}; found "${format}"`)
    const address = adminAddress(values)
    const query = queryOf(values)
    if (format === 'json') console.log(JSON.stringify(await wholeReport(address, query)))
    else {
      query.set('format', 'csv')
      query.set('totals', 'true')
      if (values.numbers !== undefined) query.set('numbers', values.numbers)
      const table = await readTable(address, query)
      if (format === 'csv') process.stdout.write(table)
      else console.log(tableOf(table, query).join('\n'))
    }
    return 0
  },
}

type Values = ReturnType<typeof readOptions<typeof OPTIONS>>['values']

function queryOf(values: Values): URLSearchParams {
  const query = new URLSearchParams()
  for (const name of [
    'group-by',
    'bucket',
    'from',
    'to',
    'time-zone',
    'baseline',
    'unit',
    'round',
  ] as const) {
    const value = values[name]
    if (value !== undefined) query.set(name.replaceAll('-', '_'), value)
  }
  if (values['cache-savings'] === true) query.set('cache_savings', 'true')
  for (const filter of values.where ?? []) {
    const at = filter.indexOf('=')
    if (at < 1) throw new UsageError(`--where must be GROUP=VALUE; found "${filter}"`)
    query.append(filter.slice(0, at), filter.slice(at + 1))
  }
  return query
}

/** All pages as one. */
async function wholeReport(address: AdminAddress, query: URLSearchParams): Promise<Json> {
  query.set('limit', String(ROWS))
  const data: unknown[] = []
  for (;;) {
    const page = await untilMade(address, `/usage?${query}`, (path) => askAdmin(address, 'GET', path))
    data.push(...(page['data'] as unknown[]))
    if (page['next_cursor'] === null) return { ...page, data }
    query.set('cursor', String(page['next_cursor']))
  }
}

async function readTable(address: AdminAddress, query: URLSearchParams): Promise<string> {
  const text = await askAdminText(address, `/usage?${query}`)
  if (!text.startsWith('{')) return text
  const { id } = JSON.parse(text) as Json
  const shown = new URLSearchParams(
    ['format', 'totals', 'numbers', 'unit'].flatMap((name) => pairOf(query, name)),
  )
  for (;;) {
    await wait(POLL_MS)
    const made = await askAdminText(address, `/reports/${String(id)}?${shown}`)
    if (!made.startsWith('{')) return made
  }
}

function pairOf(query: URLSearchParams, name: string): [string, string][] {
  const value = query.get(name)
  return value === null ? [] : [[name, value]]
}

/** A report that takes long is asked for again until it is there. */
async function untilMade(
  address: AdminAddress,
  path: string,
  ask: (path: string) => Promise<Json>,
): Promise<Json> {
  let report = await ask(path)
  const { id } = report
  const shown = path.slice(path.indexOf('?'))
  while (report['status'] === 'running') {
    await wait(POLL_MS)
    report = await askAdmin(address, 'GET', `/reports/${String(id)}${shown}`)
  }
  return report
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** The columns that people look at. */
function tableOf(csv: string, query: URLSearchParams): readonly string[] {
  const [head = [], ...rows] = parseCsv(csv)
  const groups = (query.get('group_by') ?? 'model').split(',').filter((name) => name !== '')
  const wanted = [...groups, 'period', ...COLUMNS].filter((name) => head.includes(name))
  const places = wanted.map((name) => head.indexOf(name))
  return alignedLines([
    wanted.map((name) => name.toUpperCase()),
    ...rows.map((cells) => places.map((place) => cells[place] || '-')),
  ])
}

/** RFC 4180, without its mark. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  for (const [, quoted, plain = '', end] of text
    .replace(/^\uFEFF/, '')
    .matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    if (end === ',') continue
    rows.push(row)
    row = []
  }
  return rows
}
