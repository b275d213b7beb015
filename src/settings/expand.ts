// `${NAME}` and `${NAME:-default}` in the strings of a configuration. `$${` is a literal `${`.

import type { Path, Report } from './problems.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** What a string read before it was expanded. */
export interface Template {
  readonly text: string
  /** The variables it names. */
  readonly names: readonly string[]
}

export class Templates {
  readonly #byPath = new Map<string, Template>()

  set(path: Path, template: Template): void {
    this.#byPath.set(keyOf(path), template)
  }

  /** null: the string named no variable. */
  at(path: Path): Template | null {
    return this.#byPath.get(keyOf(path)) ?? null
  }
}

const keyOf = (path: Path): string => path.join('\u0000')

interface Expansion {
  readonly env: Environment
  readonly templates: Templates
  readonly report: Report
}

/** A copy of the data with its strings expanded. Values are not expanded again, keys not at all. */
export function expand(value: unknown, expansion: Expansion, path: Path = []): unknown {
  if (typeof value === 'string') return value.includes('${') ? expandText(value, expansion, path) : value
  if (Array.isArray(value)) return value.map((item, index) => expand(item, expansion, [...path, index]))
  if (typeof value !== 'object' || value === null) return value
  const entries: [string, unknown][] = []
  for (const [key, child] of Object.entries(value)) {
    // zod leaves this name out of what it reads, in silence.
    if (key === '__proto__')
      expansion.report.add([...path, key], { message: 'is not a name that can be used here' })
    else entries.push([key, expand(child, expansion, [...path, key])])
  }
  return Object.fromEntries(entries)
}

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g
const NAME = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/

function expandText(text: string, expansion: Expansion, path: Path): string {
  const names: string[] = []
  let isWhole = true
  const expanded = text.replace(REFERENCE, (whole: string, inside?: string, close?: string) => {
    if (inside === undefined) return '${'
    const parts = close === '}' ? NAME.exec(inside) : null
    const name = parts?.[1]
    if (name === undefined) {
      isWhole = false
      expansion.report.add(path, {
        message: 'holds a malformed reference to the environment',
        found: JSON.stringify(whole.slice(0, 60)),
        allowed: `\${NAME} or \${NAME:-default}; $\${ for a literal \${`,
      })
      return whole
    }
    names.push(name)
    const value = variable(expansion.env, name)
    const fallback = parts?.[2]
    // As in a shell, `:-` also stands in for a variable that is set and empty.
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value
    if (value !== undefined) return value
    isWhole = false
    expansion.report.add(path, {
      message: `the environment variable ${name} is not set`,
      found: `\${${name}}`,
      allowed: `set ${name}, or write \${${name}:-default}`,
    })
    return whole
  })
  if (names.length > 0) expansion.templates.set(path, { text, names })
  if (!isWhole) expansion.report.close(path)
  return expanded
}

/** Names like `constructor` must not find what every object has. */
function variable(env: Environment, name: string): string | undefined {
  return Object.hasOwn(env, name) ? env[name] : undefined
}
