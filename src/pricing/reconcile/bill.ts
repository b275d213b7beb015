// A vendor's table → the lines of its bill, by the format that says which column is which.

import { BILL_COLUMNS, type BillColumn, BillError, type BillFormat, type CellPart } from '#core/bill.ts'
import type { Pico } from '#core/money.ts'
import { decimalOf, type Period, type Place, periodOf, pricePerMillion, quantityOf } from './cells.ts'
import { type CsvLine, DELIMITERS, decodeTable, parseCsv } from './csv.ts'

export interface BillLine {
  readonly line: number
  readonly period: Period
  readonly model: string
  /** As our bills call it where the vendor's word says so, else that; null: the bill does not say. */
  readonly item: string | null
  readonly request: string | null
  /** Tokens; null: the bill does not say. */
  readonly quantity: bigint | null
  /** Of a million tokens. */
  readonly price: Pico | null
  readonly list: Pico | null
  readonly amount: Pico
  /** Tokens that a free quota or a package paid. */
  readonly freeQuantity: bigint
}

export interface Bill {
  readonly lines: readonly BillLine[]
  readonly currency: string
  /** The last place of its amounts. */
  readonly roundingPlace: Pico
  readonly isByDay: boolean
  readonly isByRequest: boolean
  /** Sums that stand below the lines. */
  readonly skippedLines: number
}

const REQUIRED = ['time', 'model', 'amount'] as const
const PICO_PLACES = 12
/** Titles and notes may stand above the heading. */
const HEADING_LINES_MAX = 20
const SUM_WORDS = /^(合计|总计|小计|汇总|(total|subtotal|sum)\b)/i

type Columns = Readonly<Partial<Record<BillColumn, { readonly index: number; readonly name: string }>>>

/** @throws BillError */
export function readBill(bytes: Uint8Array<ArrayBuffer>, format: BillFormat, linesMax: number): Bill {
  const text = decodeTable(bytes)
  if (text.trim() === '') throw new BillError('the file is empty')
  const delimiters = format.delimiter === undefined ? DELIMITERS : [format.delimiter]
  const { table, heading, columns } = findHeading(text, delimiters, format, linesMax)
  const rows = table.slice(heading + 1)
  const width = table[heading]?.cells.length ?? 0
  const lines: BillLine[] = []
  let places = 2
  let currency: { readonly name: string; readonly line: number } | null = null
  let skippedLines = 0
  for (const row of rows) {
    if (SUM_WORDS.test((row.cells.find((cell) => cell.trim() !== '') ?? '').trim())) {
      skippedLines++
      continue
    }
    checkWidth(row, width)
    const own = currencyOf(row, columns, format.currency)
    if (currency !== null && currency.name !== own)
      throw new BillError(
        `the amount is in ${own}, and those since line ${currency.line} are in ${currency.name}: give one file for each currency`,
        row.line,
        columnOf(columns, 'currency'),
      )
    currency ??= { name: own, line: row.line }
    const read = lineOf(row, columns, format)
    lines.push(read.line)
    places = Math.max(places, read.places)
  }
  if (lines.length === 0) throw new BillError('there are no lines below the heading')
  const isByDay = lines.every(({ period }) => period.day !== null)
  return {
    lines,
    currency: currency?.name ?? format.currency,
    // Seldom do all amounts end before the place that they are rounded at.
    roundingPlace: (10n ** BigInt(PICO_PLACES - places)) as Pico,
    isByDay,
    isByRequest: lines.some(({ request }) => request !== null),
    skippedLines,
  }
}

interface Found {
  readonly table: readonly CsvLine[]
  readonly heading: number
  readonly columns: Columns
}

/** The first line that names all columns that must be there, under whichever delimiter. @throws BillError */
function findHeading(
  text: string,
  delimiters: readonly string[],
  format: BillFormat,
  linesMax: number,
): Found {
  let best: {
    readonly found: number
    readonly line: CsvLine
    readonly missing: readonly BillColumn[]
  } | null = null
  let fault: BillError | null = null
  for (const delimiter of delimiters) {
    let table: readonly CsvLine[]
    try {
      table = parseCsv(text, delimiter, linesMax + HEADING_LINES_MAX)
    } catch (error) {
      if (!(error instanceof BillError)) throw error
      fault ??= error
      continue
    }
    for (const [index, line] of table.slice(0, HEADING_LINES_MAX).entries()) {
      const columns = columnsOf(line, format)
      const missing = REQUIRED.filter((column) => columns[column] === undefined)
      if (missing.length === 0) return { table, heading: index, columns }
      const found = Object.keys(columns).length
      if (
        best === null ||
        found > best.found ||
        (found === best.found && line.cells.length > best.line.cells.length)
      )
        best = { found, line, missing }
    }
  }
  if (fault !== null && (best === null || best.found === 0)) throw fault
  throw noHeading(best, format)
}

function noHeading(
  best: { readonly line: CsvLine; readonly missing: readonly BillColumn[] } | null,
  format: BillFormat,
): BillError {
  if (best === null) return new BillError('the file is empty')
  const { line, missing } = best
  const wanted = missing.map(
    (column) => `${column} (${(format.columns[column] ?? []).join(' or ') || 'not mapped'})`,
  )
  const found = line.cells.map((cell) => cell.trim()).join(', ')
  const single = line.cells.length === 1 ? '; it has one cell, so its delimiter may be another one' : ''
  return new BillError(
    `no heading has the columns ${wanted.join(', ')}; the likeliest has: ${found.slice(0, 300)}${single}. ` +
      'reconcile.PROVIDER.columns of the configuration says what they are called',
    line.line,
  )
}

function columnsOf({ cells }: CsvLine, format: BillFormat): Columns {
  const headings = cells.map(plainName)
  const columns: Partial<Record<BillColumn, { index: number; name: string }>> = {}
  for (const column of BILL_COLUMNS) {
    for (const name of format.columns[column] ?? []) {
      const index = headings.indexOf(plainName(name))
      if (index === -1) continue
      columns[column] = { index, name: cells[index]?.trim() ?? name }
      break
    }
  }
  return columns
}

/** Headings differ in case, blanks and the brackets around a unit. */
function plainName(text: string): string {
  return text
    .replace(/[\uFEFF\s]/g, '')
    .replace(/（/g, '(')
    .replace(/）/g, ')')
    .toLowerCase()
}

/** Exports end lines with a delimiter, or leave out what is empty at the end. @throws BillError */
function checkWidth(row: CsvLine, width: number): void {
  const extra = row.cells.slice(width)
  if (extra.some((cell) => cell.trim() !== ''))
    throw new BillError(
      `the line has ${row.cells.length} cells, the heading ${width}: is a delimiter inside of a cell without quotes?`,
      row.line,
      width + 1,
    )
}

function columnOf(columns: Columns, column: BillColumn): number | null {
  const found = columns[column]
  return found === undefined ? null : found.index + 1
}

function currencyOf(row: CsvLine, columns: Columns, absent: string): string {
  const text = cellOf(row, columns, 'currency')
  if (text === '') return absent
  if (/^(人民币|元|rmb|¥|￥)$/i.test(text)) return 'CNY'
  if (/^(美元|\$|us\$)$/i.test(text)) return 'USD'
  return text.toUpperCase()
}

function cellOf(row: CsvLine, columns: Columns, column: BillColumn): string {
  const found = columns[column]
  return found === undefined ? '' : (row.cells[found.index] ?? '').trim()
}

function lineOf(
  row: CsvLine,
  columns: Columns,
  format: BillFormat,
): { readonly line: BillLine; readonly places: number } {
  const place = (column: BillColumn): Place => ({
    line: row.line,
    column: columnOf(columns, column) ?? 1,
    name: columns[column]?.name ?? column,
  })
  const decimal = (column: BillColumn) => decimalOf(cellOf(row, columns, column), place(column))
  const amount = decimal('amount')
  if (amount === null)
    throw new BillError(`${place('amount').name}: there is no amount`, row.line, place('amount').column)
  const model = partOf(cellOf(row, columns, 'model'), format.modelPart)
  if (model === '')
    throw new BillError(`${place('model').name}: there is no model`, row.line, place('model').column)
  const unit = cellOf(row, columns, 'quantity_unit') || (columns.quantity?.name ?? '')
  const priceUnit = cellOf(row, columns, 'price_unit') || (columns.unit_price?.name ?? '')
  const quantity = decimal('quantity')
  const free = decimal('free_quantity')
  const price = decimal('unit_price')
  const item = partOf(cellOf(row, columns, 'item'), format.itemPart)
  const request = cellOf(row, columns, 'request')
  const line = {
    line: row.line,
    period: periodOf(cellOf(row, columns, 'time'), format.timeZone, place('time')),
    model: format.models?.[model] ?? model,
    item: item === '' ? null : itemOf(item),
    request: request === '' ? null : request,
    quantity: quantity === null ? null : quantityOf(quantity, unit),
    price: price === null ? null : pricePerMillion(price, hasMultiplier(priceUnit) ? priceUnit : unit),
    list: (decimal('list')?.value ?? null) as Pico | null,
    amount: amount.value as Pico,
    freeQuantity: free === null ? 0n : quantityOf(free, unit),
  }
  return { line, places: amount.places }
}

/** A unit of its own; without one a price is of the unit that quantities have. */
function hasMultiplier(unit: string): boolean {
  return /tok|千|万|亿|\b[km]\b/i.test(unit)
}

function partOf(cell: string, part: CellPart | undefined): string {
  return part === undefined || !cell.includes(part.separator)
    ? cell
    : (cell.split(part.separator)[part.part - 1] ?? '').trim()
}

/** The vendors' words for what is billed. */
function itemOf(text: string): string {
  const word = text.toLowerCase()
  if (/cache|缓存/.test(word))
    return /write|creat|store|写入|创建|存储/.test(word) ? 'cache_write' : 'cached_input'
  if (/output|completion|输出|生成/.test(word)) return 'output'
  if (/input|prompt|输入/.test(word)) return 'input'
  return text
}
