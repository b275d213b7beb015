// Sums of a report: fine rows in, the rows that were asked for out, each amount rounded so that rows come to the total.

import { netShare, type Tax } from '#core/finance.ts'
import type { UsageTotals } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import { roundingTogether } from '#core/shares.ts'
import { addValues, NO_VALUES } from '#core/tariff.ts'
import type { Report, ReportRow, ReportTotals } from './report-words.ts'

const NANO_PER_CENT = 10_000_000n
/** Millionths of a pico in a nano. */
const CHARGE_SCALE = 1_000_000_000n
const WHOLE = 1_000_000n

interface Extras {
  /** null: no tax is spoken of. */
  readonly tax: Tax | null
  /** Millionths of a pico. */
  readonly charge: bigint
}

interface Row {
  readonly group: readonly string[]
  readonly bucketMs: number | null
  totals: UsageTotals
  charge: bigint
  /** Cost with its corrections by tax, as `taxName` has it. */
  readonly taxed: Map<string, bigint>
}

/** What a report has beside what is counted. */
export interface Columns {
  readonly isTaxed: boolean
  readonly isCharged: boolean
  /** Amounts are rounded to a hundredth of the currency's unit. */
  readonly isInCents: boolean
}

/** Yields now and then, so that nobody waits for a large report. */
type Steps<Result> = Generator<void, Result>

const STEP_ROWS = 1_000

export class Fold {
  readonly #zero: ReportTotals
  readonly #columns: Columns
  readonly #rows = new Map<string, Row>()
  readonly #taxes = new Map<string, Tax>()

  /** `like` has the measures that there are. */
  constructor(like: UsageTotals, columns: Columns) {
    this.#zero = zeroOf(like, columns)
    this.#columns = columns
  }

  add(group: readonly string[], bucketMs: number | null, totals: UsageTotals, { tax, charge }: Extras): void {
    const name = JSON.stringify([bucketMs, group])
    const row = this.#rows.get(name)
    const sum = row ?? { group, bucketMs, totals, charge, taxed: new Map() }
    if (row === undefined) this.#rows.set(name, sum)
    else {
      sum.totals = addTotals(sum.totals, totals)
      sum.charge += charge
    }
    if (tax === null) return
    const taxed = taxName(tax)
    this.#taxes.set(taxed, tax)
    sum.taxed.set(taxed, (sum.taxed.get(taxed) ?? 0n) + billedOf(totals))
  }

  /** Rows in order of bucket, then group. */
  *report(): Steps<Report> {
    const rows = [...this.#rows.values()].sort(compareRows)
    const { isTaxed, isCharged, isInCents } = this.#columns
    const step = isInCents ? NANO_PER_CENT : 1n
    const nets = isTaxed ? yield* this.#nets(rows, step) : null
    const charges = isCharged
      ? yield* rounding(
          rows.map(({ charge }) => charge),
          CHARGE_SCALE,
          step,
        )
      : null
    const cents = isInCents ? yield* centColumns(rows) : null
    const made: ReportRow[] = []
    let total: ReportTotals = this.#zero
    for (const [index, { group, bucketMs, totals }] of rows.entries()) {
      if (index % STEP_ROWS === STEP_ROWS - 1) yield
      const counted: ReportTotals = {
        ...totals,
        ...cents?.[index],
        ...nets?.[index],
        ...(charges === null ? {} : { chargeNano: charges[index] ?? NANO_ZERO }),
      }
      made.push({ ...counted, group, bucketMs })
      total = addTotals(total, counted)
    }
    return { rows: made, total }
  }

  /** Net and tax of each row: each tax by itself, over all rows together. */
  *#nets(rows: readonly Row[], step: bigint): Steps<readonly Required<Net>[]> {
    const sums = rows.map(() => ({ netNano: NANO_ZERO, vatNano: NANO_ZERO }))
    const add = (nets: readonly bigint[], vats: readonly bigint[]): void => {
      for (const [index, sum] of sums.entries()) {
        sum.netNano = (sum.netNano + (nets[index] ?? 0n)) as Nano
        sum.vatNano = (sum.vatNano + (vats[index] ?? 0n)) as Nano
      }
    }
    for (const [name, tax] of this.#taxes) {
      const costs = rows.map(({ taxed }) => taxed.get(name) ?? 0n)
      yield
      const [numerator, denominator] = netShare(tax)
      const nets = yield* rounding(
        costs.map((cost) => cost * numerator),
        denominator,
        step,
      )
      const onTop = costs.map((cost) => cost * tax.rate)
      add(nets, tax.isIncluded ? yield* vatsBeside(costs, nets, step) : yield* rounding(onTop, WHOLE, step))
      yield
    }
    // What no tax is spoken of is net.
    const untaxed = rows.map(({ totals, taxed }) => billedOf(totals) - [...taxed.values()].reduce(sumOf, 0n))
    add(yield* rounding(untaxed, 1n, step), [])
    return sums
  }
}

type Net = Pick<ReportTotals, 'netNano' | 'vatNano'>

function billedOf({ costNano, adjustmentNano }: UsageTotals): bigint {
  return costNano + adjustmentNano
}

/** Exact where nothing is rounded off; in cents by themselves, so that no line has a tax below zero. */
function* vatsBeside(
  costs: readonly bigint[],
  nets: readonly bigint[],
  step: bigint,
): Steps<readonly bigint[]> {
  const vats = costs.map((cost, index) => cost - (nets[index] ?? 0n))
  if (step === 1n) return vats
  const [whole = NANO_ZERO] = yield* rounding([costs.reduce(sumOf, 0n)], 1n, step)
  const parts = yield* rounding(vats, 1n, step)
  // The cent that two roundings may be apart goes to the largest tax, of equal ones to the first.
  const apart = whole - nets.reduce(sumOf, 0n) - parts.reduce(sumOf, 0n)
  const largest = parts.reduce((best, part, index) => (part > (parts[best] ?? 0n) ? index : best), 0)
  return parts.map((part, index) => (index === largest ? part + apart : part))
}

function* rounding(numerators: readonly bigint[], denominator: bigint, step: bigint): Steps<readonly Nano[]> {
  const counts = yield* roundingTogether(numerators, denominator * step)
  return counts.map((count) => (count * step) as Nano)
}

/** Each amount by itself; cost is what is left of its total beside the corrections. */
function* centColumns(rows: readonly Row[]): Steps<readonly Partial<UsageTotals>[]> {
  const inCents = (amount: (totals: UsageTotals) => bigint): Steps<readonly Nano[]> =>
    rounding(
      rows.map(({ totals }) => amount(totals)),
      1n,
      NANO_PER_CENT,
    )
  const billed = yield* inCents(billedOf)
  const adjustments = yield* inCents(({ adjustmentNano }) => adjustmentNano)
  const discounts = yield* inCents(({ discountNano }) => discountNano)
  const quotas = yield* inCents(({ freeQuotaNano }) => freeQuotaNano)
  const packages = yield* inCents(({ packageNano }) => packageNano)
  return rows.map((_, index) => ({
    costNano: ((billed[index] ?? 0n) - (adjustments[index] ?? 0n)) as Nano,
    adjustmentNano: adjustments[index] ?? NANO_ZERO,
    discountNano: discounts[index] ?? NANO_ZERO,
    freeQuotaNano: quotas[index] ?? NANO_ZERO,
    packageNano: packages[index] ?? NANO_ZERO,
  }))
}

function isMeasure(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** Zero of each measure. */
function zeroOf(like: UsageTotals, { isTaxed, isCharged }: Columns): ReportTotals {
  const zeros = Object.entries(like).flatMap(([name, value]) =>
    isMeasure(value) ? [[name, typeof value === 'bigint' ? NANO_ZERO : 0]] : [],
  )
  return {
    ...(Object.fromEntries(zeros) as UsageTotals),
    ...(isTaxed ? { netNano: NANO_ZERO, vatNano: NANO_ZERO } : {}),
    ...(isCharged ? { chargeNano: NANO_ZERO } : {}),
  }
}

/** Every measure of `left`, whatever they are. */
function addTotals<Totals extends UsageTotals>(left: Totals, right: Totals): Totals {
  const sum = { ...left } as Record<string, unknown>
  for (const name in left) {
    const value = left[name] as unknown
    // Both sides are of one kind.
    if (isMeasure(value)) sum[name] = (value as bigint) + (right[name] as bigint)
  }
  if (left.values !== undefined || right.values !== undefined)
    sum['values'] = addValues(left.values ?? NO_VALUES, right.values ?? NO_VALUES)
  return sum as Totals
}

function taxName({ isIncluded, rate }: Tax): string {
  return `${isIncluded ? 'in' : 'on'} ${rate}`
}

function sumOf(left: bigint, right: bigint): bigint {
  return left + right
}

function compareRows(left: Row, right: Row): number {
  if (left.bucketMs !== right.bucketMs) return (left.bucketMs ?? 0) - (right.bucketMs ?? 0)
  for (const [index, value] of left.group.entries()) {
    const other = right.group[index] ?? ''
    if (value !== other) return value < other ? -1 : 1
  }
  return 0
}
