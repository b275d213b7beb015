// The key of a request → its settings, from memory.

import { GatewayError } from '#core/errors.ts'
import type { KeySettings } from '#core/settings.ts'
import type { Deps } from './context.ts'
import type { Live } from './live.ts'

/** @throws GatewayError `invalid_api_key` */
export function authenticate(deps: Deps, live: Live, authorization: string | null): KeySettings {
  if (authorization === null || authorization === '') {
    throw new GatewayError('invalid_api_key', 'no API key: send `Authorization: Bearer sk-…`')
  }
  const secret = /^bearer\s+(\S+)\s*$/i.exec(authorization)?.[1]
  if (secret === undefined) {
    throw new GatewayError('invalid_api_key', 'the authorization header must read `Bearer sk-…`')
  }
  const key = live.keyByDigest.get(deps.digest(secret))
  if (key === undefined) throw new GatewayError('invalid_api_key', 'the API key is not known here')
  return key
}
