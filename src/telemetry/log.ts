// The log: one JSON object a line, bounded, without secrets. Where lines go and how they wait there is the
// writer's business.

import { JsonText, type Log } from '#core/telemetry.ts'
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
  const head = `{"time":"${timeText(nowMs)}","level":"${level}","event":${JSON.stringify(event)}`
  if (fields === undefined) return `${head}}`
  try {
    const budget = { values: VALUES_MAX }
    let line = head
    for (const name in fields) {
      // The head is written once, so that no field can pass for it.
      if (HEAD.has(name)) continue
      const text = memberText(name, fields[name], 0, budget)
      if (text !== '') line += text
    }
    return `${line}}`
  } catch (error) {
    return `${head},"unloggable":${JSON.stringify(redactText(String(error).slice(0, TEXT_CHARS_MAX)))}}`
  }
}

let textMs = Number.NaN
let text = ''

/** Made once for all lines of a millisecond. */
function timeText(nowMs: number): string {
  if (nowMs !== textMs) {
    text = new Date(nowMs).toISOString()
    textMs = nowMs
  }
  return text
}

const HEAD: ReadonlySet<string> = new Set(['time', 'level', 'event'])

interface Budget {
  values: number
}

/** `,"name":value`, or nothing where JSON has no word for the value. */
function memberText(name: string, value: unknown, depth: number, budget: Budget): string {
  const text = keyTextOf(name)
  const isSecret = text.isSecret && typeof value === 'string' && value !== ''
  const said = isSecret ? '"***"' : valueText(value, depth + 1, budget)
  return said === '' ? '' : text.json + said
}

// Our own fields have few names; those of outside data are bounded by count.
const keyTexts = new Map<string, KeyText>()
const KEYS_MAX = 1_000

interface KeyText {
  /** `,"name":` */
  readonly json: string
  readonly isSecret: boolean
}

function keyTextOf(name: string): KeyText {
  let text = keyTexts.get(name)
  if (text === undefined) {
    if (keyTexts.size >= KEYS_MAX) keyTexts.clear()
    const plain = plainText(name)
    text = { json: `,${JSON.stringify(plain)}:`, isSecret: isSecretField(plain) }
    keyTexts.set(name, text)
  }
  return text
}

/** The value as JSON text: within bounds, without secrets; empty for what JSON has no word for. */
function valueText(value: unknown, depth: number, budget: Budget): string {
  budget.values--
  switch (typeof value) {
    case 'string':
      return isWord(value) ? `"${value}"` : JSON.stringify(plainText(value))
    case 'bigint':
      return `"${value}"`
    case 'number':
      return Number.isFinite(value) ? String(value) : `"${value}"`
    case 'boolean':
      return value ? 'true' : 'false'
    case 'undefined':
      return ''
    case 'object':
      return value === null ? 'null' : objectText(value, depth, budget)
    default:
      return `"[${typeof value}]"`
  }
}

const WORD_CHARS_MAX = 64
/** By character code: letters, digits and `_ . / -`. */
const IN_WORDS = Uint8Array.from({ length: 128 }, (_, code) =>
  /[\w./-]/.test(String.fromCharCode(code)) ? 1 : 0,
)
const [DASH, SLASH, DIGIT_3, LETTER_J, LETTER_K, LETTER_Y] = [45, 47, 51, 106, 107, 121]
const TO_SMALL = 0x20

/**
 * Names, ids and amounts, which most fields are: nothing in them is to be escaped or redacted. No secret (redact.ts) is
 * without `k-`, `3/`, `yj`, white space or punctuation.
 */
function isWord(text: string): boolean {
  if (text.length > WORD_CHARS_MAX) return false
  let before = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code > 127 || IN_WORDS[code] === 0) return false
    if (code === DASH && before === LETTER_K) return false
    if (code === SLASH && before === DIGIT_3) return false
    const small = code | TO_SMALL
    if (small === LETTER_J && before === LETTER_Y) return false
    before = small
  }
  return true
}

function plainText(text: string): string {
  if (text.length <= TEXT_CHARS_MAX) return redactText(text)
  return `${redactText(text.slice(0, TEXT_CHARS_MAX))}… (${text.length} characters)`
}

function objectText(value: object, depth: number, budget: Budget): string {
  if (value instanceof JsonText) return value.text
  if (depth > DEPTH_MAX || budget.values <= 0) return '"…"'
  if (value instanceof Error) {
    const { name, message, cause } = value
    return recordText(Object.entries({ name, message, cause }), depth, budget)
  }
  if (ArrayBuffer.isView(value)) return `"[${value.byteLength} bytes]"`
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? '"Invalid Date"' : `"${value.toISOString()}"`
  }
  if (value instanceof Map) return recordText(value.entries(), depth, budget)
  if (Array.isArray(value) || value instanceof Set) return listText(value, depth, budget)
  return recordText(Object.entries(value), depth, budget)
}

function listText(values: Iterable<unknown>, depth: number, budget: Budget): string {
  const list: string[] = []
  for (const value of values) {
    if (budget.values <= 0) {
      list.push('"…"')
      break
    }
    const text = valueText(value, depth + 1, budget)
    list.push(text === '' ? 'null' : text)
  }
  return `[${list.join(',')}]`
}

function recordText(entries: Iterable<readonly [unknown, unknown]>, depth: number, budget: Budget): string {
  let record = ''
  for (const [key, value] of entries) {
    if (budget.values <= 0) {
      record += ',"…":true'
      break
    }
    record += memberText(String(key), value, depth, budget)
  }
  // Each member brings the comma before it.
  return `{${record.slice(1)}}`
}
