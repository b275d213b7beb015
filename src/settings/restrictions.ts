// What keys and teams confine requests to: models, providers, data, addresses, time.

import { type IpRange, parseRange } from '#core/ip-ranges.ts'
import type { Restrictions } from '#core/settings.ts'
import { checkModels, isAllowedBy } from './allowed-models.ts'
import { readDataPolicy } from './data-policy.ts'
import { describe, listNames, type Path } from './problems.ts'
import type { Config } from './schema.ts'
import { indexed, type Names, present } from './scope.ts'

type Wanted = Pick<
  Config['teams'][string],
  'models' | 'providers' | 'data_policy' | 'ip_ranges' | 'expires_at'
>

/** Dates are those of the books. */
const DAY_END = 'T24:00:00+08:00'

export function readRestrictions(names: Names, path: Path, wanted: Wanted): Restrictions {
  const { models, providers, ip_ranges: ranges } = wanted
  if (models !== undefined) checkModels(names, [...path, 'models'], models)
  for (const [index, name] of indexed(providers ?? []))
    checkNamed(names, [...path, 'providers', index], name, names.declared.providers)
  const policy = readDataPolicy(wanted.data_policy)
  return {
    models: models === undefined ? null : present(models),
    providers: providers === undefined ? null : present(providers),
    dataPolicies: policy === null ? [] : [policy],
    ipRanges: ranges === undefined ? [] : [readRanges(names, [...path, 'ip_ranges'], ranges)],
    expiresAtMs: readInstant(names, [...path, 'expires_at'], wanted.expires_at),
  }
}

/** What both allow. */
export function together(key: Restrictions, team: Restrictions | null): Restrictions {
  if (team === null) return key
  return {
    models: commonModels(key.models, team.models),
    providers: commonNames(key.providers, team.providers),
    dataPolicies: [...key.dataPolicies, ...team.dataPolicies],
    ipRanges: [...key.ipRanges, ...team.ipRanges],
    expiresAtMs: earlier(key.expiresAtMs, team.expiresAtMs),
  }
}

export function readRanges(
  { report }: Pick<Names, 'report'>,
  path: Path,
  texts: readonly (string | undefined)[],
): readonly IpRange[] {
  const ranges: IpRange[] = []
  for (const [index, text] of indexed(texts)) {
    const range = parseRange(text)
    if (range !== null) ranges.push(range)
    else {
      report.add([...path, index], {
        message: 'is no address and no range of them',
        found: describe(text),
        allowed: '10.0.0.0/8, 2001:db8::/32 or one address; no bits behind the prefix',
      })
    }
  }
  return ranges
}

/** Reports a name that nothing of this file has. */
export function checkNamed(
  { report }: Pick<Names, 'report'>,
  path: Path,
  name: string,
  known: ReadonlySet<string>,
): void {
  if (known.has(name)) return
  report.add(path, {
    message: 'there is none of that name',
    found: describe(name),
    allowed: known.size === 0 ? 'nothing: none is declared' : listNames(known),
    nearest: report.nearest(name, known),
  })
}

function readInstant({ report }: Names, path: Path, text: string | undefined): number | null {
  if (text === undefined) return null
  const atMs = Date.parse(text.includes('T') ? text : text + DAY_END)
  if (!Number.isNaN(atMs)) return atMs
  report.add(path, {
    message: 'is no date',
    found: describe(text),
    allowed: '2026-01-31, or an instant such as 2026-01-31T18:00:00+08:00',
  })
  return null
}

function commonModels(
  ofKey: readonly string[] | null,
  ofTeam: readonly string[] | null,
): readonly string[] | null {
  if (ofKey === null || ofTeam === null) return ofKey ?? ofTeam
  const common = [
    ...ofKey.filter((entry) => isAllowedBy(ofTeam, entry)),
    ...ofTeam.filter((entry) => isAllowedBy(ofKey, entry)),
  ]
  return [...new Set(common)]
}

function commonNames(
  ofKey: readonly string[] | null,
  ofTeam: readonly string[] | null,
): readonly string[] | null {
  if (ofKey === null || ofTeam === null) return ofKey ?? ofTeam
  return ofKey.filter((name) => ofTeam.includes(name))
}

function earlier(first: number | null, second: number | null): number | null {
  return first === null || second === null ? (first ?? second) : Math.min(first, second)
}
