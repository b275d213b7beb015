// Sums of a report: fine rows in, the rows that were asked for out, each amount rounded so that rows come to the total.

import { netShare, type Tax } from '#core/finance.ts'
import type { UsageTotals } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import { roundTogether } from '#core/shares.ts'
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

export interface Columns {
  readonly isTaxed: boolean
  readonly isCharged: boolean
}

export class Fold {
  readonly #zero: UsageTotals
  readonly #columns: Columns
  readonly #rows = new Map<string, Row>()
  readonly #taxes = new Map<string, Tax>()

  /** `like` has the measures that there are. */
  constructor(like: UsageTotals, columns: Columns) {
    this.#zero = zeroOf(like)
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
  report(toCents: boolean): Report {
    const rows = [...this.#rows.values()].sort(compareRows)
    const step = toCents ? NANO_PER_CENT : 1n
    const { isTaxed, isCharged } = this.#columns
    const nets = isTaxed ? this.#nets(rows, step) : null
    const charges = isCharged
      ? rounded(
          rows.map(({ charge }) => charge),
          CHARGE_SCALE,
          step,
        )
      : null
    const columns = toCents ? centColumns(rows) : null
    const made = rows.map(
      ({ group, bucketMs, totals }, index): ReportRow => ({
        ...totals,
        ...columns?.[index],
        group,
        bucketMs,
        netNano: nets?.[index]?.net ?? null,
        vatNano: nets?.[index]?.vat ?? null,
        chargeNano: charges?.[index] ?? null,
      }),
    )
    return { rows: made, total: totalOf(this.#zero, made, this.#columns) }
  }

  /** Net and tax of each row: each tax by itself, over all rows together. */
  #nets(rows: readonly Row[], step: bigint): readonly { readonly net: Nano; readonly vat: Nano }[] {
    const sums = rows.map(() => ({ net: 0n, vat: 0n }))
    const add = (nets: readonly bigint[], vats: readonly bigint[]): void => {
      for (const [index, sum] of sums.entries()) {
        sum.net += nets[index] ?? 0n
        sum.vat += vats[index] ?? 0n
      }
    }
    for (const [name, tax] of this.#taxes) {
      const costs = rows.map(({ taxed }) => taxed.get(name) ?? 0n)
      const [numerator, denominator] = netShare(tax)
      const shares = costs.map((cost) => cost * numerator)
      const nets = rounded(shares, denominator, step)
      add(
        nets,
        tax.isIncluded
          ? vatsBeside(costs, nets, step)
          : rounded(
              costs.map((cost) => cost * tax.rate),
              WHOLE,
              step,
            ),
      )
    }
    // What no tax is spoken of is net.
    const untaxed = rows.map(({ totals, taxed }) => billedOf(totals) - [...taxed.values()].reduce(sumOf, 0n))
    add(rounded(untaxed, 1n, step), [])
    return sums.map(({ net, vat }) => ({ net: net as Nano, vat: vat as Nano }))
  }
}

function billedOf({ costNano, adjustmentNano }: UsageTotals): bigint {
  return costNano + adjustmentNano
}

/** Exact where nothing is rounded off; in cents by themselves, so that no line has a tax below zero. */
function vatsBeside(costs: readonly bigint[], nets: readonly bigint[], step: bigint): readonly bigint[] {
  const vats = costs.map((cost, index) => cost - (nets[index] ?? 0n))
  if (step === 1n) return vats
  const whole = rounded([costs.reduce(sumOf, 0n)], 1n, step)[0] ?? 0n
  const parts = rounded(vats, 1n, step)
  // The cent that two roundings may be apart goes to the largest tax, of equal ones to the first.
  const apart = whole - nets.reduce(sumOf, 0n) - parts.reduce(sumOf, 0n)
  const largest = parts.reduce((best, part, index) => (part > (parts[best] ?? 0n) ? index : best), 0)
  return parts.map((part, index) => (index === largest ? part + apart : part))
}

function rounded(numerators: readonly bigint[], denominator: bigint, step: bigint): readonly Nano[] {
  return roundTogether(numerators, denominator * step).map((count) => (count * step) as Nano)
}

/** Each amount by itself; cost is what is left of its total beside the corrections. */
function centColumns(rows: readonly Row[]): readonly Partial<UsageTotals>[] {
  const inCents = (amount: (totals: UsageTotals) => bigint): readonly Nano[] =>
    rounded(
      rows.map(({ totals }) => amount(totals)),
      1n,
      NANO_PER_CENT,
    )
  const billed = inCents(billedOf)
  const adjustments = inCents(({ adjustmentNano }) => adjustmentNano)
  const between = BETWEEN.map((name) => ({ name, amounts: inCents((totals) => totals[name]) }))
  return rows.map((_, index) => {
    const adjustmentNano = adjustments[index] ?? NANO_ZERO
    return {
      costNano: ((billed[index] ?? 0n) - adjustmentNano) as Nano,
      adjustmentNano,
      ...Object.fromEntries(between.map(({ name, amounts }) => [name, amounts[index] ?? NANO_ZERO])),
    }
  })
}

const BETWEEN = ['discountNano', 'freeQuotaNano', 'packageNano'] as const

function totalOf(zero: UsageTotals, rows: readonly ReportRow[], columns: Columns): ReportTotals {
  const sum = rows.reduce<UsageTotals>(addTotals, zero)
  const all = (amount: (row: ReportRow) => Nano | null): Nano =>
    rows.reduce((total, row) => total + (amount(row) ?? 0n), 0n) as Nano
  return {
    ...sum,
    netNano: columns.isTaxed ? all((row) => row.netNano) : null,
    vatNano: columns.isTaxed ? all((row) => row.vatNano) : null,
    chargeNano: columns.isCharged ? all((row) => row.chargeNano) : null,
  }
}

type Measure = Exclude<keyof UsageTotals, 'values'>

function namesOf(totals: object): readonly Measure[] {
  return Object.entries(totals).flatMap(([name, value]) => (isMeasure(value) ? [name as Measure] : []))
}

function isMeasure(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function zeroOf(like: UsageTotals): UsageTotals {
  const zeros = namesOf(like).map((name) => [name, typeof like[name] === 'bigint' ? NANO_ZERO : 0])
  return Object.fromEntries(zeros) as UsageTotals
}

/** Measures of `left`. */
function addTotals(left: UsageTotals, right: UsageTotals): UsageTotals {
  const sum = Object.fromEntries(
    namesOf(left).map((name) => [name, (left[name] as bigint) + (right[name] as bigint)]),
  ) as unknown as UsageTotals
  if (left.values === undefined && right.values === undefined) return sum
  return { ...sum, values: addValues(left.values ?? NO_VALUES, right.values ?? NO_VALUES) }
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
