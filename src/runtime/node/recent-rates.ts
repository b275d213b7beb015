// What the last minute before this process used of its rates, from the ledger: a restart must not open every window
// anew.

import type { Scope } from '#core/admission.ts'
import type { LedgerStore, RequestRow } from '#core/ledger.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import type { Settings } from '#core/settings.ts'
import type { Log } from '#core/telemetry.ts'
import type { KeyRing } from '#pipeline/key-ring.ts'
import { scopesOf, servedScopes } from '#pipeline/scopes.ts'
import type { AdmissionDesk } from '#store/admission/desk.ts'
import { clock } from './system.ts'

const MINUTE_MS = 60_000
/** More requests than this in a minute are read in part: the start must not take longer than the minute itself. */
const REQUESTS_MAX = 20 * PAGE_ROWS_MAX

export async function seedRates(
  desk: AdmissionDesk,
  store: LedgerStore,
  settings: Settings,
  keys: KeyRing,
  log: Log,
): Promise<void> {
  const hasRates = scopesOf(settings, keys).some(({ limits }) => limits.rpm !== null || limits.tpm !== null)
  if (!hasRates) return
  const ofFile = new Map(settings.keys.map((key) => [key.name, key.scopes]))
  const callersOf = ({ key }: RequestRow): readonly Scope[] =>
    ofFile.get(key ?? '') ?? keys.named(key ?? '', settings)?.scopes ?? []
  try {
    for (const row of await recentRequests(store))
      await seedRequest(desk, store, settings, row, callersOf(row))
  } catch (error) {
    log.warn('rates.unread', { message: String(error) })
  }
}

/** Oldest first. */
async function recentRequests(store: LedgerStore): Promise<readonly RequestRow[]> {
  const sinceMs = clock.nowMs() - MINUTE_MS
  const recent: RequestRow[] = []
  let cursor: string | null = null
  do {
    const page = await store.requests({ limit: PAGE_ROWS_MAX, cursor })
    const young = page.rows.filter((row) => row.timeMs >= sinceMs)
    recent.push(...young)
    cursor = young.length === page.rows.length ? page.nextCursor : null
  } while (cursor !== null && recent.length < REQUESTS_MAX)
  return recent.reverse()
}

async function seedRequest(
  desk: AdmissionDesk,
  store: LedgerStore,
  settings: Settings,
  row: RequestRow,
  callers: readonly Scope[],
): Promise<void> {
  const detail = row.attempts === 0 ? null : await store.request(row.id)
  if (detail === null) return
  for (const scope of callers) desk.seedRate(scope, 1, 0, clock.nowMs() - row.timeMs)
  for (const attempt of detail.attempts) {
    const { usage, target, startedAtMs } = attempt
    const provider = target.slice(0, target.indexOf('/'))
    const agoMs = clock.nowMs() - startedAtMs
    const tokens = usage.inputTokens + usage.outputTokens
    for (const scope of callers) desk.seedRate(scope, 0, tokens, agoMs)
    for (const scope of servedScopes(settings, { id: target, provider }))
      desk.seedRate(scope, 1, tokens, agoMs)
  }
}
