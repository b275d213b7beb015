// Searches in bytes. Buffer's native search is used where the runtime has it (Node, Bun, Deno, Workers with
// nodejs_compat): an order of magnitude faster than a loop, and this runs for every event of every stream.

const native: ((this: Uint8Array, value: string, from: number, encoding: string) => number) | undefined = (
  globalThis as { Buffer?: { prototype: { indexOf: never } } }
).Buffer?.prototype.indexOf

/** Index of an ASCII text at or after `from`, -1 when absent. */
export function indexOfAscii(bytes: Uint8Array, text: string, from: number): number {
  return native === undefined ? scanForAscii(bytes, text, from) : native.call(bytes, text, from, 'latin1')
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

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const only = parts[0]
  if (only !== undefined && parts.length === 1) return only
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
  return encoder.encode(text)
}

/** Broken sequences become U+FFFD; only for whole texts, never for a piece of one. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes)
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
