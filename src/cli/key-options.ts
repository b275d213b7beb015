// The fields of a key as options of the command line.

import { UsageError } from './command.ts'

type Json = Record<string, unknown>

const text = { type: 'string' } as const

export const KEY_OPTIONS = {
  team: text,
  models: text,
  providers: text,
  tags: text,
  'max-budget': text,
  'budget-duration': text,
  'budget-mode': text,
  rpm: text,
  tpm: text,
  concurrency: text,
  'expires-at': text,
  'ip-ranges': text,
  region: text,
  retention: text,
  'trains-on-data': text,
  'filing-no': text,
} as const

export type KeyValues = { readonly [Name in keyof typeof KEY_OPTIONS]?: string | undefined }

/** As the admin API takes them. @throws UsageError */
export function keyFields(values: KeyValues): Json {
  const fields: Json = {
    team: values.team,
    models: listOf(values.models),
    providers: listOf(values.providers),
    tags: values.tags === undefined ? undefined : tagsOf(values.tags),
    max_budget: values['max-budget'],
    budget_duration: values['budget-duration'],
    budget_mode: values['budget-mode'],
    rpm: count('rpm', values.rpm),
    tpm: count('tpm', values.tpm),
    concurrency: count('concurrency', values.concurrency),
    expires_at: values['expires-at'],
    ip_ranges: listOf(values['ip-ranges']),
    data_policy: dataPolicy(values),
  }
  return given(fields)
}

function dataPolicy(values: KeyValues): Json | undefined {
  const { region, retention, 'trains-on-data': trains, 'filing-no': filing } = values
  const policy = given({
    region: listOf(region),
    retention,
    trains_on_data: trains === undefined ? undefined : truth('trains-on-data', trains),
    filing_no: filing === 'any' ? true : listOf(filing),
  })
  return Object.keys(policy).length === 0 ? undefined : policy
}

function given(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function listOf(value: string | undefined): string[] | undefined {
  return value?.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]))
}

function tagsOf(value: string): Record<string, string> {
  const pairs = (listOf(value) ?? []).map((pair) => {
    const equals = pair.indexOf('=')
    if (equals < 1) throw new UsageError(`--tags must read NAME=VALUE,NAME=VALUE; found "${pair}"`)
    return [pair.slice(0, equals), pair.slice(equals + 1)] as const
  })
  return Object.fromEntries(pairs)
}

function count(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (!/^\d{1,15}$/.test(value)) throw new UsageError(`--${name} must be a whole number; found "${value}"`)
  return Number(value)
}

function truth(name: string, value: string): boolean {
  if (value !== 'true' && value !== 'false')
    throw new UsageError(`--${name} must be true or false; found "${value}"`)
  return value === 'true'
}
