// The key of a request → its settings, from memory.

import { GatewayError } from '#core/errors.ts'
import { isMistyped } from '#core/key-secret.ts'
import type { KeySettings } from '#core/settings.ts'
import { clientAddress, isWithin, type Peer } from './client-address.ts'
import type { Deps } from './context.ts'
import { unchecked } from './key-ring.ts'
import type { Live } from './live.ts'

/** As nearly all clients write it. */
const PREFIX = 'Bearer '

/** Who asks: the `authorization` header, or null, and where the request comes from. */
export interface Asker {
  readonly authorization: string | null
  readonly peer: () => Peer
}

/** @throws GatewayError `invalid_api_key`, `forbidden`, `store_unavailable` */
export function authenticate(deps: Deps, live: Live, asker: Asker, nowMs: number): KeySettings {
  const secret = readSecret(asker.authorization)
  const digest = deps.digestKey(secret)
  const key = live.keyByDigest.get(digest) ?? deps.keys.find(digest, live.settings, nowMs)
  if (key === undefined) throw unknown(deps, secret)
  if (key.expiresAtMs !== null && nowMs >= key.expiresAtMs) {
    const at = new Date(key.expiresAtMs).toISOString()
    throw new GatewayError('invalid_api_key', `the API key expired at ${at}`)
  }
  if (key.ipRanges.length > 0) checkAddress(live, key, asker.peer())
  return key
}

function readSecret(authorization: string | null): string {
  if (authorization === null || authorization === '') {
    throw new GatewayError('invalid_api_key', 'no API key: send `Authorization: Bearer sk-…`')
  }
  const plain = authorization.startsWith(PREFIX) ? authorization.slice(PREFIX.length) : ''
  const isPlain = plain !== '' && !/\s/.test(plain)
  const secret = isPlain ? plain : /^bearer\s+(\S+)\s*$/i.exec(authorization)?.[1]
  if (secret === undefined) {
    throw new GatewayError('invalid_api_key', 'the authorization header must read `Bearer sk-…`')
  }
  return secret
}

/** All keys are in memory, so a secret that is not there is none, unless the store could not be read. */
function unknown(deps: Deps, secret: string): GatewayError {
  if (isMistyped(secret)) {
    return new GatewayError('invalid_api_key', 'the API key is not known here: it was mistyped or cut')
  }
  if (!deps.keys.isFresh) return unchecked()
  return new GatewayError('invalid_api_key', 'the API key is not known here')
}

function checkAddress(live: Live, key: KeySettings, peer: Peer): void {
  const address = clientAddress(peer, live.settings.server.trustedProxies)
  if (address !== null && key.ipRanges.every((ranges) => isWithin(address, ranges))) return
  throw new GatewayError('forbidden', `key "${key.name}" may not be used from this address`)
}
