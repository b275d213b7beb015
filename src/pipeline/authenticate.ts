// The key of a request → its settings, from memory.

import { GatewayError } from '#core/errors.ts'
import type { KeySettings } from '#core/settings.ts'
import type { Deps } from './context.ts'
import type { Live } from './live.ts'

/** As nearly all clients write it. */
const PREFIX = 'Bearer '

/** @throws GatewayError `invalid_api_key` */
export function authenticate(deps: Deps, live: Live, authorization: string | null): KeySettings {
  if (authorization === null || authorization === '') {
    throw new GatewayError('invalid_api_key', 'no API key: send `Authorization: Bearer sk-…`')
  }
  const plain = authorization.startsWith(PREFIX) ? authorization.slice(PREFIX.length) : ''
  const isPlain = plain !== '' && !/\s/.test(plain)
  const secret = isPlain ? plain : /^bearer\s+(\S+)\s*$/i.exec(authorization)?.[1]
  if (secret === undefined) {
    throw new GatewayError('invalid_api_key', 'the authorization header must read `Bearer sk-…`')
  }
  const key = live.keyByDigest.get(deps.digest(secret))
  if (key === undefined) throw new GatewayError('invalid_api_key', 'the API key is not known here')
  return key
}
