import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { expect, test } from 'vitest'
import { hintOf, isMistyped, makeSecret, randomText, SECRET_PREFIX } from '#core/key-secret.ts'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

test('a secret has a prefix, 190 bits of chance in base 62, and a checksum', () => {
  const secret = makeSecret(randomBytes)
  expect(secret).toMatch(/^sk-sluice-[0-9A-Za-z]{38}$/)
  let sum = crc32(secret.slice(0, -6))
  let text = ''
  for (let index = 0; index < 6; index++) {
    text = ALPHABET[sum % 62] + text
    sum = Math.floor(sum / 62)
  }
  expect(secret.slice(-6)).toBe(text)
  expect(isMistyped(secret)).toBe(false)
})

test('a thousand secrets are a thousand', () => {
  expect(new Set(Array.from({ length: 1_000 }, () => makeSecret(randomBytes))).size).toBe(1_000)
})

test('every single character that is another one, missing or twice is found', () => {
  const secret = makeSecret(randomBytes)
  for (let at = SECRET_PREFIX.length; at < secret.length; at++) {
    for (const char of ALPHABET) {
      const changed = secret.slice(0, at) + char + secret.slice(at + 1)
      expect(isMistyped(changed)).toBe(changed !== secret)
    }
    expect(isMistyped(secret.slice(0, at) + secret.slice(at + 1))).toBe(true)
    expect(isMistyped(secret.slice(0, at) + secret.slice(at - 1))).toBe(true)
    expect(isMistyped(secret.slice(0, at))).toBe(true)
  }
})

test('keys that people chose are not ours to judge', () => {
  for (const key of ['sk-test-0123456789', 'anything at all', '']) expect(isMistyped(key)).toBe(false)
})

test('no character is likelier than another', () => {
  // Bytes from 248 on would wrap around to the first eight characters.
  expect(randomText(4, () => Uint8Array.of(255, 248, 247, 0, 61, 62))).toBe('z0z0')
})

test('a hint tells four characters of thirty-two', () => {
  const secret = makeSecret(randomBytes)
  expect(hintOf(secret)).toBe(`${secret.slice(0, 14)}…`)
})
