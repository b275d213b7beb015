// Checks of a value read from a file: each fault with its path, what was found and what is allowed, all at once.

type Path = readonly (string | number)[]

/** Reads one value; reports and returns undefined where it is not allowed. */
export type Check<Value> = (value: unknown, path: Path, problems: string[]) => Value | undefined

function report(problems: string[], path: Path, value: unknown, allowed: string): undefined {
  problems.push(`${pathText(path)}: found ${found(value)}; allowed: ${allowed}`)
}

export function number(min: number, max: number, isInteger = true): Check<number> {
  const kind = isInteger ? 'an integer' : 'a number'
  const allowed = `${kind} from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}`
  return (value, path, problems) => {
    const isFine = typeof value === 'number' && value >= min && value <= max
    if (isFine && (!isInteger || Number.isInteger(value))) return value
    return report(problems, path, value, allowed)
  }
}

export const text: Check<string> = (value, path, problems) =>
  typeof value === 'string' && value !== '' ? value : report(problems, path, value, 'a text')

export const flag: Check<boolean> = (value, path, problems) =>
  typeof value === 'boolean' ? value : report(problems, path, value, 'true or false')

export function oneOf<Word extends string>(words: readonly Word[]): Check<Word> {
  return (value, path, problems) =>
    words.find((word) => word === value) ?? report(problems, path, value, words.join(', '))
}

export function list<Item>(check: Check<Item>): Check<readonly Item[]> {
  return (value, path, problems) => {
    if (!Array.isArray(value)) return report(problems, path, value, 'a list')
    const items = value.map((item, index) => check(item, [...path, index], problems))
    return items.filter((item) => item !== undefined)
  }
}

export function named<Value>(check: Check<Value>): Check<Readonly<Record<string, Value>>> {
  return (value, path, problems) => {
    if (!isMapping(value) || Object.keys(value).length === 0) {
      return report(problems, path, value, 'a mapping with at least one entry')
    }
    const entries = Object.entries(value).map(([name, item]) => [
      name,
      check(item, [...path, name], problems),
    ])
    return Object.fromEntries(entries.filter(([, item]) => item !== undefined))
  }
}

/**
 * A mapping of known settings. The fields carry the names of the code; a file writes them in snake case.
 * `required` are the names that must be there.
 */
export function record<Value>(
  fields: { readonly [Name in keyof Value]-?: Check<Exclude<Value[Name], undefined>> },
  required: readonly (keyof Value & string)[] = [],
): Check<Value> {
  const byKey = new Map(Object.entries(fields).map(([name, check]) => [snakeCase(name), { name, check }]))
  const allowed = [...byKey.keys()].join(', ')
  return (value, path, problems) => {
    if (!isMapping(value)) return report(problems, path, value, `a mapping of ${allowed}`)
    const read: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(value)) {
      const field = byKey.get(key)
      if (field === undefined)
        problems.push(`${pathText([...path, key])}: unknown setting; allowed: ${allowed}`)
      else read[field.name] = (field.check as Check<unknown>)(item, [...path, key], problems)
    }
    for (const name of required) {
      if (!(name in read)) problems.push(`${pathText([...path, snakeCase(name)])}: is required`)
    }
    return read as Value
  }
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]|(?<=[a-z])\d/g, (letter) => `_${letter.toLowerCase()}`)
}

function pathText(path: Path): string {
  return path.length === 0 ? 'the file' : path.join('.')
}

function found(value: unknown): string {
  if (value === undefined) return 'nothing'
  const shown = JSON.stringify(value) ?? String(value)
  return shown.length > 60 ? `${shown.slice(0, 60)}…` : shown
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
