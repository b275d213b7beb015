// A run over past requests: what each attempt should cost, what is to be added to it, and the sums of all that.

import { type AdjustmentRow, ofAttempt } from '#core/adjustments.ts'
import { type AttemptRow, type Cost, isUnpriced } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import { bookingOf, dayOf } from '#core/months.ts'
import type {
  DayChange,
  PastFilter,
  PastRequest,
  PriceChange,
  RerateJob,
  RerateSummary,
} from '#core/rerate.ts'
import { type PriceBook, rerate } from './rerate.ts'

/** Sums apart by day and by price; what is beyond that many counts as `other`. */
const GROUPS_MAX = 2_000

function isShown(row: AttemptRow, filter: PastFilter): boolean {
  return (
    row.outcome !== 'open' &&
    (filter.fromMs === null || row.startedAtMs >= filter.fromMs) &&
    (filter.toMs === null || row.startedAtMs < filter.toMs) &&
    (filter.provider === null || row.target.startsWith(`${filter.provider}/`)) &&
    (filter.model === null || row.model === filter.model) &&
    (filter.target === null || row.target === filter.target) &&
    (filter.key === null || row.key === filter.key)
  )
}

export class RerateRun {
  readonly #book: PriceBook
  readonly #job: RerateJob
  readonly #closed: ReadonlySet<string>
  readonly #prices = new Map<string, PriceChange>()
  readonly #days = new Map<string, DayChange>()
  readonly #sums: Omit<RerateSummary, 'byPrice' | 'byDay'>

  constructor(book: PriceBook, job: RerateJob) {
    this.#book = book
    this.#job = job
    this.#closed = new Set(job.closedMonths)
    this.#sums = {
      attempts: 0,
      changed: 0,
      firstPriced: 0,
      estimated: 0,
      withoutPrice: 0,
      unrated: 0,
      oldNano: NANO_ZERO,
      newNano: NANO_ZERO,
      currency: book.currency,
    }
  }

  /** What is to be added to a request's attempts. */
  take({ attempts, adjustments }: PastRequest): readonly AdjustmentRow[] {
    return attempts.flatMap((row) => {
      if (!isShown(row, this.#job.filter)) return []
      const before = adjustments.filter(
        ({ attempt, reason }) => attempt === row.attempt && reason === 'rerate',
      )
      return this.#attempt(row, before) ?? []
    })
  }

  summary(): RerateSummary {
    const byPrice = [...this.#prices.values()].sort((a, b) => compare(a.new, b.new) || compare(a.old, b.old))
    const byDay = [...this.#days.values()].sort((a, b) => compare(a.day, b.day))
    return { ...this.#sums, byPrice, byDay }
  }

  #attempt(row: AttemptRow, before: readonly AdjustmentRow[]): AdjustmentRow | null {
    const sums = this.#sums
    sums.attempts++
    if (row.usageSource === 'estimated' || row.usageSource === 'recovered') sums.estimated++
    const rerated = rerate(this.#book, row)
    if (rerated.kind === 'no_price') {
      // Nothing was used of what was refused or never sent: there is nothing that could have a price.
      if (usesAnything(row)) sums.withoutPrice++
      return null
    }
    if (rerated.kind === 'unrated') {
      sums.unrated++
      return null
    }
    const { cost } = rerated
    if (row.cost === null && !usesAnything(row)) return null
    const oldNano = total(row.cost?.amountNano ?? NANO_ZERO, before, 'amountNano')
    sums.oldNano = add(sums.oldNano, oldNano)
    sums.newNano = add(sums.newNano, cost.amountNano)
    const amountNano = (cost.amountNano - oldNano) as Nano
    const nativeNano = nativeChange(row.cost, cost, before)
    if (amountNano === 0n && nativeNano === 0n) return null
    sums.changed++
    if (isUnpriced(row.cost) && before.length === 0) sums.firstPriced++
    const old = before.at(-1)?.priceVersionNew ?? row.cost?.priceVersion ?? null
    this.#count(row, old, cost, oldNano)
    return this.#adjustment(row, before.length, old, cost, { amountNano, nativeNano })
  }

  #count(row: AttemptRow, old: string | null, cost: Cost, oldNano: Nano): void {
    const name = JSON.stringify([old, cost.priceVersion])
    const change = groupOf(this.#prices, name, (isOther) => ({
      old: isOther ? 'other' : old,
      new: isOther ? 'other' : cost.priceVersion,
      attempts: 0,
      oldNano: NANO_ZERO,
      newNano: NANO_ZERO,
    }))
    change.attempts++
    change.oldNano = add(change.oldNano, oldNano)
    change.newNano = add(change.newNano, cost.amountNano)
    const date = dayOf(this.#job.timeZone, row.startedAtMs)
    const day = groupOf(this.#days, date, (isOther) => ({
      day: isOther ? 'other' : date,
      attempts: 0,
      differenceNano: NANO_ZERO,
    }))
    day.attempts++
    day.differenceNano = add(day.differenceNano, (cost.amountNano - oldNano) as Nano)
  }

  #adjustment(
    row: AttemptRow,
    number: number,
    old: string | null,
    cost: Cost,
    amounts: Pick<AdjustmentRow, 'amountNano' | 'nativeNano'>,
  ): AdjustmentRow {
    const { author, note, nowMs, timeZone } = this.#job
    const { requestId, attempt } = row
    return {
      // Two runs at the same time make the same one; a later run finds it and counts on.
      id: `rerate:${requestId}:${attempt}:${number + 1}`,
      timeMs: nowMs,
      ...bookingOf(row.startedAtMs, nowMs, timeZone, (month) => this.#closed.has(month)),
      ...ofAttempt(row),
      ...amounts,
      currency: cost.currency,
      nativeCurrency: cost.nativeCurrency,
      reason: 'rerate',
      author,
      note,
      priceVersionOld: old,
      priceVersionNew: cost.priceVersion,
    }
  }
}

function usesAnything({ usage }: AttemptRow): boolean {
  const { inputTokens, outputTokens, other } = usage
  return inputTokens > 0 || outputTokens > 0 || other !== undefined
}

/** A price in another currency leaves no sum in the old one: all of the new native amount is new. */
function nativeChange(old: Cost | null, cost: Cost, before: readonly AdjustmentRow[]): Nano {
  const same = before.filter(({ nativeCurrency }) => nativeCurrency === cost.nativeCurrency)
  const own = old !== null && old.nativeCurrency === cost.nativeCurrency ? old.nativeNano : NANO_ZERO
  return (cost.nativeNano - total(own, same, 'nativeNano')) as Nano
}

function total(first: Nano, rows: readonly AdjustmentRow[], amount: 'amountNano' | 'nativeNano'): Nano {
  return rows.reduce((sum, row) => add(sum, row[amount]), first)
}

function groupOf<Group>(groups: Map<string, Group>, name: string, make: (isOther: boolean) => Group): Group {
  const isOther = !groups.has(name) && groups.size >= GROUPS_MAX
  const key = isOther ? 'other' : name
  const known = groups.get(key)
  if (known !== undefined) return known
  const made = make(isOther)
  groups.set(key, made)
  return made
}

function add(a: Nano, b: Nano): Nano {
  return (a + b) as Nano
}

function compare(a: string | null, b: string | null): number {
  return (a ?? '') < (b ?? '') ? -1 : (a ?? '') > (b ?? '') ? 1 : 0
}
