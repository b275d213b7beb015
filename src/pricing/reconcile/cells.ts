// Cells of a bill → amounts, counts and days. What cannot be read is an error with its place, never a guess.

import { BillError } from '#core/bill.ts'
import type { Pico } from '#core/money.ts'
import { dayOf } from '#core/months.ts'

const PLACES = 12

export interface Place {
  readonly line: number
  readonly column: number
  /** The column's heading. */
  readonly name: string
}

export interface Decimal {
  /** In 1e-12. */
  readonly value: bigint
  /** Digits after the point. */
  readonly places: number
}

const NUMBER = /^([-+]?)(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d*))?$/
const CURRENCIES = /^(?:¥|￥|\$|CNY|USD|RMB)\s*|\s*(?:元|CNY|USD|RMB)$/gi

/** `1,234.56`, `-0.5`, `¥3`; an empty cell or a dash is nothing. @throws BillError */
export function decimalOf(cell: string, place: Place): Decimal | null {
  // Exports guard numbers with an apostrophe, a backtick or a tab.
  const text = cell
    .trim()
    .replace(/^['`\t]+/, '')
    .trim()
  if (text === '' || text === '-' || text === '--' || text === '/') return null
  const plain = text.replace(CURRENCIES, '').replace(/^−/, '-').trim()
  const [, sign = '', whole = '', fraction = ''] = NUMBER.exec(plain) ?? []
  if (whole === '') throw new BillError(`${place.name}: ${wrongNumber(text)}`, place.line, place.column)
  const significant = fraction.replace(/0+$/, '')
  if (significant.length > PLACES)
    throw new BillError(
      `${place.name}: "${clip(text)}" has more than ${PLACES} decimal places`,
      place.line,
      place.column,
    )
  const digits = BigInt(whole.replaceAll(',', '') + significant.padEnd(PLACES, '0'))
  return { value: sign === '-' ? -digits : digits, places: significant.length }
}

function wrongNumber(text: string): string {
  const found = `"${clip(text)}" is no number`
  if (/^[-+]?\d+(\.\d+)?[eE][-+]?\d+$/.test(text))
    return `${found} as it was billed: a spreadsheet has written it with an exponent and lost digits; export the bill again`
  if (/^[-+]?\d{1,3}(\.\d{3})+(,\d+)?$|^[-+]?\d+,\d{1,2}$/.test(text))
    return `${found}: thousands are separated by commas and decimals by a point, such as 1,234.56`
  if (/^\(.*\)$/.test(text)) return `${found}: a refund is written with a minus, such as -1.20`
  return `${found}, such as 1234.56`
}

/** How many tokens the unit of a text means; 1: it names none. */
function multiplierOf(text: string): bigint {
  if (/百万|million|\bmtok|\d\s*m\b|\bm\s*tok/i.test(text)) return 1_000_000n
  if (/亿/.test(text)) return 100_000_000n
  if (/万/.test(text)) return 10_000n
  if (/千|thousand|\bktok|\d\s*k\b|\bk\s*tok|1[,]?000\b/i.test(text)) return 1_000n
  return 1n
}

/** A count of tokens. */
export function quantityOf({ value }: Decimal, unit: string): bigint {
  const scaled = value * multiplierOf(unit)
  const half = 500_000_000_000n
  return (scaled + (scaled < 0n ? -half : half)) / 1_000_000_000_000n
}

/** Pico per token × a million = price of a million tokens, in pico. */
export function pricePerMillion({ value }: Decimal, unit: string): Pico {
  return ((value * 1_000_000n) / multiplierOf(unit)) as Pico
}

export interface Period {
  readonly day: string | null
  readonly month: string
}

const DATE = /^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:$|[\sT])/
const DIGITS = /^(\d{4})(\d{2})(\d{2})?(?:$|\s)/
const MONTH = /^(\d{4})[-/.年](\d{1,2})月?$/
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[-+]\d{2}:?\d{2})$/

/** A day of the vendor's zone, or a month. Of a span of time its start. @throws BillError */
export function periodOf(cell: string, timeZone: string, place: Place): Period {
  const text = cell
    .trim()
    .replace(/^['`\t]+/, '')
    .trim()
  if (INSTANT.test(text)) {
    const atMs = Date.parse(text)
    if (!Number.isNaN(atMs)) {
      const day = dayOf(timeZone, atMs)
      return { day, month: day.slice(0, 7) }
    }
  }
  const [, year, month, date] = DATE.exec(text) ?? DIGITS.exec(text) ?? MONTH.exec(text) ?? []
  const day = isoOf(year, month, date)
  if (day === null)
    throw new BillError(
      `${place.name}: "${clip(text)}" is no day or month, such as 2026-10-31 or 2026-10`,
      place.line,
      place.column,
    )
  return { day: date === undefined ? null : day, month: day.slice(0, 7) }
}

/** null: there is no such day. */
function isoOf(year: string | undefined, month: string | undefined, date = '1'): string | null {
  if (year === undefined || month === undefined) return null
  const iso = `${year}-${month.padStart(2, '0')}-${date.padStart(2, '0')}`
  const atMs = Date.parse(iso)
  return Number.isNaN(atMs) || new Date(atMs).toISOString().slice(0, 10) !== iso ? null : iso
}

function clip(text: string): string {
  return text.slice(0, 40)
}
