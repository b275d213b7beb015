import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  convertNano,
  formatDecimal,
  formatNano,
  formatPico,
  type Micro,
  type Nano,
  type Pico,
  parseDecimal,
  parseMicro,
  roundToNano,
} from '#core/money.ts'

describe('decimals', () => {
  test.each([
    ['0', 6, 0n],
    ['0.8', 6, 800_000n],
    ['12', 6, 12_000_000n],
    ['0.000001', 6, 1n],
    ['0.8000000000', 6, 800_000n],
    ['-0.5', 1, -5n],
    ['007.10', 2, 710n],
  ])('reads "%s" to %i places', (text, places, expected) => {
    expect(parseDecimal(text, places)).toBe(expected)
  })

  test.each(['', '.5', '5.', '1e3', '0x10', '1,5', '+1', ' 1', '1 ', 'NaN', '１', '--1'])(
    'refuses "%s"',
    (text) => {
      expect(() => parseDecimal(text, 6)).toThrow(RangeError)
    },
  )

  test('refuses more places than fit instead of rounding', () => {
    expect(() => parseMicro('0.0000001')).toThrow('more than 6 decimal places')
  })

  test('reads back what it has written', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }), fc.nat(12), (value, places) => {
        expect(parseDecimal(formatDecimal(value, places), places)).toBe(value)
      }),
    )
  })

  test.each([
    [0n, '0'],
    [1n, '0.000000001'],
    [1_000_000_000n, '1'],
    [-1_500_000_000n, '-1.5'],
    [123_456_789_012n, '123.456789012'],
  ])('writes %i nano without trailing zeros', (value, expected) => {
    expect(formatNano(value as Nano)).toBe(expected)
  })

  test('writes pico to twelve places', () => {
    expect(formatPico(1n as Pico)).toBe('0.000000000001')
  })
})

describe('rounding', () => {
  test.each([
    [0n, 0n],
    [499n, 0n],
    [500n, 1n],
    [1499n, 1n],
    [1500n, 2n],
  ])('rounds %i pico half up', (pico, nano) => {
    expect(roundToNano(pico as Pico)).toBe(nano)
  })

  test.each([
    [1n, 499_999n, 0n],
    [1n, 500_000n, 1n],
    [56_760_000n, 7_100_000n, 402_996_000n],
  ])('converts %i nano at %i micro half up', (amount, rate, expected) => {
    expect(convertNano(amount as Nano, rate as Micro)).toBe(expected)
  })

  test('is never off by more than half a unit', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 18n }), (pico) => {
        const error = roundToNano(pico as Pico) * 1000n - pico
        expect(error > -500n && error <= 500n).toBe(true)
      }),
    )
  })
})
