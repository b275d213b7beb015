// The JSON Schema of a configuration file: for editors, and for saying what is allowed at a place.

import { z } from 'zod'
import { describe, type Path } from './problems.ts'
import { configSchema } from './schema.ts'

/** For editors: numbers and booleans may also be references to the environment. */
export function settingsJsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      if (!['integer', 'number', 'boolean'].includes(String(jsonSchema.type))) return
      const { description, default: fallback, ...plain } = jsonSchema
      for (const name of Object.keys(jsonSchema)) delete jsonSchema[name]
      jsonSchema.anyOf = [plain, { type: 'string', pattern: '\\$\\{' }]
      if (description !== undefined) jsonSchema.description = description
      if (fallback !== undefined) jsonSchema.default = fallback
    },
  })
  return { ...schema, title: 'Sluice configuration' }
}

/** The parts of JSON Schema that this schema is made of. */
interface Node {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Node>>
  readonly additionalProperties?: Node | boolean
  readonly items?: Node
  readonly anyOf?: readonly Node[]
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly pattern?: string
  readonly minItems?: number
  readonly description?: string
}

let root: Node | null = null

/** undefined: nothing may stand there. */
function nodeAt(path: Path): Node | undefined {
  root ??= z.toJSONSchema(configSchema, { io: 'input' }) as Node
  let node: Node | undefined = root
  for (const part of path) {
    const options: readonly Node[] = node?.anyOf ?? (node === undefined ? [] : [node])
    node = options.map((option) => childOf(option, part)).find((child) => child !== undefined)
  }
  return node
}

function childOf(node: Node, part: string | number): Node | undefined {
  if (typeof part === 'number') return node.items
  if (node.properties !== undefined && Object.hasOwn(node.properties, part)) return node.properties[part]
  return typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined
}

/** The settings that may stand in the mapping at `path`. */
export function settingNames(path: Path): readonly string[] {
  const node = nodeAt(path)
  return [node, ...(node?.anyOf ?? [])].flatMap((option) => Object.keys(option?.properties ?? {}))
}

/** The closed set of values at `path`; empty where there is none. */
export function settingValues(path: Path): readonly string[] {
  const node = nodeAt(path)
  return [node, ...(node?.anyOf ?? [])]
    .flatMap((option) => option?.enum ?? (option?.const === undefined ? [] : [option.const]))
    .filter((value) => typeof value === 'string')
}

/** What may stand at `path`, in words. */
export function allowedAt(path: Path): string {
  const node = nodeAt(path)
  return node === undefined ? '' : wordsOf(node)
}

function wordsOf(node: Node): string {
  if (node.anyOf !== undefined) return node.anyOf.map(wordsOf).join(' or ')
  if (node.enum !== undefined) return node.enum.map(String).join(' | ')
  if (node.const !== undefined) return describe(node.const).replaceAll('"', '')
  switch (node.type) {
    case 'integer':
      return `an integer${rangeOf(node)}`
    case 'number':
      return `a number${rangeOf(node)}`
    case 'boolean':
      return 'true or false'
    case 'array':
      return node.minItems === 1 ? 'a list of at least one' : 'a list'
    case 'object':
      return node.properties === undefined
        ? 'a mapping by name'
        : `a mapping of ${Object.keys(node.properties).join(', ')}`
    default:
      if (node.pattern !== undefined && node.description !== undefined) return sentencePart(node.description)
      return `a string${node.minLength === undefined ? '' : ', not empty'}`
  }
}

function rangeOf(node: Node): string {
  const least = node.minimum ?? Number.MIN_SAFE_INTEGER
  const most = node.maximum ?? Number.MAX_SAFE_INTEGER
  if (node.exclusiveMinimum !== undefined) return ` above ${node.exclusiveMinimum}`
  if (least === Number.MIN_SAFE_INTEGER) return ''
  return most === Number.MAX_SAFE_INTEGER ? ` of at least ${least}` : ` from ${least} to ${most}`
}

/** A description inside a sentence: `A decimal number.` → `a decimal number`. */
function sentencePart(description: string): string {
  const isWord = /^[A-Z][a-z ]/.test(description)
  return `${isWord ? description.charAt(0).toLowerCase() : description.charAt(0)}${description.slice(1)}`.replace(
    /\.$/,
    '',
  )
}
