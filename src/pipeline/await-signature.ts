// Waiting for a token within the deadlines of the attempt that needs it.

import type { PolicySettings } from '#core/settings.ts'
import type { Deps, Exchange } from './context.ts'
import { CredentialError, type Signature } from './credentials.ts'

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
  exchange.onGone = () => resolve(null)
  signed.then(resolve, reject)
  try {
    return await promise
  } finally {
    timer.cancel()
    exchange.onGone = null
  }
}
