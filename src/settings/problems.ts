// What is wrong with a configuration, as data and as lines for a terminal.

import { nearestName } from './nearest.ts'

export interface Problem {
  /** `models.assistant.targets[0]`, `line 3, column 5`, `env SLUICE_PORT`. */
  readonly path: string
  /** Never the value of a secret. */
  readonly found: string
  readonly allowed: string
  /** What was probably meant. */
  readonly nearest: string | null
  readonly message: string
}

export type Path = readonly (string | number)[]

/** One line a problem. */
export function formatProblems(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join('\n')
}

function formatProblem(problem: Problem): string {
  const details = [
    problem.found === '' ? '' : `found ${problem.found}`,
    problem.allowed === '' ? '' : `allowed: ${problem.allowed}`,
    problem.nearest === null ? '' : `did you mean "${problem.nearest}"?`,
  ].filter((part) => part !== '')
  const tail = details.length === 0 ? '' : ` (${details.join('; ')})`
  // Texts of a file may hold line ends; a problem stays one line.
  return `${problem.path}: ${problem.message}${tail}`.replace(/\s*[\r\n]+\s*/g, ' ')
}

/** `['models', 'a b', 'targets', 0]` → `models["a b"].targets[0]`. */
export function formatPath(path: Path): string {
  if (path.length === 0) return 'the file'
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`
      if (!/^[\w-]+$/.test(part)) return `[${JSON.stringify(part)}]`
      return index === 0 ? part : `.${part}`
    })
    .join('')
}

const TEXT_CHARS_MAX = 60

/** A value as a message may show it. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`
  if (typeof value === 'object') return 'a mapping'
  if (typeof value !== 'string') return String(value)
  return JSON.stringify(value.length > TEXT_CHARS_MAX ? `${value.slice(0, TEXT_CHARS_MAX)}…` : value)
}

/** The same where the value is or may hold a secret. */
export function describeSecret(value: unknown): string {
  if (typeof value === 'string')
    return value === '' ? 'an empty string' : `a string of ${value.length} characters`
  return typeof value === 'number' || typeof value === 'boolean' ? `a ${typeof value}` : describe(value)
}

/** Searches for near names cost their length times the names': past this many they are left out. */
const NEAREST_SEARCHES_MAX = 200

/** Collects problems. */
export class Report {
  readonly problems: Problem[] = []
  readonly #closed = new Set<string>()
  #searches = 0

  add(path: Path | string, problem: Partial<Omit<Problem, 'path'>> & { readonly message: string }): void {
    const place = typeof path === 'string' ? path : formatPath(path)
    if (this.#closed.has(place)) return
    this.problems.push({
      path: place,
      found: problem.found ?? '',
      allowed: problem.allowed ?? '',
      nearest: problem.nearest ?? null,
      message: problem.message,
    })
  }

  /** What stands at `path` is known to be wrong: what it makes go wrong further on is not worth a word. */
  close(path: Path): void {
    this.#closed.add(formatPath(path))
  }

  /** A part of what stands at `path` has been cut out as wrong. */
  hasWithin(path: Path): boolean {
    const place = `${formatPath(path)}.`
    return this.problems.some((problem) => problem.path.startsWith(place))
  }

  nearest(name: string, known: Iterable<string>): string | null {
    const names = [...known]
    if (names.length === 0 || this.#searches >= NEAREST_SEARCHES_MAX) return null
    this.#searches++
    return nearestName(name, names)
  }
}

const NAMES_SHOWN_MAX = 12

/** `a, b or c`, cut where there are many. */
export function listNames(names: Iterable<string>): string {
  const all = [...names]
  if (all.length === 0) return 'none is configured'
  if (all.length <= NAMES_SHOWN_MAX) return all.join(', ')
  return `${all.slice(0, NAMES_SHOWN_MAX).join(', ')}, … (${all.length})`
}
