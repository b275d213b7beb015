// What ended attempts count, each by itself: usage between any two instants, and groupings that no counter has.
// Attempts of one transaction that share an hour and a series lie in one row, which costs a tenth of a row for each.

import type { AttemptRow, UsageTotals } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { type BalanceMilli, balanceUsesOf } from '../balance-uses.ts'
import { addTotals, HOUR_MS, hourStartMs, NO_TOTALS } from '../usage-report.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { seriesTextOf, type TextNumbers } from './text-numbers.ts'

/** What is counted of an ended attempt. */
export interface AttemptCount {
  readonly startedAtMs: number
  /** `seriesText` of it. */
  readonly series: string
  readonly user: string | null
  readonly isFirst: boolean
  readonly inputTokens: number
  readonly cachedInputTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
  /** null: unpriced. */
  readonly costNano: Nano | null
  readonly isEstimated: boolean
  readonly balances: readonly BalanceMilli[]
}

export function countOf(row: AttemptRow): AttemptCount {
  const { usage, usageSource, cost } = row
  return {
    startedAtMs: row.startedAtMs,
    series: seriesTextOf(row),
    user: row.user,
    isFirst: row.attempt === 1,
    inputTokens: usage.inputTokens,
    cachedInputTokens: usage.cachedInputTokens,
    outputTokens: usage.outputTokens,
    reasoningTokens: usage.reasoningTokens,
    costNano: cost === null ? null : cost.amountNano,
    isEstimated: usageSource === 'estimated' || usageSource === 'recovered',
    balances: balanceUsesOf(row),
  }
}

/** Attempts of one hour and one series. */
export interface CountedGroup {
  readonly hourMs: number
  /** By number, and its `seriesText`. */
  readonly series: number
  readonly seriesText: string
  readonly totals: { -readonly [Name in keyof UsageTotals]: UsageTotals[Name] }
}

interface Group extends CountedGroup {
  firstMs: number
  lastMs: number
  /** `NUMBERS_EACH` for each attempt. */
  readonly numbers: (number | null)[]
  /** One for each attempt; null: none of them names one. */
  users: (string | null)[] | null
}

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
      'INSERT INTO attempt_group (number, hour_ms, series, first_ms, last_ms, text, users) VALUES (?,?,?,?,?,?,?)',
    )
  }

  /** Of the newest group that is written for good. */
  get lastNumber(): number {
    return this.#number
  }

  add(count: AttemptCount): void {
    const { startedAtMs, inputTokens, cachedInputTokens, outputTokens, reasoningTokens, costNano } = count
    const group = this.#groupOf(hourStartMs(startedAtMs), count.series)
    const first = count.isFirst ? 1 : 0
    const estimated = count.isEstimated ? 1 : 0
    const { totals } = group
    totals.requests += first
    totals.attempts++
    totals.inputTokens += inputTokens
    totals.cachedInputTokens += cachedInputTokens
    totals.outputTokens += outputTokens
    totals.reasoningTokens += reasoningTokens
    if (costNano === null) totals.unpricedAttempts++
    else totals.costNano = (totals.costNano + costNano) as Nano
    totals.estimatedAttempts += estimated
    if (startedAtMs < group.firstMs) group.firstMs = startedAtMs
    if (startedAtMs > group.lastMs) group.lastMs = startedAtMs
    const offsetMs = startedAtMs - group.hourMs
    const cost = costNano === null ? null : Number(costNano)
    group.numbers.push(
      offsetMs,
      first,
      inputTokens,
      cachedInputTokens,
      outputTokens,
      reasoningTokens,
      cost,
      estimated,
    )
    if (count.user !== null) group.users ??= Array<null>(totals.attempts - 1).fill(null)
    group.users?.push(count.user)
  }

  write(): void {
    let number = this.#number
    for (const { hourMs, series, firstMs, lastMs, numbers, users } of this.#groups.values()) {
      number++
      const usersText = users === null ? null : JSON.stringify(users)
      this.#insert.run(number, hourMs, series, firstMs, lastMs, JSON.stringify(numbers), usersText)
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

/** Sums those attempts of a row that began in `span`. */
export function totalsWithin(text: string, hourMs: number, span: Span): UsageTotals {
  let sum = NO_TOTALS
  eachWithin(text, hourMs, span, (totals) => {
    sum = addTotals(sum, totals)
  })
  return sum
}

/** The attempts of a row that began in `span`, by their place in it. */
export function eachWithin(
  text: string,
  hourMs: number,
  { fromMs, toMs }: Span,
  found: (totals: UsageTotals, index: number) => void,
): void {
  const numbers = JSON.parse(text) as (number | null)[]
  for (let at = 0; at < numbers.length; at += NUMBERS_EACH) {
    const startedAtMs = hourMs + (numbers[at] ?? 0)
    if (startedAtMs >= fromMs && startedAtMs < toMs) found(totalsAt(numbers, at), at / NUMBERS_EACH)
  }
}

function totalsAt(numbers: readonly (number | null)[], at: number): UsageTotals {
  const costNano = numbers[at + 6] ?? null
  return {
    requests: numbers[at + 1] ?? 0,
    attempts: 1,
    inputTokens: numbers[at + 2] ?? 0,
    cachedInputTokens: numbers[at + 3] ?? 0,
    outputTokens: numbers[at + 4] ?? 0,
    reasoningTokens: numbers[at + 5] ?? 0,
    costNano: BigInt(costNano ?? 0) as Nano,
    estimatedAttempts: numbers[at + 7] ?? 0,
    unpricedAttempts: costNano === null ? 1 : 0,
  }
}
