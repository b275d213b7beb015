// Tables for spreadsheets: RFC 4180, UTF-8 with a mark that Excel knows it by, names never taken for formulas.

/** Excel takes a file without it for the machine's old code page. */
export const BYTE_ORDER_MARK = '\uFEFF'

/** A number stands as it is; a name is anything that people chose. */
export type Cell = { readonly number: string } | { readonly name: string }

/** What begins a formula, also in full width, behind blanks, or on another line of the cell. */
const FORMULA = /(?:^|[\r\n])[\s\u200B\uFEFF]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/

/** Lines with their ends. */
export function csvLines(rows: readonly (readonly Cell[])[]): string {
  return rows.map((cells) => `${cells.map(cellText).join(',')}\r\n`).join('')
}

function cellText(cell: Cell): string {
  if ('number' in cell) return cell.number
  const safe = FORMULA.test(cell.name) ? `'${cell.name}` : cell.name
  return /[",\r\n\t;]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
