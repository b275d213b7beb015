// What the checks of one configuration share.

import type { Provider } from '#core/provider.ts'
import type { Template, Templates } from './expand.ts'
import type { Path, Report } from './problems.ts'
import type { Config } from './schema.ts'

/** Names as the file declares them, whether or not what they name is in order. */
export interface Declared {
  readonly providers: ReadonlySet<string>
  readonly models: ReadonlySet<string>
  readonly policies: ReadonlySet<string>
  readonly currencies: ReadonlySet<string>
  readonly organisations: ReadonlySet<string>
  readonly teams: ReadonlySet<string>
}

/** What a check of names needs: those there are, and where to say that one is not among them. */
export interface Names {
  readonly declared: Declared
  /** Of calendar budgets. */
  readonly timeZone: string
  readonly report: Report
}

export interface Scope extends Names {
  readonly config: Config
  /** The folders of providers/. */
  readonly folders: ReadonlyMap<string, Provider>
  /** The regions that a folder's price list speaks of. */
  readonly priceRegions: (folder: string) => readonly string[]
  readonly templates: Templates
  readonly notices: string[]
}

export function declaredNames(data: unknown): Declared {
  return {
    providers: namesIn(data, 'providers'),
    models: namesIn(data, 'models'),
    policies: namesIn(data, 'policies'),
    currencies: namesIn(data, 'fx'),
    organisations: namesIn(data, 'organisations'),
    teams: namesIn(data, 'teams'),
  }
}

function namesIn(data: unknown, section: string): ReadonlySet<string> {
  if (typeof data !== 'object' || data === null) return new Set()
  const value: unknown = Object.entries(data).find(([name]) => name === section)?.[1]
  const isMapping = typeof value === 'object' && value !== null && !Array.isArray(value)
  return new Set(isMapping ? Object.keys(value) : [])
}

/** Elements of a list with their places; what parse.ts cut out is passed over. */
export function* indexed<Item>(items: readonly (Item | undefined)[]): Generator<readonly [number, Item]> {
  for (const [index, item] of items.entries()) if (item !== undefined) yield [index, item]
}

export function present<Item>(items: readonly (Item | undefined)[]): readonly Item[] {
  return items.filter((item) => item !== undefined)
}

/** What was found at `path`, as the file says it where a variable stands there. */
export function templateAt(scope: Scope, path: Path): Template | null {
  return scope.templates.at(path)
}

/** Names stand in headers, labels and logs. */
export function isPlainName(name: string): boolean {
  return name.length <= NAME_CHARS_MAX && /^[^\s\p{C}]+$/u.test(name)
}

const NAME_CHARS_MAX = 200
