// A bill joined with our rows: request by request where it names them, else by model and day of the vendor's zone.

import {
  type BillDifference,
  BillError,
  type BillFormat,
  type Cause,
  type Finding,
  type Reconciliation,
  type Tolerance,
} from '#core/bill.ts'
import { RECONCILED_ATTEMPTS_MAX } from '#core/limits.ts'
import type { Pico } from '#core/money.ts'
import { startOfMonthMs } from '#core/months.ts'
import type { PastRequest } from '#core/rerate.ts'
import { startOfDayMs, zoneOf } from '#core/zones.ts'
import { undated } from '../model-names.ts'
import { type Bill, type BillLine, readBill } from './bill.ts'
import { type Explained, explain } from './explain.ts'
import { chargesOf, type OurCharge } from './ours.ts'

/** Differences that are listed; all of them are counted. */
const DIFFERENCES_MAX = 10_000
const FINDINGS_MAX = 1_000
const DAY_MS = 24 * 60 * 60_000
/** Below it amounts of ours end too: a billionth. */
const TOLERANCE: Tolerance = { absolute: 1_000_000n as Pico, relativeMicro: 0n }
const MICRO = 1_000_000n

export interface ReconcileJob {
  readonly provider: string
  readonly format: BillFormat
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly linesMax: number
  /** Half-open; null: the whole days or months of the bill. */
  readonly fromMs: number | null
  readonly toMs: number | null
  readonly tolerance: Tolerance | null
}

interface Group {
  readonly request: string | null
  readonly model: string
  readonly period: string
  readonly lines: BillLine[]
  readonly charges: OurCharge[]
}

export class ReconcileRun {
  readonly #job: ReconcileJob
  readonly #bill: Bill
  readonly #lines: readonly BillLine[]
  readonly #groups = new Map<string, Group>()
  /** By the vendor's id, for those that it names. */
  readonly #byRequest = new Map<string, Group>()
  readonly #models = new Map<string, string>()
  /** What is looked at: half-open, epoch ms. */
  readonly fromMs: number
  readonly toMs: number
  #attempts = 0
  #currency: string | null = null

  /** @throws BillError */
  constructor(job: ReconcileJob) {
    this.#job = job
    this.#bill = readBill(job.bytes, job.format, job.linesMax)
    const span = spanOf(this.#bill, job.format.timeZone)
    this.fromMs = job.fromMs ?? span.fromMs
    this.toMs = job.toMs ?? span.toMs
    if (this.fromMs >= this.toMs) throw new BillError('the bill has no line in the span that was asked for')
    this.#lines = this.#bill.lines.filter((line) => this.#isIn(line))
    if (this.#lines.length === 0) throw new BillError('the bill has no line in the span that was asked for')
    for (const { model } of this.#lines) {
      this.#models.set(plainModel(model), model)
    }
    for (const line of this.#lines) this.#groupOf(line).lines.push(line)
  }

  /** @throws BillError where the rows are in another currency */
  take(past: PastRequest): void {
    const { provider, format } = this.#job
    // A request that a bill names is that one, though clocks may differ about its day.
    const slackMs = this.#bill.isByRequest ? DAY_MS : 0
    const span = { fromMs: this.fromMs - slackMs, toMs: this.toMs + slackMs }
    for (const charge of chargesOf(past, provider, span, format.timeZone)) {
      const isIn = charge.startedAtMs >= this.fromMs && charge.startedAtMs < this.toMs
      if (!isIn && !this.#byRequest.has(charge.upstreamId ?? '')) continue
      this.#attempts++
      if (this.#attempts > RECONCILED_ATTEMPTS_MAX)
        throw new BillError(`more than ${RECONCILED_ATTEMPTS_MAX} attempts of ours: ask for fewer days`)
      this.#checkCurrency(past)
      this.#ownGroup(charge).charges.push(charge)
    }
  }

  result(): Reconciliation {
    const { provider, format } = this.#job
    const tolerance = this.#job.tolerance ?? TOLERANCE
    const differences: BillDifference[] = []
    const findings = new Map<string, Finding>()
    let [theirs, ours, exceeding, within] = [0n, 0n, 0, 0]
    for (const group of this.#groups.values()) {
      const explained = explain(group.lines, group.charges, this.#bill.roundingPlace)
      theirs += explained.theirs
      ours += explained.ours
      const difference = explained.theirs - explained.ours
      if (difference === 0n && explained.causes.every(({ kind }) => kind !== 'tokens')) continue
      const isWithin = isTolerated(explained, difference, tolerance)
      if (isWithin) within++
      else exceeding++
      const { request, model, period } = group
      differences.push({
        request,
        model,
        period,
        theirs: explained.theirs as Pico,
        ours: explained.ours as Pico,
        difference: difference as Pico,
        isWithin,
        causes: explained.causes,
      })
      for (const cause of explained.causes) gather(findings, group, cause)
    }
    differences.sort((a, b) => compareSizes(b.difference, a.difference))
    const isByRequest = this.#bill.isByRequest
    return {
      provider,
      currency: this.#bill.currency,
      joinedBy: isByRequest ? 'request' : this.#bill.isByDay ? 'model and day' : 'model and month',
      timeZone: format.timeZone,
      fromMs: this.fromMs,
      toMs: this.toMs,
      tolerance,
      roundingPlace: this.#bill.roundingPlace,
      lines: this.#lines.length,
      skippedLines: this.#bill.skippedLines + this.#bill.lines.length - this.#lines.length,
      attempts: this.#attempts,
      theirs: theirs as Pico,
      ours: ours as Pico,
      difference: (theirs - ours) as Pico,
      differences: differences.slice(0, DIFFERENCES_MAX),
      exceeding,
      within,
      findings: [...findings.values()].sort((a, b) => compareSizes(b.amount, a.amount)),
    }
  }

  #isIn({ period }: BillLine): boolean {
    const startMs = startOf(period.day ?? period.month, this.#job.format.timeZone)
    return startMs >= this.fromMs && startMs < this.toMs
  }

  #groupOf(line: BillLine): Group {
    const { request, model } = line
    const period = this.#bill.isByDay ? (line.period.day ?? '') : line.period.month
    if (request === null) return this.#group(null, model, period)
    const known = this.#byRequest.get(request)
    if (known !== undefined) return known
    const group = this.#group(request, model, period)
    this.#byRequest.set(request, group)
    return group
  }

  #ownGroup(charge: OurCharge): Group {
    const known = charge.upstreamId === null ? undefined : this.#byRequest.get(charge.upstreamId)
    if (known !== undefined) return known
    return this.#group(null, this.#modelOf(charge), this.#bill.isByDay ? charge.day : charge.day.slice(0, 7))
  }

  /** As the bill calls it, where it does. */
  #modelOf({ models }: OurCharge): string {
    for (const model of models) {
      const base = undated(model)
      const known =
        this.#models.get(plainModel(model)) ??
        (base === null ? undefined : this.#models.get(plainModel(base)))
      if (known !== undefined) return known
    }
    return models[0] ?? ''
  }

  #group(request: string | null, model: string, period: string): Group {
    const name = request === null ? JSON.stringify([plainModel(model), period]) : `request ${request}`
    const known = this.#groups.get(name)
    if (known !== undefined) return known
    const group: Group = { request, model, period, lines: [], charges: [] }
    this.#groups.set(name, group)
    return group
  }

  #checkCurrency({ attempts }: PastRequest): void {
    for (const { cost, target } of attempts) {
      if (cost === null || !target.startsWith(`${this.#job.provider}/`)) continue
      this.#currency ??= cost.nativeCurrency
      if (cost.nativeCurrency === this.#bill.currency) continue
      throw new BillError(
        `the bill is in ${this.#bill.currency}, and our rows of ${this.#job.provider} are priced in ${cost.nativeCurrency}`,
      )
    }
  }
}

/** Of its days, or its months where it knows no days. */
function spanOf(
  { lines, isByDay }: Bill,
  timeZone: string,
): { readonly fromMs: number; readonly toMs: number } {
  let first = lines[0]?.period.day ?? lines[0]?.period.month ?? ''
  if (!isByDay) first = first.slice(0, 7)
  let last = first
  for (const { period } of lines) {
    const own = isByDay ? (period.day ?? period.month) : period.month
    if (own < first) first = own
    if (own > last) last = own
  }
  return { fromMs: startOf(first, timeZone), toMs: endOf(last, timeZone) }
}

function startOf(period: string, timeZone: string): number {
  if (period.length === 7) return startOfMonthMs(timeZone, period) ?? Number.NaN
  return startOfDayMs(zoneOf(timeZone), Date.parse(period) / DAY_MS)
}

function endOf(period: string, timeZone: string): number {
  if (period.length > 7) return startOfDayMs(zoneOf(timeZone), Date.parse(period) / DAY_MS + 1)
  const [year = 0, month = 0] = period.split('-').map(Number)
  const next = `${month === 12 ? year + 1 : year}-${String(month === 12 ? 1 : month + 1).padStart(2, '0')}`
  return startOfMonthMs(timeZone, next) ?? Number.NaN
}

/** Roundings alone are no difference; all else may come to what was said. */
function isTolerated(
  { theirs, allowance, causes }: Explained,
  difference: bigint,
  tolerance: Tolerance,
): boolean {
  // Other quantities are a difference, also where the amounts do not follow them.
  const size = causes.reduce(
    (most, { kind, amount }) => (kind === 'tokens' ? larger(most, sizeOf(amount)) : most),
    sizeOf(difference),
  )
  if (size <= allowance && causes.every(({ kind }) => kind === 'rounding')) return true
  return size <= larger((sizeOf(theirs) * tolerance.relativeMicro) / MICRO, tolerance.absolute)
}

function gather(findings: Map<string, Finding>, { model, period }: Group, cause: Cause): void {
  const { kind, item, amount } = cause
  // Quantities are each day's own; prices and shares are what stays the same.
  const [theirs, ours] = kind === 'price' || kind === 'discount' ? [cause.theirs, cause.ours] : [null, null]
  const name = JSON.stringify([plainModel(model), kind, item, theirs, ours])
  const known = findings.get(name)
  if (known === undefined) {
    if (findings.size < FINDINGS_MAX)
      findings.set(name, { model, kind, item, theirs, ours, amount, since: period, until: period, count: 1 })
    return
  }
  findings.set(name, {
    ...known,
    amount: (known.amount + amount) as Pico,
    since: period < known.since ? period : known.since,
    until: period > known.until ? period : known.until,
    count: known.count + 1,
  })
}

function sizeOf(amount: bigint): bigint {
  return amount < 0n ? -amount : amount
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function compareSizes(a: bigint, b: bigint): number {
  const [left, right] = [sizeOf(a), sizeOf(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

/** Bills write names of models with other cases, blanks and dots. */
function plainModel(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[\s_.]+/g, '-')
}
