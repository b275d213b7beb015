// Past requests of any store, newest first, by its own questions: slower than reading a file, and as complete as the store.

import type { AdjustmentRow } from '#core/adjustments.ts'
import { EVERY_ADJUSTMENT } from '#core/adjustments.ts'
import type { LedgerStore, RequestDetail } from '#core/ledger.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import { EVERY_REQUEST } from './request-filter.ts'

interface PastRow extends RequestDetail {
  readonly adjustments: readonly AdjustmentRow[]
}

/** `fromMs` and `toMs`: half-open, of the request's own time. */
export async function* storedRows(
  store: Pick<LedgerStore, 'requests' | 'request' | 'adjustments'>,
  fromMs: number,
  toMs: number,
): AsyncGenerator<PastRow> {
  const filter = { ...EVERY_REQUEST, fromMs, toMs }
  let cursor: string | null = null
  do {
    const page = await store.requests({ limit: PAGE_ROWS_MAX, cursor, filter })
    for (const { id } of page.rows) {
      const detail = await store.request(id)
      if (detail === null) continue
      const ofRequest = { ...EVERY_ADJUSTMENT, requestId: id }
      const { rows } = await store.adjustments({ limit: PAGE_ROWS_MAX, cursor: null, filter: ofRequest })
      yield { ...detail, adjustments: rows.toReversed() }
    }
    cursor = page.nextCursor
  } while (cursor !== null)
}
