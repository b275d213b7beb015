// The secrets that we make: a prefix that scanners of repositories find, chance, and a checksum, so that one that was
// mistyped or cut is known to be wrong without asking anybody.

export const SECRET_PREFIX = 'sk-sluice-'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** 190 bits. */
const BODY_CHARS = 32
/** 62^6 > 2^32. */
const CHECKSUM_CHARS = 6
/** Of the body, to tell keys apart by sight; what is left still has 166 bits. */
const HINT_CHARS = 4

const SHAPE = new RegExp(`^${SECRET_PREFIX}[0-9A-Za-z]{${BODY_CHARS + CHECKSUM_CHARS}}$`)

/** `bytes` gives that many random ones. */
export function makeSecret(bytes: (count: number) => Uint8Array): string {
  const body = randomText(BODY_CHARS, bytes)
  return `${SECRET_PREFIX}${body}${checksumOf(SECRET_PREFIX + body)}`
}

/** Base 62, every character as likely as any other. */
export function randomText(chars: number, bytes: (count: number) => Uint8Array): string {
  // The largest multiple of 62 that a byte holds: what lies above would favour the first characters.
  const end = 256 - (256 % ALPHABET.length)
  let text = ''
  while (text.length < chars) {
    for (const byte of bytes(2 * chars)) {
      if (byte < end && text.length < chars) text += ALPHABET[byte % ALPHABET.length]
    }
  }
  return text
}

/** What may be shown of a secret. */
export function hintOf(secret: string): string {
  return `${secret.slice(0, SECRET_PREFIX.length + HINT_CHARS)}…`
}

/** True: it has the form of ours or began as one, and cannot be one. */
export function isMistyped(secret: string): boolean {
  if (!secret.startsWith(SECRET_PREFIX)) return false
  if (!SHAPE.test(secret)) return true
  const end = secret.length - CHECKSUM_CHARS
  return checksumOf(secret.slice(0, end)) !== secret.slice(end)
}

function checksumOf(text: string): string {
  let rest = crc32(text)
  let sum = ''
  for (let index = 0; index < CHECKSUM_CHARS; index++) {
    sum = ALPHABET[rest % ALPHABET.length] + sum
    rest = Math.floor(rest / ALPHABET.length)
  }
  return sum
}

/** Of ASCII; bit by bit, since it is asked for once a key. */
function crc32(text: string): number {
  let crc = 0xffff_ffff
  for (let index = 0; index < text.length; index++) {
    crc ^= text.charCodeAt(index) & 0xff
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0)
  }
  return (crc ^ 0xffff_ffff) >>> 0
}
