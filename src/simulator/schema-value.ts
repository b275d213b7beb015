// A value that a JSON Schema accepts, for arguments of tool calls and structured answers.

type Schema = Readonly<Record<string, unknown>>

const DEPTH_MAX = 12
const PROPERTIES_MAX = 64

export interface Hints {
  /** Texts that strings are taken from. */
  readonly subject: string
}

export function valueFor(schema: unknown, hints: Hints): unknown {
  return valueAt(schema, { root: schema, hints, depth: 0 })
}

interface Place {
  readonly root: unknown
  readonly hints: Hints
  readonly depth: number
}

function valueAt(schema: unknown, place: Place): unknown {
  if (!isSchema(schema) || place.depth > DEPTH_MAX) return {}
  const inner = { ...place, depth: place.depth + 1 }
  if (typeof schema['$ref'] === 'string') return valueAt(resolve(schema['$ref'], place.root), inner)
  if ('const' in schema) return schema['const']
  if (Array.isArray(schema['enum']) && schema['enum'].length > 0) return schema['enum'][0]
  if ('default' in schema) return schema['default']
  for (const word of ['anyOf', 'oneOf']) {
    const options = schema[word]
    if (Array.isArray(options) && options.length > 0)
      return valueAt({ ...schema, [word]: [], ...options[0] }, inner)
  }
  if (Array.isArray(schema['allOf'])) {
    const { allOf, ...rest } = schema
    return valueAt(
      allOf.reduce<Schema>((all: Schema, part: unknown) => merge(all, part, place.root), rest),
      inner,
    )
  }
  return valueOfType(schema, inner)
}

function valueOfType(schema: Schema, place: Place): unknown {
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type']
  switch (type) {
    case 'string':
      return textFor(schema, place.hints)
    case 'integer':
      return Math.ceil(numberFor(schema))
    case 'number':
      return numberFor(schema)
    case 'boolean':
      return true
    case 'null':
      return null
    case 'array':
      return Array.from({ length: itemCount(schema) }, () =>
        valueAt(schema['items'] ?? { type: 'string' }, place),
      )
    default:
      return 'properties' in schema || type === 'object' ? objectFor(schema, place) : place.hints.subject
  }
}

function objectFor(schema: Schema, place: Place): object {
  const properties = isSchema(schema['properties']) ? schema['properties'] : {}
  return Object.fromEntries(
    Object.entries(properties)
      .slice(0, PROPERTIES_MAX)
      .map(([name, property]) => [name, valueAt(property, place)]),
  )
}

const FORMATS: Readonly<Record<string, string>> = {
  date: '2026-11-25',
  time: '09:30:00Z',
  'date-time': '2026-11-25T09:30:00Z',
  email: 'someone@example.com',
  uri: 'https://example.com/',
  uuid: '3f2b8c1e-7a4d-4e5f-9b60-1c2d3e4f5a6b',
}

function textFor(schema: Schema, hints: Hints): string {
  const format = schema['format']
  const text = (typeof format === 'string' ? FORMATS[format] : undefined) ?? hints.subject
  const min = countOf(schema['minLength']) ?? 0
  const max = countOf(schema['maxLength']) ?? Number.POSITIVE_INFINITY
  return text.padEnd(min, 'x').slice(0, max)
}

function numberFor(schema: Schema): number {
  const bounds = [
    schema['minimum'],
    schema['exclusiveMinimum'],
    schema['maximum'],
    schema['exclusiveMaximum'],
  ]
  const [min, above, max, below] = bounds.map((bound) => (typeof bound === 'number' ? bound : null))
  if (min !== undefined && min !== null) return min
  if (above !== undefined && above !== null) return above + 1
  if (max !== undefined && max !== null) return Math.min(max, 1)
  if (below !== undefined && below !== null) return Math.min(below - 1, 1)
  return 1
}

function itemCount(schema: Schema): number {
  const min = countOf(schema['minItems']) ?? 1
  return Math.min(min, countOf(schema['maxItems']) ?? min, PROPERTIES_MAX)
}

function countOf(value: unknown): number | null {
  return typeof value === 'number' && value >= 0 ? value : null
}

function merge(all: Schema, part: unknown, root: unknown): Schema {
  const schema = isSchema(part) && typeof part['$ref'] === 'string' ? resolve(part['$ref'], root) : part
  if (!isSchema(schema)) return all
  const properties = { ...(all['properties'] ?? {}), ...(schema['properties'] ?? {}) }
  return { ...all, ...schema, ...(Object.keys(properties).length > 0 ? { properties } : {}) }
}

/** `#/$defs/Name` within the same schema. */
function resolve(reference: string, root: unknown): unknown {
  if (!reference.startsWith('#')) return {}
  return reference
    .slice(2)
    .split('/')
    .filter((part) => part !== '')
    .reduce<unknown>((schema, part) => (isSchema(schema) ? schema[part] : undefined), root)
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
