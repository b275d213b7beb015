// Finds the members of a JSON object in its bytes and splices others in, so that a large body need not be
// rebuilt to change one field. The scan jumps from quote to quote; parsing and syntax errors are JSON.parse's.

import { asciiText, concatBytes, decodeUtf8, encodeUtf8 } from './bytes.ts'

const QUOTE = 34
const BACKSLASH = 92

/** A member of the top-level object; offsets into the bytes. */
export interface Member {
  readonly key: string
  readonly keyStart: number
  readonly valueStart: number
  readonly valueEnd: number
}

export interface MemberScan {
  /** Index of the opening brace. */
  readonly open: number
  readonly members: readonly Member[]
  readonly depth: number
}

/**
 * Scans the top level of an object. Nesting deeper than `depthMax` stops the scan (`depth` says so).
 * Returns null when the bytes do not begin as an object or are cut; JSON.parse then has the words for it.
 */
export function scanMembers(bytes: Uint8Array, depthMax: number): MemberScan | null {
  let at = skipSpace(bytes, markLength(bytes))
  if (bytes[at] !== 123) return null
  const open = at
  const members: Member[] = []
  at = skipSpace(bytes, at + 1)
  let deepest = 1
  while (bytes[at] === QUOTE) {
    const keyStart = at
    const keyEnd = endOfString(bytes, at)
    if (keyEnd === -1) return null
    at = skipSpace(bytes, keyEnd)
    if (bytes[at] !== 58) return null
    const valueStart = skipSpace(bytes, at + 1)
    const value = endOfValue(bytes, valueStart, depthMax)
    if (value.end === -1) return value.depth > depthMax ? { open, members, depth: value.depth } : null
    deepest = Math.max(deepest, value.depth)
    members.push({ key: readKey(bytes, keyStart, keyEnd), keyStart, valueStart, valueEnd: value.end })
    at = skipSpace(bytes, value.end)
    if (bytes[at] !== 44) break
    at = skipSpace(bytes, at + 1)
  }
  return { open, members, depth: deepest }
}

/** RFC 8259 lets a reader ignore a byte order mark and forbids a writer to send one. */
function markLength(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from
  while (bytes[at] === 32 || bytes[at] === 10 || bytes[at] === 13 || bytes[at] === 9) at++
  return at
}

const NEAR_BYTES = 24

/** Index behind the closing quote of the string that opens at `at`; -1 when it does not close. */
function endOfString(bytes: Uint8Array, at: number): number {
  // Most strings are names and words: their end is found sooner than a call of the search returns.
  const near = Math.min(at + NEAR_BYTES, bytes.length)
  let quote = at + 1
  while (quote < near && bytes[quote] !== QUOTE) quote++
  if (quote === near) quote = bytes.indexOf(QUOTE, near)
  while (quote !== -1) {
    let slashes = 0
    while (bytes[quote - 1 - slashes] === BACKSLASH) slashes++
    if (slashes % 2 === 0) return quote + 1
    quote = bytes.indexOf(QUOTE, quote + 1)
  }
  return -1
}

const VALUE = { end: -1, depth: 1 }

/** End of the value at `from` and the depth it reaches (the object around it counts 1). One result object, reused. */
function endOfValue(bytes: Uint8Array, from: number, depthMax: number): { end: number; depth: number } {
  VALUE.depth = 1
  VALUE.end = -1
  let depth = 1
  let at = from
  while (at < bytes.length) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      at = endOfString(bytes, at)
      if (at === -1) return VALUE
      if (depth === 1) break
      continue
    }
    if (byte === 123 || byte === 91) {
      depth++
      if (depth > VALUE.depth) VALUE.depth = depth
      if (depth > depthMax) return VALUE
    } else if (byte === 125 || byte === 93) {
      if (depth === 1) break
      depth--
      if (depth === 1) {
        at++
        break
      }
    } else if (depth === 1 && (byte === 44 || byte === 32 || byte === 10 || byte === 13 || byte === 9)) break
    at++
  }
  if (at > from) VALUE.end = at
  return VALUE
}

function readKey(bytes: Uint8Array, start: number, end: number): string {
  for (let at = start + 1; at < end - 1; at++) {
    const byte = bytes[at] ?? 0
    if (byte !== BACKSLASH && byte <= 127) continue
    try {
      return JSON.parse(decodeUtf8(bytes.subarray(start, end))) as string
    } catch {
      return asciiText(bytes, start + 1, at)
    }
  }
  return asciiText(bytes, start + 1, end - 1)
}

/** Changes to top-level members: a JSON text to set, or null to remove. */
export type MemberEdits = ReadonlyMap<string, string | null>

/**
 * Applies edits to the bytes of an object. A key that occurs several times is set at each occurrence, because
 * parsers differ in which one they believe. Absent keys are added at the front. What stands before the object is
 * left out. The input is not changed.
 */
export function spliceMembers(bytes: Uint8Array, scan: MemberScan, edits: MemberEdits): Uint8Array {
  const parts: Uint8Array[] = []
  const kept: { readonly member: Member; readonly text: string | null }[] = []
  let removed = 0
  for (const member of scan.members) {
    const edit = edits.get(member.key)
    if (edit === null) removed++
    if (edit !== undefined) kept.push({ member, text: edit })
  }
  let added = ''
  for (const [key, text] of edits) {
    if (text !== null && !kept.some(({ member }) => member.key === key))
      added += `${JSON.stringify(key)}:${text},`
  }
  if (removed > 0) return rebuildMembers(bytes, scan, edits, added)
  if (scan.members.length === 0) added = added.slice(0, -1)
  let from = scan.open
  if (added !== '') {
    parts.push(bytes.subarray(scan.open, scan.open + 1), encodeUtf8(added))
    from = scan.open + 1
  }
  for (const { member, text } of kept) {
    parts.push(bytes.subarray(from, member.valueStart), encodeUtf8(text ?? 'null'))
    from = member.valueEnd
  }
  parts.push(bytes.subarray(from))
  return concatBytes(parts)
}

/** With removals the commas move too: members are joined anew, each kept one as its own bytes. */
function rebuildMembers(bytes: Uint8Array, scan: MemberScan, edits: MemberEdits, added: string): Uint8Array {
  const parts: Uint8Array[] = [OPEN]
  if (added !== '') parts.push(encodeUtf8(added))
  for (const member of scan.members) {
    const edit = edits.get(member.key)
    if (edit === null) continue
    if (edit === undefined) parts.push(bytes.subarray(member.keyStart, member.valueEnd), COMMA)
    else parts.push(bytes.subarray(member.keyStart, member.valueStart), encodeUtf8(edit), COMMA)
  }
  const last = parts.pop()
  if (last === OPEN) parts.push(OPEN)
  else if (last !== undefined && last !== COMMA) parts.push(last.subarray(0, last.length - 1))
  parts.push(CLOSE)
  return concatBytes(parts)
}

const OPEN = encodeUtf8('{')
const COMMA = encodeUtf8(',')
const CLOSE = encodeUtf8('}')
