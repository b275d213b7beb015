// Addresses and ranges of them (CIDR), IPv4 and IPv6. An IPv4 address inside IPv6 (`::ffff:10.0.0.1`), as dual-stack
// sockets name their peers, is that IPv4 address.

export interface IpAddress {
  /** 32 or 128. */
  readonly bits: number
  readonly value: bigint
}

export interface IpRange extends IpAddress {
  /** As many of the leading bits count. */
  readonly prefix: number
}

const V4_BITS = 32
const V6_BITS = 128
const GROUP_BITS = 16n
const GROUPS = 8
const MAPPED = 0xffffn

/** null: no address. Zones (`%eth0`) and ports are none of it. */
export function parseAddress(text: string): IpAddress | null {
  if (text.includes(':')) {
    const value = parseV6(text)
    if (value === null) return null
    return value >> 32n === MAPPED ? { bits: V4_BITS, value: value & 0xffff_ffffn } : { bits: V6_BITS, value }
  }
  const value = parseV4(text)
  return value === null ? null : { bits: V4_BITS, value }
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. null: no range, or one with bits set behind its prefix. */
export function parseRange(text: string): IpRange | null {
  const [address = '', length, more] = text.split('/')
  const parsed = parseAddress(address)
  if (parsed === null || more !== undefined) return null
  if (length === undefined) return { ...parsed, prefix: parsed.bits }
  if (!/^(0|[1-9]\d{0,2})$/.test(length)) return null
  // `::ffff:10.0.0.0/104` counts its bits in IPv6.
  const prefix = Number(length) - (address.includes(':') ? V6_BITS - parsed.bits : 0)
  if (prefix < 0 || prefix > parsed.bits) return null
  const behind = BigInt(parsed.bits - prefix)
  return (parsed.value >> behind) << behind === parsed.value ? { ...parsed, prefix } : null
}

export function rangeHolds(range: IpRange, address: IpAddress): boolean {
  const behind = BigInt(range.bits - range.prefix)
  return range.bits === address.bits && range.value >> behind === address.value >> behind
}

function parseV4(text: string): bigint | null {
  const parts = text.split('.')
  // A leading zero means octal to some and decimal to others.
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return null
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n)
}

function parseV6(text: string): bigint | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const [head = '', tail] = halves
  const before = groupsOf(head, tail === undefined)
  const after = tail === undefined ? [] : groupsOf(tail, true)
  if (before === null || after === null) return null
  const missing = GROUPS - before.length - after.length
  if (tail === undefined ? missing !== 0 : missing < 1) return null
  return [...before, ...new Array<bigint>(missing).fill(0n), ...after].reduce(
    (value, group) => (value << GROUP_BITS) | group,
    0n,
  )
}

function groupsOf(text: string, isEnd: boolean): bigint[] | null {
  if (text === '') return []
  const parts = text.split(':')
  const groups: bigint[] = []
  for (const [index, part] of parts.entries()) {
    if (/^[\da-f]{1,4}$/i.test(part)) groups.push(BigInt(`0x${part}`))
    else {
      const v4 = isEnd && index === parts.length - 1 ? parseV4(part) : null
      if (v4 === null) return null
      groups.push(v4 >> GROUP_BITS, v4 & 0xffffn)
    }
  }
  return groups
}
