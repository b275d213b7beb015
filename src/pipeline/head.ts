// The answer's head. It goes out once; a stream that waited long has had it before its target was known.

import type { Exchange } from './context.ts'

/** `target` null: not known yet. */
export function sendHead(
  exchange: Exchange,
  status: number,
  headers: Readonly<Record<string, string>>,
  target: string | null,
): void {
  if (exchange.headSent) return
  exchange.headSent = true
  exchange.sink.head(status, withOwn(exchange, target, { ...headers }))
}

function withOwn(
  exchange: Exchange,
  target: string | null,
  headers: Record<string, string>,
): Record<string, string> {
  headers['x-request-id'] = exchange.id
  for (const name in exchange.limitHeaders) headers[name] = exchange.limitHeaders[name] ?? ''
  const policy = policyHeader(exchange)
  if (policy !== null) headers['x-sluice-policy'] = policy
  if (target !== null) {
    headers['x-sluice-target'] = headerText(target)
    headers['x-sluice-attempts'] = String(exchange.attemptsStarted)
    if (exchange.dropped.length > 0) headers['x-sluice-dropped'] = headerText(exchange.dropped.join(', '))
  }
  return headers
}

/** `NAME@VERSION` of the policy that decided; null: nothing has been decided. */
export function policyHeader({ decision }: Exchange): string | null {
  if (decision === null) return null
  const { policy, policyVersion } = decision
  return headerText(policyVersion === null ? policy : `${policy}@${policyVersion}`)
}

const PLAIN = /^[\x20-\x7e]{0,1000}$/

/** Names from outside may hold what a header may not. */
export function headerText(text: string): string {
  if (PLAIN.test(text)) return text
  // Half a surrogate pair cannot be percent-encoded, so pairs are taken whole and halves replaced.
  return text
    .toWellFormed()
    .replace(/[^\x20-\x7e]/gu, (character) => encodeURIComponent(character))
    .slice(0, 1000)
}
