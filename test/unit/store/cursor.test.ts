import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeCursor, encodeCursor, positionId, positionOf, positionTimeMs } from '#store/cursor.ts'

const instant = fc.integer({ min: 0, max: 4_000_000_000_000 })

describe('a position in the listing', () => {
  test('sorts as text like its time, then its id', () => {
    fc.assert(
      fc.property(instant, instant, (a, b) => {
        expect(positionOf(a, 'x') < positionOf(b, 'x')).toBe(a < b)
      }),
      { seed: 141 },
    )
    expect(positionOf(5, 'a') < positionOf(5, 'b')).toBe(true)
  })

  test('survives the way to the client and back, in a URL as it is', () => {
    fc.assert(
      fc.property(instant, fc.string({ unit: 'grapheme', minLength: 1 }), (timeMs, id) => {
        const cursor = encodeCursor(positionOf(timeMs, id))
        const position = decodeCursor(
          new URLSearchParams(`cursor=${encodeURIComponent(cursor)}`).get('cursor') ?? '',
        )
        expect([positionTimeMs(position), positionId(position)]).toEqual([timeMs, id])
      }),
      { seed: 142 },
    )
  })
})

describe('a cursor that is none of ours', () => {
  test.each([
    '',
    'x',
    '====',
    btoa('hello'),
    btoa('%'),
    btoa('123:x'),
    btoa('000000000000005'),
    btoa('000000000000005:'),
  ])('%j is refused', (cursor) => expect(() => decodeCursor(cursor)).toThrow(RangeError))

  test('is refused with nothing but a RangeError, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (cursor) => {
        try {
          decodeCursor(cursor)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
      { seed: 143, numRuns: 50 },
    )
  })
})
