// What a report's usage is valued by: the list prices of its baseline and of the targets that it names.

import type { LedgerStore, UsageQuery } from '#core/ledger.ts'
import type { Tariff, Valuation } from '#core/tariff.ts'
import { tariffOf } from '#pricing/tariff.ts'
import type { Live } from '../live.ts'
import { noBaseline, type ReportQuery } from './report-words.ts'

/** Hours of the day matter for so long back where a report names no beginning. */
const BACK_MS = 400 * 24 * 60 * 60_000
const HOUR_MS = 60 * 60_000
/** Targets whose caches are looked at; what others saved counts as left out. */
const TARGETS_MAX = 500

/** null: nothing of the kind is asked for. @throws GatewayError when the baseline is no target or has no price */
export async function valuationOf(
  store: LedgerStore,
  live: Live,
  { baseline, cacheSavings }: ReportQuery,
  asked: UsageQuery,
  nowMs: number,
): Promise<Valuation | null> {
  if (baseline === null && !cacheSavings) return null
  const toMs = asked.toMs ?? nowMs + HOUR_MS
  const span = { fromMs: asked.fromMs ?? toMs - BACK_MS, toMs }
  const own = cacheSavings ? await ownTariffs(store, live, asked, span) : null
  return { baseline: baseline === null ? null : baselineOf(live, baseline, span), own }
}

type Span = { readonly fromMs: number; readonly toMs: number }

function baselineOf(live: Live, name: string, span: Span): Tariff {
  const tariff = tariffAt(live, name, span)
  if (tariff === null) throw noBaseline(name, 'must be PROVIDER/MODEL of a configured provider')
  if (tariff.length === 0) throw noBaseline(name, 'must have a price per token in that time')
  return tariff
}

async function ownTariffs(
  store: LedgerStore,
  live: Live,
  asked: UsageQuery,
  span: Span,
): Promise<Readonly<Record<string, Tariff>>> {
  const { rows } = await store.usage({ ...asked, groupBy: ['target'], bucket: null })
  const cached = rows.filter((row) => row.cachedInputTokens > 0).slice(0, TARGETS_MAX)
  return Object.fromEntries(
    cached.flatMap(({ group: [target = ''] }) => {
      const tariff = tariffAt(live, target, span)
      return tariff === null ? [] : [[target, tariff]]
    }),
  )
}

/** null: there is no such provider. */
function tariffAt(live: Live, name: string, span: Span): Tariff | null {
  const target = live.directTarget(name)
  if (target === null) return null
  const { prices } = live.factsOf(target)
  const { currency, fx } = live.settings
  return tariffOf({ prices, currency, fx, ...span })
}
