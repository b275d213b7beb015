// Zhipu's key is `ID.SECRET`. Its secret half signs a short-lived token and never leaves this process; a key of
// another form (a relay's) goes as it is.

import type { Credential, HmacSha256 } from '#core/provider.ts'
import { encodeUtf8 } from '#wire/bytes.ts'

/** As in the vendor's own snippets; long enough to bear with a clock that is some minutes off. */
const LIFETIME_MS = 3_600_000

const HEADER = base64Url(encodeUtf8(JSON.stringify({ alg: 'HS256', sign_type: 'SIGN' })))

export const credential: Credential = { kind: 'jwt', sign }

function sign(
  secret: string,
  nowMs: number,
  hmacSha256: HmacSha256,
): { readonly token: string; readonly expiresAtMs: number } | null {
  const [id, key, ...rest] = secret.split('.')
  if (id === undefined || id === '' || key === undefined || key === '' || rest.length > 0) return null
  const expiresAtMs = nowMs + LIFETIME_MS
  // Milliseconds in both, against the JWT standard (one-api@8df4a26 relay/adaptor/zhipu/main.go).
  const claims = { api_key: id, exp: expiresAtMs, timestamp: nowMs }
  const signed = `${HEADER}.${base64Url(encodeUtf8(JSON.stringify(claims)))}`
  return { token: `${signed}.${base64Url(hmacSha256(key, signed))}`, expiresAtMs }
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
