// Where a request comes from. Headers are believed as far as their writers are: from the socket backwards, over
// proxies that the configuration trusts, to the first address that is none of them.

import { type IpAddress, type IpRange, parseAddress, rangeHolds } from '#core/ip-ranges.ts'

/** A request as its socket tells. */
export interface Peer {
  /** Of the other end of the socket; null: it is gone already. */
  readonly address: string | null
  /** The header `x-forwarded-for`, several joined by commas. */
  readonly forwardedFor: string | null
}

/** More proxies than this in a row are none: the header is the client's to write. */
const HOPS_MAX = 32

/** null: it cannot be told. */
export function clientAddress(peer: Peer, trusted: readonly IpRange[]): IpAddress | null {
  let address = peer.address === null ? null : parseAddress(withoutZone(peer.address))
  const hops = peer.forwardedFor === null ? [] : peer.forwardedFor.split(',').slice(-HOPS_MAX)
  while (address !== null && isWithin(address, trusted)) {
    const hop = hops.pop()?.trim()
    if (hop === undefined || hop === '') return address
    address = parseAddress(withoutPort(hop))
  }
  return address
}

export function isWithin(address: IpAddress, ranges: readonly IpRange[]): boolean {
  return ranges.some((range) => rangeHolds(range, address))
}

function withoutZone(text: string): string {
  const zone = text.indexOf('%')
  return zone === -1 ? text : text.slice(0, zone)
}

/** `10.0.0.1:4711` and `[::1]:4711`, as some proxies write. */
function withoutPort(text: string): string {
  return /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
}
