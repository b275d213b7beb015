import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareBytes, concatBytes, hasBytesAt, indexOfAscii, joinBytes, scanForAscii } from '#wire/bytes.ts'

test('the portable search finds what the native one finds', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '"', '\u00e9') })
  const needle = fc.string({ unit: fc.constantFrom('a', 'b', '"'), minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(text, needle, fc.nat(10), (haystack, word, from) => {
      const bytes = new TextEncoder().encode(haystack)
      fc.pre(from <= bytes.length)
      expect(scanForAscii(bytes, word, from)).toBe(indexOfAscii(bytes, word, from))
      expect(indexOfAscii(bytes, word, from)).toBe(
        new TextDecoder('latin1').decode(bytes).indexOf(word, from),
      )
    }),
    { seed: 61, numRuns: 1000 },
  )
})

test.each([{ join: concatBytes }, { join: joinBytes }])('$join.name: the parts in order', ({ join }) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 5 }), (parts) => {
      expect([...join(parts)]).toEqual(parts.flatMap((part) => [...part]))
    }),
    { seed: 62 },
  )
})

test('bytes are compared alike by a loop and by the native comparison, long and short', () => {
  const long = fc.uint8Array({ minLength: 40, maxLength: 120, max: 3 })
  fc.assert(
    fc.property(long, fc.nat(130), fc.nat(130), fc.nat(130), (bytes, at, length, changed) => {
      fc.pre(at <= bytes.length)
      const wanted = bytes.slice(at, at + length)
      expect(hasBytesAt(bytes, at, wanted)).toBe(true)
      expect(compareBytes(bytes, at, wanted)).toBe(true)
      const other = wanted.map((byte, index) => (index === changed ? byte + 1 : byte))
      expect(hasBytesAt(bytes, at, other)).toBe(changed >= wanted.length)
      expect(compareBytes(bytes, at, other)).toBe(changed >= wanted.length)
    }),
    { seed: 63, numRuns: 1000 },
  )
})

test.each([3, 100])('what stands beyond the end is not there: %i bytes', (length) => {
  expect(hasBytesAt(new Uint8Array(length), 1, new Uint8Array(length))).toBe(false)
})
