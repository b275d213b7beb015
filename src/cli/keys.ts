// `sluice keys`: the keys of a running gateway.

import { type AdminAddress, adminAddress, askAdmin } from './admin-client.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { KEY_OPTIONS, type KeyValues, keyFields } from './key-options.ts'
import { alignedLines } from './table.ts'

type Json = Record<string, unknown>

const ACTIONS = ['list', 'create', 'show', 'update', 'rotate', 'revoke', 'delete'] as const

type Action = (typeof ACTIONS)[number]

const COMMON = { url: { type: 'string' }, token: { type: 'string' }, json: { type: 'boolean' } } as const
const VERSION = { version: { type: 'string' } } as const

interface Asked {
  readonly address: AdminAddress
  readonly name: string
  readonly json: boolean
}

export const keys: Command = {
  name: 'keys',
  summary: 'the keys of a running gateway',
  help: `usage: sluice keys list
       sluice keys create NAME [FIELDS]
       sluice keys show NAME
       sluice keys update NAME [FIELDS] [--clear FIELD,FIELD] [--version N]
       sluice keys rotate NAME [--overlap 24h] [--version N]
       sluice keys revoke NAME [--version N]
       sluice keys delete NAME [--version N]

Speaks to the admin API at --url or $SLUICE_URL (default http://127.0.0.1:8787) with --token or
$SLUICE_ADMIN_TOKEN. NAME is a key's name or id. create and rotate print the secret, once. --json prints what the
API answers. --version N changes nothing when somebody has changed the key since version N.

FIELDS: --team T  --models M,PROVIDER/*  --providers P,P  --tags NAME=VALUE,…
        --max-budget 100  --budget-duration 30d  --budget-mode strict|soft  --rpm N  --tpm N  --concurrency N
        --expires-at 2027-01-31  --ip-ranges 10.0.0.0/8,2001:db8::/32
        --region cn,eu  --retention none|30d  --trains-on-data false  --filing-no any|NUMBER  (required of targets)

example: sluice keys create web --team growth --models assistant --max-budget 100 --budget-duration month --rpm 600`,
  async run(args) {
    const [action, ...rest] = args
    const known = ACTIONS.find((candidate) => candidate === action)
    if (known === undefined)
      throw new UsageError(`${action === undefined ? 'what' : `"${action}"`}? one of ${ACTIONS.join(', ')}`)
    await RUN[known](rest)
    return 0
  },
}

const RUN: Readonly<Record<Action, (args: readonly string[]) => Promise<void>>> = {
  async list(args) {
    const { values } = readOptions(args, COMMON)
    const data = await listAll(adminAddress(values))
    if (values.json === true) console.log(JSON.stringify({ data, next_cursor: null }))
    else console.log(alignedLines([HEADINGS, ...data.map(cellsOf)]).join('\n'))
  },
  async create(args) {
    const { values, positionals } = readOptions(args, { ...COMMON, ...KEY_OPTIONS }, 1)
    const { address, name, json } = asked(values, positionals)
    showMade(await askAdmin(address, 'POST', '/keys', { body: { name, ...keyFields(values) } }), json)
  },
  async show(args) {
    const { values, positionals } = readOptions(args, COMMON, 1)
    const { address, name, json } = asked(values, positionals)
    show(await askAdmin(address, 'GET', pathOf(name)), json)
  },
  async update(args) {
    const options = { ...COMMON, ...VERSION, ...KEY_OPTIONS, clear: { type: 'string' } } as const
    const { values, positionals } = readOptions(args, options, 1)
    const { address, name, json } = asked(values, positionals)
    const body = { ...cleared(values.clear), ...keyFields(values as KeyValues) }
    if (Object.keys(body).length === 0) throw new UsageError('nothing to change: give FIELDS or --clear')
    show(await askAdmin(address, 'PATCH', pathOf(name), { body, ...versionOf(values) }), json)
  },
  async rotate(args) {
    const options = { ...COMMON, ...VERSION, overlap: { type: 'string' } } as const
    const { values, positionals } = readOptions(args, options, 1)
    const { address, name, json } = asked(values, positionals)
    const body = values.overlap === undefined ? {} : { overlap: values.overlap }
    showMade(await askAdmin(address, 'POST', `${pathOf(name)}/rotate`, { body, ...versionOf(values) }), json)
  },
  async revoke(args) {
    const { values, positionals } = readOptions(args, { ...COMMON, ...VERSION }, 1)
    const { address, name, json } = asked(values, positionals)
    const key = await askAdmin(address, 'POST', `${pathOf(name)}/revoke`, versionOf(values))
    if (json) console.log(JSON.stringify(key))
    else console.log(`key "${key['name']}" is revoked`)
  },
  async delete(args) {
    const { values, positionals } = readOptions(args, { ...COMMON, ...VERSION }, 1)
    const { address, name, json } = asked(values, positionals)
    await askAdmin(address, 'DELETE', pathOf(name), versionOf(values))
    console.log(json ? JSON.stringify({ deleted: name }) : `key "${name}" is deleted`)
  },
}

function asked(
  values: { readonly url?: string; readonly token?: string; readonly json?: boolean },
  positionals: readonly string[],
): Asked {
  const [name] = positionals
  if (name === undefined || name === '') throw new UsageError('which NAME?')
  return { address: adminAddress(values), name, json: values.json === true }
}

function pathOf(name: string): string {
  return `/keys/${encodeURIComponent(name)}`
}

function versionOf(values: { readonly version?: string }): { readonly ifVersion?: number } {
  const { version } = values
  if (version === undefined) return {}
  if (!/^\d{1,15}$/.test(version)) throw new UsageError(`--version must be a number; found "${version}"`)
  return { ifVersion: Number(version) }
}

function cleared(fields: string | undefined): Json {
  const names = (fields ?? '').split(',').filter((name) => name !== '')
  return Object.fromEntries(names.map((name) => [name.trim().replaceAll('-', '_'), null]))
}

async function listAll(address: AdminAddress): Promise<Json[]> {
  const all: Json[] = []
  let cursor: string | null = null
  do {
    const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page: Json = await askAdmin(address, 'GET', `/keys?limit=500${query}`)
    all.push(...(page['data'] as Json[]))
    cursor = page['next_cursor'] as string | null
  } while (cursor !== null)
  return all
}

/** The secret stands alone on a line, to be copied. */
function showMade(key: Json, json: boolean): void {
  if (json) return console.log(JSON.stringify(key))
  const { key: secret, ...rest } = key
  console.log(`${String(secret)}\n\nKeep it: it is not shown again.\n`)
  show(rest, false)
}

function show(key: Json, json: boolean): void {
  if (json) return console.log(JSON.stringify(key))
  const said = Object.entries(key).filter(([, value]) => value !== null && textOf(value) !== '')
  console.log(alignedLines(said.map(([name, value]) => [name, textOf(value)])).join('\n'))
}

const HEADINGS = ['NAME', 'STATUS', 'SOURCE', 'TEAM', 'BUDGET', 'RPM', 'TPM', 'MODELS', 'EXPIRES']

function cellsOf(key: Json): readonly string[] {
  const budget = [key['max_budget'], key['budget_duration']].filter((part) => part !== null).join('/')
  const fields = ['name', 'status', 'source', 'team'].map((name) => textOf(key[name]) || '-')
  const more = ['rpm', 'tpm', 'models', 'expires_at'].map((name) => textOf(key[name]) || '-')
  return [...fields, budget || '-', ...more]
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value)) return value.map(textOf).join(', ')
  if (typeof value !== 'object') return String(value)
  return Object.entries(value)
    .filter(([, part]) => part !== null)
    .map(([name, part]) => `${name}=${textOf(part)}`)
    .join(' ')
}
