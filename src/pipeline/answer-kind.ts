// What the first bytes of an answer say it is. Upstreams, and gateways before them, get the content type wrong: a stream
// as JSON, a stream that nobody asked for, a whole answer to a request for a stream.

const FIELDS = ['data:', 'event:', 'id:', 'retry:', ':']
const FIELD_BYTES_MAX = 6

/** Space, line ends, and the bytes of a byte order mark. */
const BLANK = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf])

/** null: nothing but blanks, which both may begin with, or neither of the two. */
export function answerKind(bytes: Uint8Array): 'events' | 'answer' | null {
  let start = 0
  while (start < bytes.length && BLANK.has(bytes[start] ?? 0)) start++
  if (start === bytes.length) return null
  const text = String.fromCharCode(...bytes.subarray(start, start + FIELD_BYTES_MAX))
  if (text.startsWith('{')) return 'answer'
  // A read may end within the first word.
  return FIELDS.some((field) => text.startsWith(field) || field.startsWith(text)) ? 'events' : null
}
