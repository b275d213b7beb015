// The configuration with other prices over its own, for a look at what they would make of the past.

import { GatewayError } from '#core/errors.ts'
import type { Live } from '#pipeline/live.ts'
import { BalanceBook } from '#pricing/balance-book.ts'
import { formatProblems } from '#settings/problems.ts'
import type { Pepper } from './pepper.ts'
import type { ProviderFolders } from './providers.ts'
import { ConfigError, type Environment, readConfig } from './read-config.ts'
import { type PriceData, priceDataOf } from './rerate.ts'

/** The configuration in force; with prices over it, it is read anew. @throws GatewayError where they are none */
export async function priced(
  { configPath, env }: { readonly configPath: string; readonly env: Environment },
  folders: ProviderFolders,
  pepper: Pepper,
  live: Live,
  over: Readonly<Record<string, unknown>> | null,
): Promise<{ readonly live: Live; readonly data: PriceData }> {
  if (over === null) return { live, data: priceDataOf(live.settings, folders.lists) }
  try {
    const read = await readConfig(configPath, env, folders, new BalanceBook(), pepper, over)
    return { live: read, data: priceDataOf(read.settings, folders.lists) }
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause
    throw new GatewayError('invalid_request', formatProblems(cause.problems), { param: 'prices', cause })
  }
}
