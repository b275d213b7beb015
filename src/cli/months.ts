// `sluice months`: which months are closed, closing one, and its report as it was then.

import { adminAddress, askAdmin, askAdminText } from './admin-client.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { alignedLines } from './table.ts'

type Json = Record<string, unknown>
type Waiting = { readonly rows?: number; readonly instances_not_heard?: readonly string[] }

const COMMON = { url: { type: 'string' }, token: { type: 'string' }, json: { type: 'boolean' } } as const
const CLOSE = { ...COMMON, author: { type: 'string' }, note: { type: 'string' } } as const

export const months: Command = {
  name: 'months',
  summary: 'months of the books: list, close, report',
  help: `usage: sluice months list
       sluice months close MONTH --author NAME [--note TEXT]
       sluice months report MONTH

Speaks to the admin API at --url or $SLUICE_URL (default http://127.0.0.1:8787) with --token or
$SLUICE_ADMIN_TOKEN. Nothing counts in a closed month any more: what comes later is an adjustment in an open one.
report prints the month's table (CSV) as it was when it was closed. --json prints what the API answers.

example: sluice months close 2026-10 --author "Mei Chen" --note "invoice 4711"`,
  async run(args) {
    const [action, ...rest] = args
    if (action === 'list') await list(rest)
    else if (action === 'close') await close(rest)
    else if (action === 'report') await report(rest)
    else throw new UsageError(`${action === undefined ? 'what' : `"${action}"`}? one of list, close, report`)
    return 0
  },
}

async function list(args: readonly string[]): Promise<void> {
  const { values } = readOptions(args, COMMON)
  const answer = await askAdmin(adminAddress(values), 'GET', '/months')
  if (values.json === true) return console.log(JSON.stringify(answer))
  const rows = (answer['data'] as Json[]).map((month) => {
    const total = (month['total'] as Json | null | undefined)?.['total']
    const cells = [month['month'], month['status'], total, month['closed_at'], month['author'], month['note']]
    return cells.map((cell) => String(cell ?? '') || '-')
  })
  console.log(alignedLines([['MONTH', 'STATUS', 'TOTAL', 'CLOSED', 'BY', 'NOTE'], ...rows]).join('\n'))
}

async function close(args: readonly string[]): Promise<void> {
  const { values, positionals } = readOptions(args, CLOSE, 1)
  const month = monthOf(positionals)
  const { author, note } = values
  if (author === undefined) throw new UsageError('--author says who closes it')
  const body = { author, ...(note === undefined ? {} : { note }) }
  const answer = await askAdmin(adminAddress(values), 'POST', `/months/${month}/close`, { body })
  const total = (answer['total'] as Json | null)?.['total']
  if (values.json === true) console.log(JSON.stringify(answer))
  else console.log(`${month} is closed: ${String(total)} ${String(answer['currency'])}`)
  const { rows = 0, instances_not_heard: silent = [] } = (answer['waiting'] ?? {}) as Waiting
  if (rows > 0 || silent.length > 0) {
    const not = silent.length === 0 ? '' : `, not heard of: ${silent.join(', ')}`
    console.error(
      `rows that instances have not told the ledger: ${rows}${not}; those of ${month} will be late`,
    )
  }
}

async function report(args: readonly string[]): Promise<void> {
  const { values, positionals } = readOptions(args, COMMON, 1)
  process.stdout.write(await askAdminText(adminAddress(values), `/months/${monthOf(positionals)}/report`))
}

function monthOf([month]: readonly string[]): string {
  if (month !== undefined && /^\d{4}-\d{2}$/.test(month)) return month
  throw new UsageError(`which MONTH? such as 2026-10${month === undefined ? '' : `; found "${month}"`}`)
}
