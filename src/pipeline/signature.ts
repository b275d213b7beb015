// The signature of an attempt, waited for within the attempt's deadlines, and the request that it signs.

import type { UpstreamRequest } from '#core/ports.ts'
import type { PolicySettings } from '#core/settings.ts'
import type { Deps, Exchange } from './context.ts'
import { CredentialError, type Signature } from './credentials.ts'
import type { TargetFacts } from './live.ts'
import type { UpstreamText } from './translate.ts'

/**
 * The fetch behind the signature is shared, has a deadline of its own, and goes on for those that come later. null: the
 * client has gone. @throws CredentialError
 */
export async function awaitSignature(
  deps: Deps,
  exchange: Exchange,
  signed: Promise<Signature>,
  timeouts: PolicySettings['timeouts'],
): Promise<Signature | null> {
  const { promise, resolve, reject } = Promise.withResolvers<Signature | null>()
  const timer = deps.clock.after(Math.min(timeouts.connectMs, timeouts.totalMs), () =>
    reject(new CredentialError('the token endpoint did not answer in time', 0)),
  )
  const leave = (): void => resolve(null)
  exchange.leavers.add(leave)
  signed.then(resolve, reject)
  try {
    return await promise
  } finally {
    timer.cancel()
    exchange.leavers.delete(leave)
  }
}

export function signedRequest(text: UpstreamText, signature: Signature, facts: TargetFacts): UpstreamRequest {
  return {
    method: 'POST',
    url: withQuery(text.url, signature.query),
    headers: headersOf(text, signature, facts),
    body: text.body,
    allowPrivate: facts.settings.allowPrivate,
  }
}

/** The last headers of a target; they change with its token, or where a dialect has headers of its own. */
const lastHeaders = new WeakMap<TargetFacts, LastHeaders[]>()

interface LastHeaders {
  readonly signature: Signature
  readonly own: UpstreamText['headers']
  readonly headers: UpstreamRequest['headers']
}

function headersOf(text: UpstreamText, signature: Signature, facts: TargetFacts): UpstreamRequest['headers'] {
  const at = text.streaming ? 1 : 0
  const known = lastHeaders.get(facts) ?? []
  const last = known[at]
  if (last !== undefined && last.signature === signature && last.own === text.headers) return last.headers
  const headers = {
    'content-type': 'application/json',
    accept: text.streaming ? 'text/event-stream' : 'application/json',
    'user-agent': 'sluice',
    ...text.headers,
    ...signature.headers,
  }
  known[at] = { signature, own: text.headers, headers }
  lastHeaders.set(facts, known)
  return headers
}

function withQuery(url: URL, query: Signature['query']): URL {
  let signed = url
  for (const name in query) {
    // Addresses are made once and shared.
    if (signed === url) signed = new URL(url)
    signed.searchParams.set(name, query[name] ?? '')
  }
  return signed
}
