// Hosts that are plainly loopback or private by their name alone. A name that resolves to such an address is
// found at the socket (runtime/), not here.

/** `host` as a WHATWG URL has it: lower case, IPv4 as four numbers, IPv6 in brackets. */
export function isPrivateHost(host: string): boolean {
  const name = host.replace(/\.$/, '')
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  if (name.startsWith('[')) return isPrivateIpv6(name.slice(1, -1))
  const parts = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(name)
  return parts !== null && isIn(parts.slice(1).map(Number), 8, PRIVATE_IPV4)
}

/** Everything that is not public unicast, as numbers and the bits that count. */
const PRIVATE_IPV4: readonly (readonly [readonly number[], number])[] = [
  [[0, 0, 0, 0], 8],
  [[10, 0, 0, 0], 8],
  [[100, 64, 0, 0], 10],
  [[127, 0, 0, 0], 8],
  [[169, 254, 0, 0], 16],
  [[172, 16, 0, 0], 12],
  [[192, 0, 0, 0], 24],
  [[192, 0, 2, 0], 24],
  [[192, 88, 99, 0], 24],
  [[192, 168, 0, 0], 16],
  [[198, 18, 0, 0], 15],
  [[198, 51, 100, 0], 24],
  [[203, 0, 113, 0], 24],
  [[224, 0, 0, 0], 4],
  [[240, 0, 0, 0], 4],
]

/** `::ffff:` and `64:ff9b:` embed IPv4 addresses; no provider is reached by them. */
const PRIVATE_IPV6: readonly (readonly [readonly number[], number])[] = [
  [[0, 0, 0, 0, 0, 0, 0, 0], 96],
  [[0, 0, 0, 0, 0, 0xffff, 0, 0], 96],
  [[0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96],
  [[0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48],
  [[0x100, 0, 0, 0, 0, 0, 0, 0], 64],
  [[0x2001, 0, 0, 0, 0, 0, 0, 0], 32],
  [[0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32],
  [[0x2002, 0, 0, 0, 0, 0, 0, 0], 16],
  [[0xfc00, 0, 0, 0, 0, 0, 0, 0], 7],
  [[0xfe80, 0, 0, 0, 0, 0, 0, 0], 10],
  [[0xfec0, 0, 0, 0, 0, 0, 0, 0], 10],
  [[0xff00, 0, 0, 0, 0, 0, 0, 0], 8],
]

function isPrivateIpv6(address: string): boolean {
  const [head = '', tail] = address.split('::')
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const zeros = new Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0)
  return isIn([...before, ...zeros, ...after], 16, PRIVATE_IPV6)
}

function groupsOf(text: string): readonly number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}

function isIn(
  parts: readonly number[],
  partBits: number,
  networks: readonly (readonly [readonly number[], number])[],
): boolean {
  return networks.some(([network, prefix]) =>
    network.every((part, index) => {
      const bits = Math.min(partBits, Math.max(0, prefix - index * partBits))
      const shift = partBits - bits
      return part >> shift === (parts[index] ?? 0) >> shift
    }),
  )
}
