// A shared store beside what this instance itself knows: its own requests can be read while the shared one is away.

import type { LedgerStore } from '#core/ledger.ts'
import { StoreUnavailableError } from './errors.ts'

/** `own` is the instance's journal: complete for its own requests, and it knows no others. */
export function withOwnRows(
  shared: LedgerStore,
  own: Pick<LedgerStore, 'request' | 'requests' | 'adjustments'>,
): LedgerStore {
  return {
    apply: (batch) => shared.apply(batch),
    usage: (query) => shared.usage(query),
    balances: () => shared.balances(),
    async adjustments(query) {
      try {
        return await shared.adjustments(query)
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error
        return own.adjustments(query)
      }
    },
    request: async (id) => (await own.request(id)) ?? (await shared.request(id)),
    async requests(page) {
      try {
        return await shared.requests(page)
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error
        return { ...(await own.requests(page)), isPartial: true }
      }
    },
    close: () => shared.close(),
  }
}
