// Searches, comparisons and copies of bytes. Buffer's native ones are used where the runtime has them (Node,
// Bun, Deno, Workers with nodejs_compat): several times faster than a loop, and they run for every event of
// every stream.

interface NativeBytes {
  concat(parts: readonly Uint8Array[]): Uint8Array
  from(text: string, encoding: string): Uint8Array
  readonly prototype: {
    indexOf(this: Uint8Array, value: string, from: number, encoding: string): number
    compare(
      this: Uint8Array,
      target: Uint8Array,
      targetFrom: number,
      targetTo: number,
      from: number,
      to: number,
    ): number
    latin1Slice?(this: Uint8Array, from: number, to: number): string
  }
}

const buffer = (globalThis as { Buffer?: NativeBytes }).Buffer
const nativeIndexOf = buffer?.prototype.indexOf
const nativeCompare = buffer?.prototype.compare
const nativeSlice = buffer?.prototype.latin1Slice

/** Index of an ASCII text at or after `from`, -1 when absent. */
export function indexOfAscii(bytes: Uint8Array, text: string, from: number): number {
  return nativeIndexOf === undefined
    ? scanForAscii(bytes, text, from)
    : nativeIndexOf.call(bytes, text, from, 'latin1')
}

/** The portable search; exported for its test. */
export function scanForAscii(bytes: Uint8Array, text: string, from: number): number {
  const first = text.charCodeAt(0)
  let at = bytes.indexOf(first, from)
  while (at !== -1 && at + text.length <= bytes.length) {
    let matched = 1
    while (matched < text.length && bytes[at + matched] === text.charCodeAt(matched)) matched++
    if (matched === text.length) return at
    at = bytes.indexOf(first, at + 1)
  }
  return -1
}

/** Below this a loop is faster than the call. */
const NATIVE_COMPARE_BYTES_MIN = 48

/** Do these bytes stand at `at`? */
export function hasBytesAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  const { length } = wanted
  if (at + length > bytes.length) return false
  if (nativeCompare !== undefined && length >= NATIVE_COMPARE_BYTES_MIN)
    return nativeCompare.call(bytes, wanted, 0, length, at, at + length) === 0
  return compareBytes(bytes, at, wanted)
}

/** The portable comparison; exported for its test. */
export function compareBytes(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let index = 0; index < wanted.length; index++) {
    if (bytes[at + index] !== wanted[index]) return false
  }
  return true
}

/** One part is handed back as it is. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const only = parts[0]
  if (only !== undefined && parts.length === 1) return only
  // From a pool, and not zeroed first.
  return buffer === undefined ? joinBytes(parts) : buffer.concat(parts)
}

/** The portable copy; exported for its test. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeUtf8(text: string): Uint8Array {
  // From a pool where it is short: an array buffer of its own costs five times as much, and the collector more.
  return buffer === undefined ? encoder.encode(text) : buffer.from(text, 'utf8')
}

/** Broken sequences become U+FFFD; only for whole texts, never for a piece of one. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

/** The text of bytes that are ASCII. */
export function asciiText(bytes: Uint8Array, from: number, to: number): string {
  return nativeSlice === undefined ? decodeUtf8(bytes.subarray(from, to)) : nativeSlice.call(bytes, from, to)
}

/** Bytes that a text takes in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1
  }
  return bytes
}
