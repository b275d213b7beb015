// Limits and budgets of a configuration → the scopes that admission counts in.

import type { Budget, BudgetPeriod, Scope as Counted, Limits, ScopeKind } from '#core/admission.ts'
import { type Nano, parseDecimal } from '#core/money.ts'
import { DEFAULT_TIME_ZONE } from '#core/zones.ts'
import { describe, formatPath, type Path } from './problems.ts'
import type { Config } from './schema.ts'
import { indexed, type Names, type Scope } from './scope.ts'
import { splitTarget } from './target-name.ts'

/** What may be said of rates and money, wherever it stands; a list that was cut may hold nothing. */
interface Wanted {
  readonly rpm?: number | undefined
  readonly tpm?: number | undefined
  readonly concurrency?: number | undefined
  readonly max_budget?: string | undefined
  readonly budget_duration?: string | undefined
  readonly budget_mode?: 'soft' | 'strict' | undefined
}

const HOUR_MS = 3_600_000
const MONEY_PLACES = 9

/** null: nothing is limited. */
export function readCounted(
  names: Names,
  path: Path,
  kind: ScopeKind,
  name: string,
  wanted: Wanted,
  organisation: string | null = null,
): Counted | null {
  const limits = limitsOf(wanted)
  const budget = readBudget(names, path, wanted)
  const isLimited = budget !== null || Object.values(limits).some((limit) => limit !== null)
  const owner = organisation === null ? {} : { organisation }
  return isLimited ? { id: `${kind}:${name}`, kind, name, ...owner, limits, budget } : null
}

export function limitsOf({ rpm, tpm, concurrency }: Wanted): Limits {
  return { rpm: rpm ?? null, tpm: tpm ?? null, concurrency: concurrency ?? null }
}

function readBudget(names: Names, path: Path, wanted: Wanted): Budget | null {
  if (wanted.max_budget !== undefined) {
    return {
      amountNano: parseDecimal(wanted.max_budget, MONEY_PLACES) as Nano,
      period: readPeriod(wanted.budget_duration, names.timeZone),
      isStrict: wanted.budget_mode === 'strict',
    }
  }
  for (const name of ['budget_duration', 'budget_mode'] as const) {
    if (wanted[name] === undefined) continue
    names.report.add([...path, name], {
      message: 'has no budget to hold for',
      found: describe(wanted[name]),
      allowed: 'max_budget beside it',
    })
  }
  return null
}

/** A form that is not known has been reported by the schema. */
function readPeriod(duration: string | undefined, timeZone: string): BudgetPeriod {
  if (duration === undefined) return { kind: 'life' }
  if (duration === 'day' || duration === 'week' || duration === 'month')
    return { kind: 'calendar', unit: duration, ...zoned(timeZone) }
  const [, rolling, count, unit] = /^(rolling:)?(\d+)([hd])$/.exec(duration) ?? []
  const lengthMs = Number(count ?? 1) * (unit === 'd' ? 24 * HOUR_MS : HOUR_MS)
  return rolling === undefined
    ? { kind: 'fixed', lengthMs, ...zoned(timeZone) }
    : { kind: 'rolling', lengthMs }
}

/** The zone that holds where none is named is not named. */
function zoned(timeZone: string): { readonly timeZone?: string } {
  return timeZone === DEFAULT_TIME_ZONE ? {} : { timeZone }
}

/** Scopes of providers by name and of targets by `PROVIDER/MODEL`. */
export function readServed(scope: Scope): ReadonlyMap<string, Counted> {
  const served = new Map<string, Counted>()
  for (const [name, config] of Object.entries(scope.config.providers)) {
    const wanted = { ...config, ...config.limits }
    const counted = readCounted(scope, ['providers', name], 'provider', name, wanted)
    if (counted !== null) served.set(name, counted)
  }
  const places = new Map<string, Path>()
  for (const [name, model] of Object.entries(scope.config.models)) {
    for (const [index, entry] of indexed(model.targets)) {
      if (typeof entry === 'string' || splitTarget(entry.target) === null) continue
      const path = ['models', name, 'targets', index]
      const counted = readCounted(scope, path, 'target', entry.target, { ...entry, ...entry.limits })
      if (counted === null) continue
      checkPlace(scope, path, places, entry)
      served.set(entry.target, counted)
    }
  }
  return served
}

type TargetEntry = Exclude<NonNullable<Config['models'][string]['targets'][number]>, string>

/** A target has one set of limits, whichever model it is asked through. */
function checkPlace(scope: Scope, path: Path, places: Map<string, Path>, entry: TargetEntry): void {
  const first = places.get(entry.target)
  if (first === undefined) {
    places.set(entry.target, path)
    return
  }
  scope.report.add(path, {
    message: `limits a target that ${formatPath(first)} limits too`,
    found: describe(entry.target),
    allowed: 'limits and max_budget of a target in one place; they hold in every model',
  })
}
