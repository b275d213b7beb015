// Qianfan's two kinds of secret: a permanent `bce-v3/ALTAK-…/…` string (V2), and an `API_KEY:SECRET_KEY` pair that
// is exchanged for a token of 30 days (V1). Neither works in the other's place.

import type { CredentialExchange } from '#core/provider.ts'

/** Where V1 lives unless the configuration says otherwise. */
export const V1_ORIGIN = 'https://aip.baidubce.com'

const TOKEN_PATH = '/oauth/2.0/token'

export function isPair(secret: string): boolean {
  return secret.includes(':') && !secret.startsWith('bce-v3/')
}

export const credential: CredentialExchange = {
  kind: 'exchange',
  request(secret, baseUrl) {
    if (!isPair(secret)) return null
    const colon = secret.indexOf(':')
    const query = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: secret.slice(0, colon),
      client_secret: secret.slice(colon + 1),
    })
    return {
      method: 'POST',
      url: `${originOf(baseUrl)}${TOKEN_PATH}?${query.toString()}`,
      headers: { accept: 'application/json' },
    }
  },
  read(status, body) {
    let answer: unknown
    try {
      answer = JSON.parse(body) as unknown
    } catch {
      return { error: `the token answer is not JSON (status ${status})` }
    }
    const fields = (typeof answer === 'object' && answer !== null ? answer : {}) as Readonly<
      Record<string, unknown>
    >
    const token = fields['access_token']
    if (typeof token !== 'string' || token === '') {
      const words = [fields['error'], fields['error_description']].filter((word) => typeof word === 'string')
      return { error: words.length === 0 ? `no token in the answer (status ${status})` : words.join(': ') }
    }
    const lifetime = fields['expires_in']
    return { token, expiresInSeconds: typeof lifetime === 'number' && lifetime > 0 ? lifetime : 2_592_000 }
  },
  place: { query: 'access_token' },
}

/** The host of V2 serves no tokens of V1. */
function originOf(baseUrl: string): string {
  const url = new URL(baseUrl)
  return url.hostname === 'qianfan.baidubce.com' ? V1_ORIGIN : url.origin
}
