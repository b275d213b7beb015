// What ended attempts count, each by itself: usage between any two instants, and groupings that no counter has.
// Attempts of one transaction that share an hour and a series lie in one row, which costs a tenth of a row for each.

import type { AdjustmentRow } from '#core/adjustments.ts'
import { NO_AMOUNTS } from '#core/amounts.ts'
import type { AmountSums, AttemptRow, UsageTotals } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import { balanceUsesOf } from '../balance-uses.ts'
import type { AttemptCount } from '../shipment.ts'
import {
  addInto,
  HOUR_MS,
  hourStartMs,
  NO_TOTALS,
  type RunningTotals,
  totalsOf,
  totalsOfAdjustment,
} from '../usage-report.ts'
import type { SqlDriver, SqlRow, SqlStatement } from './driver.ts'
import { text } from './row-checks.ts'
import { seriesTextOf, type TextNumbers } from './text-numbers.ts'

export function countOfAdjustment(row: AdjustmentRow): AttemptCount {
  return {
    startedAtMs: row.bookedAtMs,
    series: seriesTextOf(row),
    user: row.user,
    totals: totalsOfAdjustment(row),
    balances: [],
  }
}

export function countOf(row: AttemptRow): AttemptCount {
  return {
    startedAtMs: row.startedAtMs,
    series: seriesTextOf(row),
    user: row.user,
    totals: totalsOf(row),
    balances: balanceUsesOf(row),
  }
}

/** What takes a count back. */
export function negated(count: AttemptCount): AttemptCount {
  const { totals, balances } = count
  return {
    ...count,
    totals: {
      requests: -totals.requests,
      attempts: -totals.attempts,
      inputTokens: -totals.inputTokens,
      cachedInputTokens: -totals.cachedInputTokens,
      outputTokens: -totals.outputTokens,
      reasoningTokens: -totals.reasoningTokens,
      costNano: -totals.costNano as Nano,
      adjustmentNano: -totals.adjustmentNano as Nano,
      estimatedAttempts: -totals.estimatedAttempts,
      unpricedAttempts: -totals.unpricedAttempts,
      discountNano: -totals.discountNano as Nano,
      freeQuotaNano: -totals.freeQuotaNano as Nano,
      packageNano: -totals.packageNano as Nano,
    },
    balances: balances.map((use) => ({ ...use, milli: -use.milli })),
  }
}

/** Attempts of one hour and one series. */
export interface CountedGroup {
  readonly hourMs: number
  /** By number, and its `seriesText`. */
  readonly series: number
  readonly seriesText: string
  readonly totals: RunningTotals
}

interface Group extends CountedGroup {
  firstMs: number
  lastMs: number
  /** `NUMBERS_EACH` for each attempt. */
  readonly numbers: (number | null)[]
  /** One for each attempt; null: none of them names one. */
  users: (string | null)[] | null
  /** One for each attempt; null: all of them cost what the list says. */
  amounts: (AmountList | null)[] | null
}

/**
 * Of an attempt that does not cost what the list says: discount, free quota, packages. With a fourth it is no attempt but
 * an adjustment, which counts nothing else; with a fifth it takes an attempt back.
 */
type AmountList = readonly [number, number, number, adjustment?: number, attempts?: number]

/** What `AttemptCounts` writes of each: its time within the hour, 1 for a first one, tokens, cost, 1 for an estimate. */
const NUMBERS_EACH = 8

/** Gathers the attempts of a transaction and writes them at its end. */
export class AttemptCounts {
  readonly #series: TextNumbers
  readonly #insert: SqlStatement
  readonly #groups = new Map<number, Group>()
  #number: number

  /** Groups are numbered after `lastNumber`; numbers are never used again. */
  constructor(driver: SqlDriver, series: TextNumbers, lastNumber: number) {
    this.#series = series
    this.#number = lastNumber
    this.#insert = driver.prepare(
      `INSERT INTO attempt_group (number, hour_ms, series, first_ms, last_ms, text, users, amounts)
        VALUES (?,?,?,?,?,?,?,?)`,
    )
  }

  /** Of the newest group that is written for good. */
  get lastNumber(): number {
    return this.#number
  }

  add({ startedAtMs, series, user, totals }: AttemptCount): void {
    const group = this.#groupOf(hourStartMs(startedAtMs), series)
    addInto(group.totals, totals)
    if (startedAtMs < group.firstMs) group.firstMs = startedAtMs
    if (startedAtMs > group.lastMs) group.lastMs = startedAtMs
    group.numbers.push(
      startedAtMs - group.hourMs,
      totals.requests,
      totals.inputTokens,
      totals.cachedInputTokens,
      totals.outputTokens,
      totals.reasoningTokens,
      totals.unpricedAttempts === 0 ? Number(totals.costNano) : null,
      totals.estimatedAttempts,
    )
    const before = group.numbers.length / NUMBERS_EACH - 1
    if (user !== null) group.users ??= Array<null>(before).fill(null)
    group.users?.push(user)
    const amounts = amountsList(totals)
    if (amounts !== null) group.amounts ??= Array<null>(before).fill(null)
    group.amounts?.push(amounts)
  }

  write(): void {
    let number = this.#number
    for (const { hourMs, series, firstMs, lastMs, numbers, users, amounts } of this.#groups.values()) {
      number++
      const lists = [JSON.stringify(numbers), textOrNull(users), textOrNull(amounts)]
      this.#insert.run(number, hourMs, series, firstMs, lastMs, ...lists)
    }
  }

  /** What was written, once its transaction has ended well. */
  take(): CountedGroup[] {
    const groups = [...this.#groups.values()]
    this.#number += groups.length
    this.#groups.clear()
    return groups
  }

  /** After a rollback. */
  clear(): void {
    this.#groups.clear()
  }

  #groupOf(hourMs: number, seriesText: string): Group {
    const series = this.#series.of(seriesText)
    const name = counterName(hourMs, series)
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = {
        hourMs,
        series,
        seriesText,
        totals: { ...NO_TOTALS },
        firstMs: hourMs + HOUR_MS,
        lastMs: hourMs,
        numbers: [],
        users: null,
        amounts: null,
      }
      this.#groups.set(name, group)
    }
    return group
  }
}

/** Both in one number: between two hours there is room for three billion series. */
export function counterName(hourMs: number, series: number): number {
  return hourMs * 1024 + series
}

/** Half-open, epoch ms. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** Columns that the attempts of a row are read from, of a table called `a`. */
export const GROUP_COLUMNS = 'a.text, a.amounts'

/** Sums the attempts of a row. */
export function totalsOfGroup(row: SqlRow): RunningTotals {
  const sum = { ...NO_TOTALS }
  eachWithin(row, 0, ALWAYS, (totals) => addInto(sum, totals))
  return sum
}

const ALWAYS: Span = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER }

/** The attempts of a row that began in `span`, by their place in it. */
export function eachWithin(
  row: SqlRow,
  hourMs: number,
  { fromMs, toMs }: Span,
  found: (totals: UsageTotals, index: number, startedAtMs: number) => void,
): void {
  const numbers = JSON.parse(text(row, 'text')) as (number | null)[]
  const amounts = row['amounts'] === null ? null : (JSON.parse(text(row, 'amounts')) as (AmountList | null)[])
  for (let at = 0, index = 0; at < numbers.length; at += NUMBERS_EACH, index++) {
    const startedAtMs = hourMs + (numbers[at] ?? 0)
    if (startedAtMs < fromMs || startedAtMs >= toMs) continue
    found(totalsAt(numbers, at, amounts?.[index] ?? null), index, startedAtMs)
  }
}

function totalsAt(numbers: readonly (number | null)[], at: number, list: AmountList | null): UsageTotals {
  const [, , , adjustment, attempts = 1] = list ?? []
  if (adjustment !== undefined && attempts === 1)
    return { ...NO_TOTALS, adjustmentNano: BigInt(adjustment) as Nano }
  const costNano = numbers[at + 6] ?? null
  const amounts = amountsOf(list)
  return {
    requests: numbers[at + 1] ?? 0,
    attempts,
    inputTokens: numbers[at + 2] ?? 0,
    cachedInputTokens: numbers[at + 3] ?? 0,
    outputTokens: numbers[at + 4] ?? 0,
    reasoningTokens: numbers[at + 5] ?? 0,
    costNano: BigInt(costNano ?? 0) as Nano,
    adjustmentNano: NANO_ZERO,
    estimatedAttempts: numbers[at + 7] ?? 0,
    unpricedAttempts: costNano === null ? attempts : 0,
    discountNano: amounts.discountNano,
    freeQuotaNano: amounts.freeQuotaNano,
    packageNano: amounts.packageNano,
  }
}

function amountsList(totals: UsageTotals): AmountList | null {
  const { discountNano, freeQuotaNano, packageNano, adjustmentNano, attempts } = totals
  if (attempts === 0) return [0, 0, 0, Number(adjustmentNano)]
  if (attempts < 0) return [Number(discountNano), Number(freeQuotaNano), Number(packageNano), 0, attempts]
  if (discountNano === 0n && freeQuotaNano === 0n && packageNano === 0n) return null
  return [Number(discountNano), Number(freeQuotaNano), Number(packageNano)]
}

function amountsOf(list: AmountList | null): AmountSums {
  if (list === null) return NO_AMOUNTS
  const [discount, freeQuota, paid] = list
  return {
    discountNano: BigInt(discount) as Nano,
    freeQuotaNano: BigInt(freeQuota) as Nano,
    packageNano: BigInt(paid) as Nano,
  }
}

function textOrNull(list: readonly unknown[] | null): string | null {
  return list === null ? null : JSON.stringify(list)
}
