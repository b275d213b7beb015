// The lines of the replay protocol, read: what a field may hold, and what is wrong with one that holds something else.

import { editDistance } from '#core/edit-distance.ts'
import type { FailureKind } from '#core/errors.ts'
import { CAPABILITIES, type Capability } from '#core/provider.ts'

/** A line that cannot be taken: which field, what it holds, what it may hold. */
export class LineError extends Error {
  readonly field: string
  readonly found: string
  readonly allowed: string

  constructor(field: string, found: unknown, allowed: string) {
    const text = JSON.stringify(found) ?? 'nothing'
    const shown = text.length > 60 ? `${text.slice(0, 57)}…` : text
    super(`${field === '' ? '' : `field "${field}": `}found ${shown}, allowed: ${allowed}`)
    this.name = 'LineError'
    this.field = field
    this.found = shown
    this.allowed = allowed
  }
}

export const LINE_TYPES = [
  'request',
  'attempt_started',
  'first_byte',
  'first_token',
  'finished',
  'failed',
  'cancelled',
  'hedge?',
] as const

export type LineType = (typeof LINE_TYPES)[number]

export type Fields = Readonly<Record<string, unknown>>

const ERRORS: Readonly<Record<string, FailureKind>> = {
  rate_limited: 'rate_limit',
  timeout: 'timeout',
  server_error: 'server',
  connect: 'connection',
  context_length: 'context_length',
}

const KNOWN: Readonly<Record<LineType, readonly string[]>> = {
  request: [
    'model',
    'input_tokens',
    'max_output_tokens',
    'prefix_hashes',
    'session',
    'capabilities',
    'tried',
  ],
  attempt_started: ['target'],
  first_byte: ['target'],
  first_token: ['target'],
  finished: ['target', 'input_tokens', 'cached_tokens', 'output_tokens'],
  failed: ['target', 'error', 'retry_after_ms'],
  cancelled: ['target'],
  'hedge?': [],
}

const COMMON = ['type', 'id', 'at']

/** @throws LineError when a field is one that lines of this type do not have. */
export function checkFields(line: Fields, type: LineType): void {
  const known = KNOWN[type]
  for (const field in line) {
    if (COMMON.includes(field) || known.includes(field)) continue
    const names = [...COMMON, ...known]
    const near = names.find((name) => editDistance(name, field) <= 2)
    const hint = near === undefined ? '' : ` (did you mean "${near}"?)`
    throw new LineError(field, line[field], `no such field in "${type}" lines; ${names.join(', ')}${hint}`)
  }
}

export function readType(line: Fields): LineType {
  const { type } = line as { type?: unknown }
  if (!LINE_TYPES.includes(type as LineType)) throw new LineError('type', type, LINE_TYPES.join(', '))
  return type as LineType
}

export function readText(line: Fields, field: string): string {
  const value = line[field]
  if (typeof value !== 'string' || value === '') throw new LineError(field, value, 'a string')
  return value
}

/** Ids may be numbers; they are given back as they came. */
export function readId(line: Fields): string | number {
  const id = line['id']
  if ((typeof id === 'string' && id !== '') || Number.isFinite(id)) return id as string | number
  throw new LineError('id', id, 'a string or a number')
}

export function readInstant(line: Fields): number {
  const at = line['at']
  if (typeof at === 'number' && Number.isFinite(at) && at >= 0 && at <= 8.64e15) return at
  throw new LineError('at', at, 'Unix time in milliseconds')
}

export function readCount(line: Fields, field: string): number {
  const value = line[field]
  if (typeof value === 'number' && value >= 0 && Number.isSafeInteger(value)) return value
  throw new LineError(field, value, 'a whole number of 0 or more')
}

/** The same for a field that may be left out. */
export function readOptionalCount<Absent>(line: Fields, field: string, absent: Absent): number | Absent {
  const value = line[field]
  return value === undefined || value === null ? absent : readCount(line, field)
}

export function readMs(line: Fields, field: string): number | null {
  const value = line[field]
  if (value === undefined || value === null) return null
  if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) return value
  throw new LineError(field, value, 'milliseconds, 0 or more')
}

const EMPTY: readonly never[] = []

export function readNames(line: Fields, field: string): readonly string[] {
  const value = line[field]
  if (value === undefined || value === null) return EMPTY
  if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return value
  throw new LineError(field, value, 'a list of strings')
}

export function readHashes(line: Fields): readonly (string | number)[] {
  const value = line['prefix_hashes']
  if (value === undefined || value === null) return EMPTY
  if (Array.isArray(value) && value.every(isHash)) return value
  throw new LineError('prefix_hashes', value, 'a list of strings or numbers')
}

function isHash(entry: unknown): entry is string | number {
  return typeof entry === 'string' || typeof entry === 'number'
}

export function readCapabilities(line: Fields): readonly Capability[] {
  const names = readNames(line, 'capabilities')
  for (const name of names) {
    if (!CAPABILITIES.includes(name as Capability))
      throw new LineError('capabilities', name, CAPABILITIES.join(', '))
  }
  return names as readonly Capability[]
}

export function readError(line: Fields): FailureKind {
  const { error } = line as { error?: unknown }
  const kind = typeof error === 'string' && Object.hasOwn(ERRORS, error) ? ERRORS[error] : undefined
  if (kind === undefined) throw new LineError('error', error, Object.keys(ERRORS).join(', '))
  return kind
}
