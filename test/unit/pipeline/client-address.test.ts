import { expect, test } from 'vitest'
import { type IpRange, parseAddress, parseRange } from '#core/ip-ranges.ts'
import { clientAddress } from '#pipeline/client-address.ts'

const PROXIES = ['10.0.0.0/8', '::1'].map((text) => parseRange(text) as IpRange)

test.each<[string | null, string | null, string | null]>([
  // Without a trusted peer the header is what anybody wrote.
  ['192.0.2.1', null, '192.0.2.1'],
  ['192.0.2.1', '198.51.100.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '198.51.100.1', '192.0.2.1'],
  // From the right, over trusted ones, to the first that is not.
  ['10.0.0.1', '198.51.100.1', '198.51.100.1'],
  ['10.0.0.1', '198.51.100.1, 192.0.2.9', '192.0.2.9'],
  ['10.0.0.1', '198.51.100.1, 10.0.0.2', '198.51.100.1'],
  ['::ffff:10.0.0.1', '198.51.100.1,::1', '198.51.100.1'],
  ['10.0.0.1', '2001:db8::7', '2001:db8::7'],
  ['10.0.0.1', '[2001:db8::7]:443', '2001:db8::7'],
  ['10.0.0.1', '198.51.100.1:1234', '198.51.100.1'],
  // All of them trusted: the first of the row.
  ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['10.0.0.1', null, '10.0.0.1'],
  ['10.0.0.1', '', '10.0.0.1'],
  // What is no address is nobody.
  ['10.0.0.1', 'unknown', null],
  ['10.0.0.1', '198.51.100.1, nonsense', null],
  [null, '198.51.100.1', null],
  ['fe80::1%eth0', null, 'fe80::1'],
])('a socket to %j with %j is %j', (address, forwardedFor, expected) => {
  expect(clientAddress({ address, forwardedFor }, PROXIES)).toEqual(
    expected === null ? null : parseAddress(expected),
  )
})
