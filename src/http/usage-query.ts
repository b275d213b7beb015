// What `GET /admin/v1/usage` is asked: parameters of the address → the report, and how it is shown.

import type { Context } from 'hono'
import { GatewayError } from '#core/errors.ts'
import { USAGE_BUCKETS, USAGE_GROUPS } from '#core/ledger.ts'
import type { Settings } from '#core/settings.ts'
import { isTimeZone } from '#core/zones.ts'
import type { ReportGroup, ReportQuery } from '#pipeline/finance/report-words.ts'
import { badParameter, oneOf, readInstant } from './admin-query.ts'

/** How the rows of a report are shown. */
export interface Shown {
  readonly isCsv: boolean
  /** Tokens of an average price; null: none is shown. */
  readonly perTokens: 1_000 | 1_000_000 | null
  /** Large numbers by 万 and 亿, for people. */
  readonly isByMyriads: boolean
  readonly hasTotalRow: boolean
}

const GROUPS = [...USAGE_GROUPS, 'cost_centre', 'contract_number'] as const
const GROUPS_MAX = 8
const VALUES_MAX = 100
const PARAMETERS = [
  'group_by',
  'bucket',
  'from',
  'to',
  'time_zone',
  'baseline',
  'cache_savings',
  'round',
  'unit',
  'numbers',
  'totals',
  'format',
  'limit',
  'cursor',
]

/** @throws GatewayError */
export function readReportQuery(context: Context, settings: Settings): ReportQuery {
  checkNames(context)
  const groupBy = (context.req.query('group_by') ?? 'model')
    .split(',')
    .filter((group) => group !== '')
    .map(readGroup)
  if (groupBy.length > GROUPS_MAX)
    throw badParameter('group_by', groupBy.join(','), `at most ${GROUPS_MAX} groups`)
  const where = readFilters(context)
  const timeZone = readZone(context, settings, where)
  const fromMs = readInstant(context, 'from', timeZone)
  const toMs = readInstant(context, 'to', timeZone)
  if (fromMs !== null && toMs !== null && fromMs > toMs)
    throw badParameter('to', context.req.query('to') ?? '', 'not before `from`')
  return {
    groupBy: [...new Set(groupBy)],
    bucket: oneOf(context, 'bucket', USAGE_BUCKETS),
    where,
    timeZone,
    fromMs,
    toMs,
    baseline: context.req.query('baseline') ?? null,
    cacheSavings: isTrue(context, 'cache_savings'),
    toCents: oneOf(context, 'round', ['cents'] as const) !== null,
  }
}

/** @throws GatewayError */
export function readShown(context: Context): Shown {
  const isCsv = oneOf(context, 'format', ['json', 'csv'] as const) === 'csv'
  const isByMyriads = oneOf(context, 'numbers', ['plain', 'wan'] as const) === 'wan'
  const hasTotalRow = isTrue(context, 'totals')
  for (const [name, isAsked] of [
    ['numbers', isByMyriads],
    ['totals', hasTotalRow],
  ] as const)
    if (isAsked && !isCsv) throw badParameter(name, context.req.query(name) ?? '', 'given with format=csv')
  const unit = oneOf(context, 'unit', ['1k', '1m'] as const)
  const perTokens = unit === null ? null : unit === '1k' ? 1_000 : 1_000_000
  return { isCsv, perTokens, isByMyriads, hasTotalRow }
}

/** A misspelt filter would be a report of everything. */
function checkNames(context: Context): void {
  for (const name of Object.keys(context.req.query()))
    if (!PARAMETERS.includes(name) && !isGroup(name))
      throw new GatewayError(
        'invalid_request',
        `there is no parameter "${name.slice(0, 100)}"; there are ${[...PARAMETERS, ...GROUPS].join(', ')} and tag:NAME`,
        { param: name.slice(0, 100) },
      )
}

function readGroup(group: string): ReportGroup {
  if (isGroup(group)) return group
  throw badParameter('group_by', group, `${GROUPS.join(', ')} or tag:NAME, separated by commas`)
}

function isGroup(name: string): name is ReportGroup {
  return /^tag:./.test(name) || GROUPS.some((group) => group === name)
}

/** One name again and again: any of its values. Empty: where nothing is named. */
function readFilters(context: Context): ReportQuery['where'] {
  return Object.entries(context.req.queries()).flatMap(([name, values]) => {
    if (!isGroup(name)) return []
    if (values.length > VALUES_MAX) throw badParameter(name, values.join(','), `at most ${VALUES_MAX} values`)
    return [{ by: name, values }]
  })
}

/** The one that is asked for, that of the one organisation that it is about, or the books'. */
function readZone(context: Context, settings: Settings, where: ReportQuery['where']): string {
  const { timeZone, finance, teams } = settings
  const asked = context.req.query('time_zone')
  if (asked !== undefined) {
    if (!isTimeZone(asked)) throw badParameter('time_zone', asked, 'an IANA name such as Asia/Shanghai')
    return asked
  }
  const about = (by: ReportGroup) => where.find((filter) => filter.by === by)?.values ?? []
  const organisations = new Set([
    ...about('organisation'),
    ...about('team').map((team) => teams.get(team)?.organisation ?? ''),
  ])
  const [organisation = '', ...others] = organisations
  return others.length > 0 ? timeZone : (finance.organisations.get(organisation)?.timeZone ?? timeZone)
}

function isTrue(context: Context, name: string): boolean {
  return oneOf(context, name, ['true', 'false'] as const) === 'true'
}
