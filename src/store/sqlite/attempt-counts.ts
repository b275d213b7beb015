// What ended attempts count: by hour and series in counters, and each by itself for usage between any two instants.
// Attempts of one transaction that share an hour and a series lie in one row, which costs a tenth of a row for each.

import type { AttemptRow, UsageTotals } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { type BalanceMilli, balanceUsesOf } from '../balance-uses.ts'
import { addTotals, HOUR_MS, hourStartMs, listOfTotals, NO_TOTALS } from '../usage-report.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import { type SeriesNumbers, seriesTextOf } from './series-numbers.ts'

/** What is counted of an ended attempt. */
export interface AttemptCount {
  readonly startedAtMs: number
  /** `seriesText` of it. */
  readonly series: string
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
interface Group {
  readonly hourMs: number
  readonly series: number
  readonly totals: { -readonly [Name in keyof UsageTotals]: UsageTotals[Name] }
  firstMs: number
  lastMs: number
  /** `NUMBERS_EACH` for each attempt. */
  readonly numbers: (number | null)[]
}

/** What `AttemptCounts` writes of each: its time within the hour, 1 for a first one, tokens, cost, 1 for an estimate. */
const NUMBERS_EACH = 8

/** Gathers the attempts of a transaction and writes them at its end. */
export class AttemptCounts {
  readonly #series: SeriesNumbers
  readonly #insert: SqlStatement
  readonly #addUsage: SqlStatement
  readonly #groups = new Map<number, Group>()

  constructor(driver: SqlDriver, series: SeriesNumbers) {
    this.#series = series
    this.#insert = driver.prepare(
      'INSERT INTO attempt_group (hour_ms, series, first_ms, last_ms, text) VALUES (?,?,?,?,?)',
    )
    this.#addUsage = driver.prepare(ADD_USAGE)
  }

  add(count: AttemptCount): void {
    const { startedAtMs, inputTokens, cachedInputTokens, outputTokens, reasoningTokens, costNano } = count
    const group = this.#groupOf(hourStartMs(startedAtMs), this.#series.of(count.series))
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
  }

  write(): void {
    for (const { hourMs, series, firstMs, lastMs, numbers, totals } of this.#groups.values()) {
      this.#insert.run(hourMs, series, firstMs, lastMs, JSON.stringify(numbers))
      this.#addUsage.run(hourMs, series, ...listOfTotals(totals))
    }
  }

  clear(): void {
    this.#groups.clear()
  }

  #groupOf(hourMs: number, series: number): Group {
    // Both in one number: between two hours there is room for three billion series.
    const name = hourMs * 1024 + series
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = {
        hourMs,
        series,
        totals: { ...NO_TOTALS },
        firstMs: hourMs + HOUR_MS,
        lastMs: hourMs,
        numbers: [],
      }
      this.#groups.set(name, group)
    }
    return group
  }
}

/** Sums those attempts of a row that began at or after `fromMs` and before `toMs`. */
export function totalsBetween(text: string, hourMs: number, fromMs: number, toMs: number): UsageTotals {
  const numbers = JSON.parse(text) as (number | null)[]
  let sum = NO_TOTALS
  for (let at = 0; at < numbers.length; at += NUMBERS_EACH) {
    const startedAtMs = hourMs + (numbers[at] ?? 0)
    if (startedAtMs >= fromMs && startedAtMs < toMs) sum = addTotals(sum, totalsAt(numbers, at))
  }
  return sum
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

const ADD_USAGE = `INSERT INTO usage_hour (hour_ms, series, requests, attempts, input_tokens, cached_input_tokens,
  output_tokens, reasoning_tokens, cost_nano, estimated_attempts, unpriced_attempts) VALUES (?,?,?,?,?,?,?,?,?,?,?)
  ON CONFLICT (hour_ms, series) DO UPDATE SET requests = requests + excluded.requests,
    attempts = attempts + excluded.attempts, input_tokens = input_tokens + excluded.input_tokens,
    cached_input_tokens = cached_input_tokens + excluded.cached_input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens, cost_nano = cost_nano + excluded.cost_nano,
    estimated_attempts = estimated_attempts + excluded.estimated_attempts,
    unpriced_attempts = unpriced_attempts + excluded.unpriced_attempts`
