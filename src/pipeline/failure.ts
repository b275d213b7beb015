// What a client may see of an upstream's failure: our words, the vendor's code, and the vendor's text only
// where the request itself was at fault; never a key, a host or a stack.

import { FAILURE_KINDS, GatewayError, type UpstreamFailure } from '#core/errors.ts'
import { UPSTREAM_MESSAGE_CHARS_MAX } from '#core/limits.ts'

const WORDS: Readonly<Record<UpstreamFailure['kind'], string>> = {
  moderation: "the provider's content filter refused the request",
  quota: "the gateway's account with the provider has no quota left",
  rate_limit: "the provider's rate limit is reached",
  overloaded: 'the provider is overloaded',
  context_length: "the request exceeds the model's context window",
  auth: "the provider refused the gateway's credential",
  model_unavailable: 'the provider does not serve the model of this target',
  invalid_request: 'the provider refused the request',
  server: 'the provider failed',
  connection: 'the provider could not be reached',
  timeout: 'the provider did not answer in time',
  protocol: 'the provider sent an answer that could not be understood',
  truncated: "the provider's answer ended before its end",
}

/** Kinds whose cause is the client's own request: there the vendor's words help. */
const TELLING: ReadonlySet<UpstreamFailure['kind']> = new Set([
  'invalid_request',
  'context_length',
  'moderation',
])

/** Kinds that last until the operator has set something right: the client need not come again. */
const LASTING: ReadonlySet<UpstreamFailure['kind']> = new Set(['quota', 'model_unavailable'])

export function toGatewayError(failure: UpstreamFailure): GatewayError {
  const code = FAILURE_KINDS[failure.kind]
  const vendor = failure.vendorCode === null ? '' : ` (${scrub(failure.vendorCode)})`
  const detail =
    TELLING.has(failure.kind) && failure.vendorMessage !== '' ? `: ${scrub(failure.vendorMessage)}` : ''
  return new GatewayError(code, `${WORDS[failure.kind]}${vendor}${detail}`, {
    retryAfterMs: failure.retryAfterMs,
    ...(LASTING.has(failure.kind) ? { shouldRetry: false } : {}),
  })
}

/** From the first frame on, a stack of JavaScript or Python tells only of the vendor's machines. */
const STACK = /\s+at\s[^\n]*?:\d+:\d+[\s\S]*|\s*Traceback \(most recent call last\)[\s\S]*/

const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:https?|wss?):\/\/[^\s"'<>）)]+/gi, '[url]'],
  [/\bbearer\s+\S+/gi, '[key]'],
  [/\b(?:sk|ak|ALTAK|bce-v3)[-/_][\w./-]{4,}/gi, '[key]'],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, '[key]'],
  [/\b[0-9a-f]{32,}(?:\.\w+)?\b/gi, '[id]'],
  [/\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b/g, '[address]'],
  [/\b(?:[a-z0-9-]+\.)+(?:com|cn|net|org|ai|io|internal|local|svc)(?::\d+)?\b/gi, '[host]'],
]

/** Vendor text made fit to be shown: no addresses, no keys, no stacks, one line, bounded. */
export function scrub(text: string): string {
  // Patterns search in what could be shown only: a vendor may echo a long prompt.
  let clean = text
    .slice(0, 4 * UPSTREAM_MESSAGE_CHARS_MAX)
    .replace(STACK, '')
    .replace(/\s+/g, ' ')
    .trim()
  for (const [pattern, mark] of SECRETS) clean = clean.replace(pattern, mark)
  return clean.length <= UPSTREAM_MESSAGE_CHARS_MAX ? clean : `${clean.slice(0, UPSTREAM_MESSAGE_CHARS_MAX)}…`
}
