// The log: one JSON object a line, bounded, without secrets. Where lines go and how they wait there is the
// writer's business.

import type { Log } from '#core/telemetry.ts'
import { isSecretField, redactText } from './redact.ts'

const LEVELS = { debug: 10, info: 20, warn: 30, error: 40 } as const

export type LogLevel = keyof typeof LEVELS

/** What one line may hold: a vendor's error page or a plan of thousands of candidates must not fill a disk. */
const TEXT_CHARS_MAX = 4_000
const DEPTH_MAX = 8
const VALUES_MAX = 2_000

export interface LogOptions {
  readonly level: LogLevel
  /** Takes one line without its line end. */
  readonly write: (line: string) => void
  /** Epoch ms. */
  readonly nowMs: () => number
}

/** Never throws, whatever the fields hold. */
export function createLog(options: LogOptions): Log {
  const least = LEVELS[options.level]
  const method = (level: LogLevel): Log['info'] => {
    if (LEVELS[level] < least) return () => undefined
    return (event, fields) => options.write(formatLine(level, event, fields, options.nowMs()))
  }
  return { debug: method('debug'), info: method('info'), warn: method('warn'), error: method('error') }
}

function formatLine(
  level: LogLevel,
  event: string,
  fields: Readonly<Record<string, unknown>> | undefined,
  nowMs: number,
): string {
  const head = { time: new Date(nowMs).toISOString(), level, event }
  if (fields === undefined) return JSON.stringify(head)
  // The head comes first for the reader, and last so that no field can pass for it.
  try {
    return JSON.stringify({
      ...head,
      ...plainRecord(Object.entries(fields), 0, { values: VALUES_MAX }),
      ...head,
    })
  } catch (error) {
    return JSON.stringify({ ...head, unloggable: redactText(String(error).slice(0, TEXT_CHARS_MAX)) })
  }
}

interface Budget {
  values: number
}

/** The value as JSON can say it: within bounds, without secrets, without what JSON has no word for. */
function plain(value: unknown, depth: number, budget: Budget): unknown {
  budget.values--
  switch (typeof value) {
    case 'string':
      return plainText(value)
    case 'bigint':
      return value.toString()
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'boolean':
    case 'undefined':
      return value
    case 'object':
      return value === null ? null : plainObject(value, depth, budget)
    default:
      return `[${typeof value}]`
  }
}

function plainText(text: string): string {
  if (text.length <= TEXT_CHARS_MAX) return redactText(text)
  return `${redactText(text.slice(0, TEXT_CHARS_MAX))}… (${text.length} characters)`
}

function plainObject(value: object, depth: number, budget: Budget): unknown {
  if (depth >= DEPTH_MAX || budget.values <= 0) return '…'
  if (value instanceof Error) {
    const { name, message, cause } = value
    return plainRecord(Object.entries({ name, message, cause }), depth, budget)
  }
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (value instanceof Map) return plainRecord(value.entries(), depth, budget)
  if (Array.isArray(value) || value instanceof Set) return plainList(value, depth, budget)
  return plainRecord(Object.entries(value), depth, budget)
}

function plainList(values: Iterable<unknown>, depth: number, budget: Budget): readonly unknown[] {
  const list: unknown[] = []
  for (const value of values) {
    if (budget.values <= 0) return [...list, '…']
    list.push(plain(value, depth + 1, budget))
  }
  return list
}

function plainRecord(
  entries: Iterable<readonly [unknown, unknown]>,
  depth: number,
  budget: Budget,
): Readonly<Record<string, unknown>> {
  const record: [string, unknown][] = []
  for (const [key, value] of entries) {
    const name = plainText(String(key))
    if (budget.values <= 0) return Object.fromEntries([...record, ['…', true]])
    const isSecret = isSecretField(name) && typeof value === 'string' && value !== ''
    record.push([name, isSecret ? '***' : plain(value, depth + 1, budget)])
  }
  return Object.fromEntries(record)
}
