import fc from 'fast-check'
import { expect, test } from 'vitest'
import { concatBytes, indexOfAscii, scanForAscii } from '#wire/bytes.ts'

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

test('joined bytes are the parts in order', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 5 }), (parts) => {
      expect([...concatBytes(parts)]).toEqual(parts.flatMap((part) => [...part]))
    }),
    { seed: 62 },
  )
})
