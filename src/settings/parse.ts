// Expanded data → the typed configuration, or as much of it as has the right shape, so that the checks that follow
// can report their problems together with those of shape.

import type { z } from 'zod'
import type { Templates } from './expand.ts'
import { type Issue, reportIssue } from './issues.ts'
import type { Path, Report } from './problems.ts'
import { type Config, configSchema } from './schema.ts'

/** Each round cuts something out; more are needed only by data that is no configuration at all. */
const ROUNDS_MAX = 50

/** null: nothing of it has the shape of a configuration. Whether it is whole, the report says. */
export function parseConfig(data: unknown, templates: Templates, report: Report): Config | null {
  let parsed = configSchema.safeParse(data)
  if (parsed.success) return parsed.data
  const work: { root: unknown } = { root: structuredClone(data) }
  parsed = configSchema.safeParse(work.root)
  if (!parsed.success && coerce(work, issuesOf(parsed.error, work), templates)) {
    parsed = configSchema.safeParse(work.root)
  }
  if (parsed.success) return parsed.data
  for (const issue of issuesOf(parsed.error, work)) {
    reportIssue(issue, { value: valueAt(work, issue.path), template: templates.at(issue.path) }, report)
  }
  for (let round = 0; round < ROUNDS_MAX && !parsed.success; round++) {
    for (const issue of issuesOf(parsed.error, work)) cut(work, issue)
    parsed = configSchema.safeParse(work.root)
  }
  return parsed.success ? parsed.data : null
}

/** Issues with whole paths; those of a union are those of the branch that was meant. */
function issuesOf(error: z.ZodError, work: { readonly root: unknown }): readonly Issue[] {
  return error.issues.flatMap((issue) => flatten(issue as Issue, [], work))
}

function flatten(issue: Issue, base: Path, work: { readonly root: unknown }): readonly Issue[] {
  const path = [...base, ...issue.path]
  if (issue.code !== 'invalid_union') return [{ ...issue, path }]
  const meant = (issue.errors ?? []).find((errors) => !errors.some(isOfAnotherKind))
  if (meant === undefined) return [unquoted(issue, path, work) ?? { ...issue, errors: [], path }]
  return meant.flatMap((inner) => flatten(inner, path, work))
}

/** A number where one of the branches is a string: its quotes are missing. */
function unquoted(issue: Issue, path: Path, work: { readonly root: unknown }): Issue | null {
  if (typeof valueAt(work, path) !== 'number') return null
  const text = (issue.errors ?? [])
    .flat()
    .find((inner) => isOfAnotherKind(inner) && inner.expected === 'string')
  return text === undefined ? null : { ...text, path }
}

/** The branch is of another kind than the value altogether. */
function isOfAnotherKind(issue: Issue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value')
}

/** A string made of `${NAME}` stands for the number or boolean it reads as. True when something was changed. */
function coerce(work: { root: unknown }, issues: readonly Issue[], templates: Templates): boolean {
  let isChanged = false
  for (const issue of issues) {
    const value = valueAt(work, issue.path)
    if (issue.code !== 'invalid_type' || typeof value !== 'string' || templates.at(issue.path) === null)
      continue
    const meant = readAs(issue.expected, value)
    if (meant === undefined) continue
    assign(work, issue.path, meant)
    isChanged = true
  }
  return isChanged
}

function readAs(expected: string | undefined, text: string): number | boolean | undefined {
  if (expected === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined
  if (expected !== 'number' && expected !== 'int') return undefined
  return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined
}

/** Takes out what is wrong: the unknown keys, the value, or what cannot be without a value that lacks. */
function cut(work: { root: unknown }, issue: Issue): void {
  if (issue.code === 'unrecognized_keys') {
    const holder = valueAt(work, issue.path)
    for (const key of issue.keys ?? []) if (isRecord(holder)) delete holder[key]
    return
  }
  const isAbsent = valueAt(work, issue.path) === undefined
  const path = isAbsent ? issue.path.slice(0, -1) : issue.path
  // The two required parts are mappings of names, which may be empty.
  if (path.length === 0 && isAbsent && isRecord(work.root)) work.root[String(issue.path[0])] = {}
  else if (path.length > 0) assign(work, path, undefined)
}

/** undefined removes; in lists it leaves a hole, so that the others keep their index. */
function assign(work: { root: unknown }, path: Path, value: unknown): void {
  const holder = valueAt(work, path.slice(0, -1))
  const last = path.at(-1)
  if (Array.isArray(holder) && typeof last === 'number') holder[last] = value
  else if (isRecord(holder) && last !== undefined) {
    if (value === undefined) delete holder[last]
    else holder[last] = value
  }
}

function valueAt(work: { readonly root: unknown }, path: Path): unknown {
  let value = work.root
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Readonly<Record<string | number, unknown>>)[part]
  }
  return value
}

export function isRecord(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
