// Sums of a report: fine rows in, the rows that were asked for out, each amount rounded so that rows come to the total.

import { netShare, type Tax } from '#core/finance.ts'
import { compareUsageRows, type UsageTotals } from '#core/ledger.ts'
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
  /** Cost with its corrections by tax, as `taxName` has it, and what of it no tax is spoken of. */
  readonly taxed: Map<string, bigint>
  untaxed: bigint
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
    const sum = row ?? { group, bucketMs, totals, charge, taxed: new Map(), untaxed: 0n }
    if (row === undefined) this.#rows.set(name, sum)
    else {
      sum.totals = addTotals(sum.totals, totals)
      sum.charge += charge
    }
    if (tax === null) {
      sum.untaxed += billedOf(totals)
      return
    }
    const taxed = taxName(tax)
    this.#taxes.set(taxed, tax)
    sum.taxed.set(taxed, (sum.taxed.get(taxed) ?? 0n) + billedOf(totals))
  }

  /** Rows in order of bucket, then group. */
  *report(): Steps<Report> {
    const rows = yield* inOrder([...this.#rows.values()])
    const { isTaxed, isCharged, isInCents } = this.#columns
    const step = isInCents ? NANO_PER_CENT : 1n
    const nets = isTaxed ? yield* this.#nets(rows, step) : null
    const charges = isCharged ? yield* rounding(rows, ({ charge }) => charge, CHARGE_SCALE, step) : null
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
    let nets: readonly bigint[] = yield* rounding(rows, ({ untaxed }) => untaxed, 1n, step)
    let vats: readonly bigint[] = []
    for (const [name, tax] of this.#taxes) {
      const costs = yield* mapped(rows, ({ taxed }) => taxed.get(name) ?? 0n)
      const [numerator, denominator] = netShare(tax)
      const net = yield* rounding(costs, (cost) => cost * numerator, denominator, step)
      const vat = tax.isIncluded
        ? yield* vatsBeside(costs, net, step)
        : yield* rounding(costs, (cost) => cost * tax.rate, WHOLE, step)
      const [before, beside] = [nets, vats]
      nets = yield* mapped(before, (amount, index) => amount + (net[index] ?? 0n))
      vats = yield* mapped(vat, (amount, index) => amount + (beside[index] ?? 0n))
    }
    const all = vats
    return yield* mapped(nets, (net, index) => ({
      netNano: net as Nano,
      vatNano: (all[index] ?? 0n) as Nano,
    }))
  }
}

/** Fine rows came in order, so that most reports are. */
function* inOrder(rows: Row[]): Steps<readonly Row[]> {
  for (const [index, row] of rows.entries()) {
    if (index % STEP_ROWS === STEP_ROWS - 1) yield
    const before = rows[index - 1]
    if (before !== undefined && compareUsageRows(before, row) > 0) return rows.sort(compareUsageRows)
  }
  return rows
}

/** What is made of each, with turns for others in between. */
function* mapped<Item, Made>(
  items: readonly Item[],
  make: (item: Item, index: number) => Made,
): Steps<readonly Made[]> {
  const made: Made[] = []
  for (const [index, item] of items.entries()) {
    if (index % STEP_ROWS === STEP_ROWS - 1) yield
    made.push(make(item, index))
  }
  return made
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
  const vats = yield* mapped(costs, (cost, index) => cost - (nets[index] ?? 0n))
  if (step === 1n) return vats
  const [whole = NANO_ZERO] = yield* rounding([costs.reduce(sumOf, 0n)], (sum) => sum, 1n, step)
  const parts = yield* rounding(vats, (vat) => vat, 1n, step)
  // The cent that two roundings may be apart goes to the largest tax, of equal ones to the first.
  const apart = whole - nets.reduce(sumOf, 0n) - parts.reduce(sumOf, 0n)
  const largest = parts.reduce((best, part, index) => (part > (parts[best] ?? 0n) ? index : best), 0)
  return yield* mapped(parts, (part, index) => (index === largest ? part + apart : part))
}

function* rounding<Item>(
  items: readonly Item[],
  numeratorOf: (item: Item) => bigint,
  denominator: bigint,
  step: bigint,
): Steps<readonly Nano[]> {
  const numerators = yield* mapped(items, numeratorOf)
  const counts = yield* roundingTogether(numerators, denominator * step)
  return yield* mapped(counts, (count) => (count * step) as Nano)
}

/** Each amount by itself; cost is what is left of its total beside the corrections. */
function* centColumns(rows: readonly Row[]): Steps<readonly Partial<UsageTotals>[]> {
  const inCents = (amount: (totals: UsageTotals) => bigint): Steps<readonly Nano[]> =>
    rounding(rows, ({ totals }) => amount(totals), 1n, NANO_PER_CENT)
  const billed = yield* inCents(billedOf)
  const adjustments = yield* inCents(({ adjustmentNano }) => adjustmentNano)
  const discounts = yield* inCents(({ discountNano }) => discountNano)
  const quotas = yield* inCents(({ freeQuotaNano }) => freeQuotaNano)
  const packages = yield* inCents(({ packageNano }) => packageNano)
  return yield* mapped(rows, (_, index) => ({
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
