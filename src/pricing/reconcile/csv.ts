// Text of a table → its cells, each line with its number. RFC 4180, with the delimiter that its heading shows.

import { BillError } from '#core/bill.ts'

export interface CsvLine {
  /** From 1; of its first character. */
  readonly line: number
  readonly cells: readonly string[]
}

export const DELIMITERS = [',', ';', '\t', '|'] as const

const LINE_FEED = 10
const CARRIAGE_RETURN = 13

/** Bytes of a table: UTF-8 with or without a mark, UTF-16 with one, else GB 18030, of which GBK is a part. @throws BillError */
export function decodeTable(bytes: Uint8Array<ArrayBuffer>): string {
  const [first, second] = bytes
  const marked =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : null
  for (const encoding of marked === null ? ['utf-8', 'gb18030'] : [marked]) {
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(bytes)
    } catch {
      // The next one.
    }
  }
  throw new BillError(
    'the file is neither UTF-8 nor GBK text: is it a workbook or an archive? export it as CSV',
  )
}

/** @throws BillError with the place of what is wrong */
export function parseCsv(text: string, delimiter: string, linesMax: number): readonly CsvLine[] {
  if (text.startsWith('PK\u0003\u0004'))
    throw new BillError('the file is an archive or a workbook: unpack it, or export it as CSV')
  const lines: CsvLine[] = []
  let at = 0
  let line = 1
  while (at < text.length) {
    const startLine = line
    const cells: string[] = []
    for (;;) {
      const cell = readCell(text, at, delimiter, line, cells.length + 1)
      cells.push(cell.text)
      line = cell.line
      at = cell.end
      if (text[at] !== delimiter) break
      at++
    }
    if (text.charCodeAt(at) === CARRIAGE_RETURN) at++
    if (text.charCodeAt(at) === LINE_FEED) at++
    line++
    if (cells.length > 1 || cells[0]?.trim() !== '') lines.push({ line: startLine, cells })
    if (lines.length > linesMax)
      throw new BillError(`more than ${linesMax} lines: give a bill of fewer days`, startLine)
  }
  return lines
}

interface Cell {
  readonly text: string
  /** Of the character after it. */
  readonly end: number
  readonly line: number
}

function readCell(text: string, start: number, delimiter: string, line: number, column: number): Cell {
  if (text[start] !== '"') {
    let end = start
    while (end < text.length && text[end] !== delimiter && !isLineEnd(text, end)) end++
    return { text: text.slice(start, end), end, line }
  }
  let value = ''
  let at = start + 1
  let lineNow = line
  for (;;) {
    const quote = text.indexOf('"', at)
    if (quote === -1) throw new BillError('a quote that is opened here is never closed', line, column)
    value += text.slice(at, quote)
    for (let feed = text.indexOf('\n', at); feed !== -1 && feed < quote; feed = text.indexOf('\n', feed + 1))
      lineNow++
    at = quote + 1
    if (text[at] !== '"') break
    value += '"'
    at++
  }
  if (at < text.length && text[at] !== delimiter && !isLineEnd(text, at)) {
    const found = JSON.stringify(text.slice(at, at + 10))
    throw new BillError(
      `after a closing quote comes ${found}: a quote inside of a cell is written twice`,
      lineNow,
      column,
    )
  }
  return { text: value, end: at, line: lineNow }
}

function isLineEnd(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return (
    code === LINE_FEED ||
    (code === CARRIAGE_RETURN && text.charCodeAt(at + 1) === LINE_FEED) ||
    code === CARRIAGE_RETURN
  )
}
