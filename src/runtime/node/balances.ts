// What was used of balances, from the ledger: at the start, and now and then where other instances use them too.

import type { BalanceUsed } from '#core/ledger.ts'
import type { Settings } from '#core/settings.ts'
import type { Log } from '#core/telemetry.ts'
import { type BalanceBook, balancesOf, type QuotaSource } from '#pricing/balance-book.ts'

/** A ledger that could not be asked is asked again after this; until then no balance pays. */
const RETRY_MS = 1_000
const REFRESH_MS = 60_000

/** What a configuration says there is. */
export function configureBalances(balances: BalanceBook, settings: Settings): void {
  balances.configure(balancesOf(settings.prices), quotasOf(settings))
}

export function quotasOf(settings: Settings): readonly QuotaSource[] {
  return [...settings.providers.values()].flatMap(({ name, freeQuota }) =>
    freeQuota === undefined ? [] : [{ providerName: name, sinceMs: freeQuota.sinceMs }],
  )
}

/** Reads the ledger's word; resolves when it has been asked once. */
export async function followBalances(
  balances: BalanceBook,
  read: () => Promise<readonly BalanceUsed[]>,
  isShared: boolean,
  log: Log,
): Promise<{ close(): void }> {
  let timer: NodeJS.Timeout | null = null
  let isClosed = false
  let isUnread = false
  async function look(): Promise<void> {
    let nextMs: number | null = isShared ? REFRESH_MS : null
    try {
      balances.learn(await read())
      if (isUnread) log.info('balances.read')
      isUnread = false
    } catch (error) {
      nextMs = RETRY_MS
      // A store that is away is asked every second, and that is said once.
      if (!isUnread) log.error('balances.unread', { message: String(error) })
      isUnread = true
    }
    if (nextMs === null || isClosed) return
    timer = setTimeout(() => void look(), nextMs)
    timer.unref()
  }
  await look()
  return {
    close() {
      isClosed = true
      if (timer !== null) clearTimeout(timer)
    },
  }
}
