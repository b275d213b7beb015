// What targets do with data, and what keys, teams and policies require of it.

import type { DataAttributes, DataPolicy } from '#core/data-policy.ts'
import type { ProviderSettings } from '#core/settings.ts'
import { describe, formatPath, type Path } from './problems.ts'
import type { Config } from './schema.ts'
import { indexed, present, type Scope } from './scope.ts'
import { splitTarget } from './target-name.ts'

type PolicyConfig = NonNullable<Config['policies'][string]['data_policy']>

/** What may be said of a provider or of a target. */
interface Said {
  readonly region?: string | undefined
  readonly retention?: string | undefined
  readonly trains_on_data?: boolean | undefined
  readonly filing_no?: string | undefined
}

const HOUR_MS = 3_600_000
/** What folders say that cannot know where their upstream is. */
const UNKNOWN_REGION = 'unknown'

export function readDataPolicy(config: PolicyConfig | undefined): DataPolicy | null {
  if (config === undefined) return null
  const { region, retention, trains_on_data: trains, filing_no: filing } = config
  return {
    regions: region === undefined ? null : listOf(region),
    retentionMsMax: retention === undefined ? null : durationMs(retention),
    trainsOnData: trains ?? null,
    filingNos: filing === undefined ? null : filing === true ? 'any' : listOf(filing),
  }
}

export function providerData(config: Said, region: string): DataAttributes {
  return {
    region: region === UNKNOWN_REGION ? null : region,
    retentionMs: config.retention === undefined ? null : durationMs(config.retention),
    trainsOnData: config.trains_on_data ?? null,
    filingNo: config.filing_no ?? null,
  }
}

/** By `PROVIDER/MODEL`, those that say something themselves; it holds in whichever model they are asked for. */
export function readTargetData(
  scope: Scope,
  providers: ReadonlyMap<string, ProviderSettings>,
): ReadonlyMap<string, DataAttributes> {
  const data = new Map<string, DataAttributes>()
  const places = new Map<string, Path>()
  for (const [name, model] of Object.entries(scope.config.models)) {
    for (const [index, entry] of indexed(model.targets)) {
      if (typeof entry === 'string' || !saysSomething(entry)) continue
      const above = providers.get(splitTarget(entry.target)?.provider ?? '')?.data
      if (above === undefined) continue
      const path = ['models', name, 'targets', index]
      const own = merged(above, entry)
      const first = places.get(entry.target)
      if (first === undefined) places.set(entry.target, path)
      else if (JSON.stringify(data.get(entry.target)) !== JSON.stringify(own)) {
        scope.report.add(path, {
          message: `says something else of a target's data than ${formatPath(first)}`,
          found: describe(entry.target),
          allowed: 'region, retention, trains_on_data and filing_no of a target in one place',
        })
      }
      data.set(entry.target, own)
    }
  }
  return data
}

function saysSomething(said: Said): boolean {
  return [said.region, said.retention, said.trains_on_data, said.filing_no].some((part) => part !== undefined)
}

function merged(above: DataAttributes, said: Said): DataAttributes {
  return {
    region: said.region ?? above.region,
    retentionMs: said.retention === undefined ? above.retentionMs : durationMs(said.retention),
    trainsOnData: said.trains_on_data ?? above.trainsOnData,
    filingNo: said.filing_no ?? above.filingNo,
  }
}

function listOf(said: string | readonly (string | undefined)[]): readonly string[] {
  return typeof said === 'string' ? [said] : present(said)
}

/** A form that is not known has been reported by the schema. */
function durationMs(text: string): number {
  return text === 'none' ? 0 : Number(text.slice(0, -1)) * (text.endsWith('d') ? 24 * HOUR_MS : HOUR_MS)
}
