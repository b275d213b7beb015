// zod's issues → problems an operator can act on.

import type { Template } from './expand.ts'
import { allowedAt, settingNames, settingValues } from './json-schema.ts'
import { describe, describeSecret, formatPath, listNames, type Path, type Report } from './problems.ts'

/** What is read of a zod issue. */
export interface Issue {
  readonly code: string
  readonly path: Path
  readonly message: string
  readonly expected?: string
  readonly keys?: readonly string[]
  readonly errors?: readonly (readonly Issue[])[]
}

export interface Found {
  readonly value: unknown
  readonly template: Template | null
}

const SECRET_SETTINGS: ReadonlySet<unknown> = new Set([
  'key',
  'api_key',
  'token',
  'base_url',
  'store',
  'secret',
])

export function reportIssue(issue: Issue, found: Found, report: Report): void {
  if (issue.code === 'unrecognized_keys') reportKeys(issue, report)
  else {
    report.add(issue.path, {
      message: messageOf(issue, found.value),
      found: foundText(issue.path, found),
      allowed: allowedAt(issue.path),
      nearest:
        typeof found.value === 'string' ? report.nearest(found.value, settingValues(issue.path)) : null,
    })
  }
}

function reportKeys(issue: Issue, report: Report): void {
  const known = settingNames(issue.path)
  for (const key of issue.keys ?? []) {
    const path = formatPath([...issue.path, key])
    report.add(path, {
      message: 'unknown setting',
      found: key,
      allowed: listNames(known),
      nearest: report.nearest(key, known),
    })
  }
}

function messageOf(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      if (value === undefined) return 'is required'
      if (value === null) return 'has no value; give one or remove the line'
      if (issue.expected === 'string' && typeof value === 'number')
        return 'must be a string: put it in quotes'
      return 'is of the wrong type'
    case 'too_small':
    case 'too_big':
      return value === '' ? 'is empty' : 'is out of range'
    case 'invalid_format':
      return 'is malformed'
    default:
      return value === undefined ? 'is required' : 'has a value that is not allowed'
  }
}

/** An expanded value may be a secret wherever it stands: what the file says is shown instead. */
function foundText(path: Path, found: Found): string {
  if (found.template !== null) return describe(found.template.text)
  const isSecret = SECRET_SETTINGS.has(path.at(-1)) || path.includes('api_keys')
  return isSecret ? describeSecret(found.value) : describe(found.value)
}
