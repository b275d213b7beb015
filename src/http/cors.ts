// What lets SDKs in a browser in.

import type { Context } from 'hono'

/** For SDKs in a browser (`dangerouslyAllowBrowser`): any origin, since the key is the credential. */
export const CORS_HEADERS: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': [
    'x-request-id, x-sluice-target, x-sluice-policy, x-sluice-attempts, x-sluice-cost, x-sluice-dropped',
    'x-sluice-max-tokens',
    'x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests',
    'x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens',
    'retry-after, x-should-retry',
  ].join(', '),
}

/** Headers that the official SDKs send are taken from the question itself: the `x-stainless-…` family grows. */
export function preflight(context: Context): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...CORS_HEADERS,
      'access-control-allow-methods': 'GET, POST, OPTIONS',
      'access-control-allow-headers':
        context.req.header('access-control-request-headers') ?? 'authorization, content-type',
      'access-control-max-age': '86400',
    },
  })
}
