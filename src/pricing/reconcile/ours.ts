// Our rows as a vendor would bill them: what each attempt counts and costs, native currency, before any rounding of theirs.

import { amountsOf } from '#core/amounts.ts'
import { type AttemptRow, isUnpriced } from '#core/ledger.ts'
import { parseDecimal } from '#core/money.ts'
import { dayOf } from '#core/months.ts'
import type { PastRequest } from '#core/rerate.ts'

export interface OurItem {
  quantity: bigint
  /** By list price. */
  gross: bigint
  /** Of a million tokens; null: several. */
  price: bigint | null
}

export interface OurCharge {
  /** Ours, then the vendor's. */
  readonly id: string
  readonly upstreamId: string | null
  /** As the configuration and as the answer call it. */
  readonly models: readonly string[]
  readonly day: string
  readonly startedAtMs: number
  /** It may be of another day at the vendor's. */
  readonly isNearMidnight: boolean
  readonly items: ReadonlyMap<string, OurItem>
  /** By list price; less what balances paid by list price; less what the contract takes off: what is paid. */
  readonly gross: bigint
  readonly free: bigint
  readonly discount: bigint
  readonly total: bigint
  readonly isEstimated: boolean
  readonly isUnpriced: boolean
}

const NANO = 1_000n
const MIDNIGHT_MS = 5 * 60_000

/** Charges of a provider whose attempts began in a span. What neither used nor cost anything is none. */
export function chargesOf(
  { request, attempts, adjustments }: PastRequest,
  provider: string,
  span: { readonly fromMs: number; readonly toMs: number },
  timeZone: string,
): readonly OurCharge[] {
  return attempts.flatMap((row) => {
    const isIn = row.startedAtMs >= span.fromMs && row.startedAtMs < span.toMs
    if (!isIn || row.outcome === 'open' || !row.target.startsWith(`${provider}/`)) return []
    // What came after its month was closed is booked as an adjustment, and its cost stands in the row all the same.
    const own = adjustments.filter(({ attempt, reason }) => attempt === row.attempt && reason !== 'late')
    const adjusted = own.reduce((sum, { nativeNano }) => sum + nativeNano, 0n)
    const charge = chargeOf(row, request.id, adjusted * NANO, timeZone)
    return charge.total === 0n && charge.gross === 0n && charge.items.size === 0 ? [] : [charge]
  })
}

function chargeOf(row: AttemptRow, id: string, adjusted: bigint, timeZone: string): OurCharge {
  const model = row.target.slice(row.target.indexOf('/') + 1)
  const day = dayOf(timeZone, row.startedAtMs)
  const models =
    row.responseModel === null || row.responseModel === model ? [model] : [row.responseModel, model]
  const priced = isUnpriced(row.cost) ? null : row.cost
  const items = priced === null ? countedItems(row) : billedItems(priced.lines)
  const amounts = amountsOf(priced?.lines ?? [])
  const paid = amounts.freeQuota + amounts.package
  // Balances pay at the contract's price; a bill takes the quota off before the discount.
  const free = amounts.contract === 0n ? 0n : (paid * amounts.list) / amounts.contract
  const total = (row.cost === null ? 0n : row.cost.nativeNano * NANO) + adjusted
  return {
    id,
    upstreamId: row.upstreamRequestId,
    models,
    day,
    startedAtMs: row.startedAtMs,
    isNearMidnight: [-MIDNIGHT_MS, MIDNIGHT_MS].some(
      (byMs) => dayOf(timeZone, row.startedAtMs + byMs) !== day,
    ),
    items,
    gross: amounts.list,
    free,
    discount: amounts.list - free - total,
    total,
    isEstimated: row.usageSource === 'estimated' || row.usageSource === 'recovered',
    isUnpriced: priced === null && adjusted === 0n,
  }
}

function billedItems(lines: NonNullable<AttemptRow['cost']>['lines']): Map<string, OurItem> {
  const items = new Map<string, OurItem>()
  for (const { item, quantity, price, amount } of lines) {
    if (item === 'discount' || item === 'free_quota' || item === 'package') continue
    const one = {
      quantity: BigInt(Math.round(quantity)),
      gross: parseDecimal(amount, 12),
      price: parseDecimal(price, 12),
    }
    addItem(items, item, one)
  }
  return items
}

function countedItems({ usage }: AttemptRow): Map<string, OurItem> {
  const { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens } = usage
  const fresh = Math.max(0, inputTokens - cachedInputTokens - cacheWriteTokens)
  const items = new Map<string, OurItem>()
  const counts = {
    input: fresh,
    cached_input: cachedInputTokens,
    cache_write: cacheWriteTokens,
    output: outputTokens,
  }
  for (const [item, count] of Object.entries(counts))
    if (count > 0) items.set(item, { quantity: BigInt(count), gross: 0n, price: null })
  return items
}

export function addItem(
  items: Map<string, OurItem>,
  name: string,
  { quantity, gross, price }: OurItem,
): void {
  const known = items.get(name)
  if (known === undefined) {
    items.set(name, { quantity, gross, price })
    return
  }
  known.quantity += quantity
  known.gross += gross
  if (known.price !== price) known.price = null
}
