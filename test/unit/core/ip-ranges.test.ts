import { isIPv4, isIPv6 } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseAddress, parseRange, rangeHolds } from '#core/ip-ranges.ts'

test.each([
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['10.0.0.1', '10.0.0.1', true],
  ['10.0.0.1', '10.0.0.2', false],
  ['0.0.0.0/0', '203.0.113.9', true],
  ['0.0.0.0/0', '2001:db8::1', false],
  ['2001:db8::/32', '2001:db8:ffff::1', true],
  ['2001:db8::/32', '2001:db9::1', false],
  ['::/0', '2001:db8::1', true],
  ['::1', '::1', true],
  ['10.0.0.0/8', '::ffff:10.1.2.3', true],
  ['::ffff:10.0.0.0/104', '10.1.2.3', true],
  ['192.168.0.0/31', '192.168.0.1', true],
  ['192.168.0.0/31', '192.168.0.2', false],
])('%s holds %s: %s', (range, address, holds) => {
  const [parsedRange, parsedAddress] = [parseRange(range), parseAddress(address)]
  if (parsedRange === null || parsedAddress === null) throw new Error('not parsed')
  expect(rangeHolds(parsedRange, parsedAddress)).toBe(holds)
})

test.each([
  '',
  '10.0.0.0/33',
  '10.0.0.0/-1',
  '10.0.0.0/08',
  '10.0.0.1/8',
  '10.0.0/8',
  '10.0.0.0/8/8',
  '256.0.0.1',
  '010.0.0.1',
  '10.0.0.0/',
  '/8',
  '::/129',
  '2001:db8::1/32',
  '1::2::3',
  ':::',
  '12345::',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8:9',
  '::ffff:10.0.0.0/90',
  'fe80::1%eth0',
  'localhost',
])('%j is no range', (text) => expect(parseRange(text)).toBeNull())

test('an address is one exactly where Node takes it for one', () => {
  const v4 = fc.ipV4()
  const v6 = fc.ipV6()
  const odd = fc.stringMatching(/^[0-9a-f:.]{0,20}$/)
  fc.assert(
    fc.property(fc.oneof(v4, v6, odd), (text) => {
      expect(parseAddress(text) !== null).toBe(isIPv4(text) || isIPv6(text))
    }),
    { numRuns: 2_000 },
  )
})
