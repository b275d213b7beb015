// What is behind the difference of one request, or of a model's day: the parts of it, which sum up to all of it.

import type { Cause, CauseKind } from '#core/bill.ts'
import { formatPico, type Pico } from '#core/money.ts'
import type { BillLine } from './bill.ts'
import { addItem, type OurCharge, type OurItem } from './ours.ts'

/** Of one cause; how many there are is said beside it. */
const REQUESTS_MAX = 20
const NANO = 1_000n
const MILLION = 1_000_000n
/** Where a bill has no items. */
const WHOLE = 'all'

interface TheirItem {
  quantity: bigint
  gross: bigint
  /** Of a million tokens; null: several, or none is said. */
  price: bigint | null
  lines: number
  hasQuantity: boolean
}

export interface Explained {
  readonly theirs: bigint
  readonly ours: bigint
  /** What roundings of theirs and of ours may come to. */
  readonly allowance: bigint
  readonly causes: readonly Cause[]
}

/** Lines and charges of the same request or the same model and period; either may be none. */
export function explain(
  lines: readonly BillLine[],
  charges: readonly OurCharge[],
  roundingPlace: bigint,
): Explained {
  const billed = lines.filter(({ amount }) => amount >= 0n)
  const refunds = lines.filter(({ amount }) => amount < 0n)
  const theirs = sumOf(lines, ({ amount }) => amount)
  const ours = sumOf(charges, ({ total }) => total)
  const allowance = roundingPlace * BigInt(lines.length) + NANO * BigInt(charges.length)
  const causes: Cause[] = []
  const refunded = sumOf(refunds, ({ amount }) => amount)
  if (refunded !== 0n) causes.push(causeOf('refund', refunded))
  if (billed.length === 0 && charges.length > 0)
    causes.push(missing('missing_theirs', -ours, charges.map(nameOf)))
  else if (charges.length === 0 && billed.length > 0)
    causes.push(
      missing(
        'missing_ours',
        theirs - refunded,
        billed.flatMap(({ request }) => request ?? []),
      ),
    )
  else if (billed.length > 0) causes.push(...compare(billed, charges, theirs - refunded, ours, allowance))
  return { theirs, ours, allowance, causes }
}

function compare(
  lines: readonly BillLine[],
  charges: readonly OurCharge[],
  theirs: bigint,
  ours: bigint,
  allowance: bigint,
): readonly Cause[] {
  const hasItems = lines.every(({ item }) => item !== null)
  const hasGross = lines.every(
    ({ price, list, quantity }) => list !== null || (price !== null && quantity !== null),
  )
  // What is said as a quantity at a price was never rounded, amounts were.
  const isExact = lines.every(({ price, quantity }) => price !== null && quantity !== null)
  const exact = isExact ? NANO * BigInt(charges.length) : allowance
  const mine = ourItems(charges, hasItems, hasGross)
  const yours = theirItems(lines, hasItems, hasGross)
  const causes: Cause[] = []
  const unpriced = charges.filter(({ isUnpriced }) => isUnpriced)
  for (const item of new Set([...yours.keys(), ...mine.keys()]))
    causes.push(...ofItem(item, yours.get(item), mine.get(item), charges, unpriced.length > 0, exact))
  if (hasGross) {
    const gross = sumOf([...yours.values()], (one) => one.gross)
    const free = sumOf(lines, (line) =>
      line.freeQuantity === 0n ? 0n : (grossOf(line) * line.freeQuantity) / quantityOr1(line),
    )
    const ownFree = sumOf(charges, (charge) => charge.free)
    if (beyond(free - ownFree, exact))
      causes.push(
        causeOf('free_quota', -(free - ownFree), null, formatPico(free as Pico), formatPico(ownFree as Pico)),
      )
    const off = gross - free - theirs
    const ownOff = sumOf(charges, (charge) => charge.discount)
    const ownGross = sumOf(charges, (charge) => charge.gross)
    // Our contract on their amounts; where nothing of ours is priced there is none.
    const due = ownGross - ownFree
    const expected = due === 0n ? ownOff : (ownOff * (gross - free)) / due
    // What is dearer than quantities and prices come to is no discount.
    if (beyond(off - expected, allowance)) {
      const isDearer = theirs > gross - free + allowance
      const shares = isDearer
        ? ([null, null] as const)
        : ([shareOf(theirs, gross - free), shareOf(ours, due)] as const)
      causes.push(causeOf(isDearer ? 'amount' : 'discount', -(off - expected), null, ...shares))
    }
    scale(causes, ownOff - expected)
  }
  const rest = theirs - ours - sumOf(causes, ({ amount }) => amount)
  if (rest === 0n) return causes
  return [...causes, causeOf(beyond(rest, allowance) ? 'amount' : 'rounding', rest)]
}

/** What the contract makes of other prices, quantities and quotas belongs to those, by their size. */
function scale(causes: Cause[], rest: bigint): void {
  const parts = causes.filter(({ kind }) => SCALED.has(kind))
  const whole = sumOf(parts, ({ amount }) => amount)
  if (whole === 0n) return
  let left = rest
  for (const [index, part] of parts.entries()) {
    const share = index === parts.length - 1 ? left : (rest * part.amount) / whole
    left -= share
    causes[causes.indexOf(part)] = { ...part, amount: (part.amount + share) as Pico }
  }
}

const SCALED: ReadonlySet<CauseKind> = new Set(['price', 'tokens', 'unpriced', 'free_quota'])

function ofItem(
  item: string,
  theirs: TheirItem | undefined,
  ours: OurItem | undefined,
  charges: readonly OurCharge[],
  hasUnpriced: boolean,
  allowance: bigint,
): readonly Cause[] {
  const gross = (theirs?.gross ?? 0n) - (ours?.gross ?? 0n)
  if (hasUnpriced && gross !== 0n) {
    const requests = charges.filter(({ isUnpriced }) => isUnpriced).map(nameOf)
    return [{ ...causeOf('unpriced', gross, item, priceText(theirs), null), ...listed(requests) }]
  }
  const causes: Cause[] = []
  const known = theirs === undefined || theirs.hasQuantity
  const more = known ? (theirs?.quantity ?? 0n) - (ours?.quantity ?? 0n) : 0n
  let counted = 0n
  if (more !== 0n) {
    const found = suspects(item, more, charges)
    const [only] = found
    const isExact = found.length === 1 && only !== undefined && countOf(only, item) === -more
    counted = isExact ? -(only.items.get(item)?.gross ?? 0n) : (more * unitPrice(ours, theirs)) / MILLION
    const quantities = [String(theirs?.quantity ?? 0n), String(ours?.quantity ?? 0n)] as const
    causes.push({ ...causeOf('tokens', counted, item, ...quantities), ...listed(found.map(nameOf)) })
  }
  const priced = gross - counted
  const samePrice = theirs?.price !== null && theirs?.price !== undefined && theirs.price === ours?.price
  const otherPrice = isOther(theirs?.price, ours?.price)
  if (
    !samePrice &&
    priced !== 0n &&
    (otherPrice || beyond(priced, allowance)) &&
    theirs !== undefined &&
    ours !== undefined &&
    known
  )
    causes.push(causeOf('price', priced, item, priceText(theirs), priceText(ours)))
  return causes
}

function isOther(theirs: bigint | null | undefined, ours: bigint | null | undefined): boolean {
  return typeof theirs === 'bigint' && typeof ours === 'bigint' && theirs !== ours
}

/** Pico for a million tokens: ours, where we have some. */
function unitPrice(ours: OurItem | undefined, theirs: TheirItem | undefined): bigint {
  if (ours !== undefined && ours.quantity > 0n) return ours.price ?? (ours.gross * MILLION) / ours.quantity
  if (theirs !== undefined && theirs.quantity > 0n)
    return theirs.price ?? (theirs.gross * MILLION) / theirs.quantity
  return 0n
}

function priceText(
  item: { readonly quantity: bigint; readonly gross: bigint; readonly price: bigint | null } | undefined,
): string | null {
  if (item === undefined) return null
  if (item.price !== null) return formatPico(item.price as Pico)
  return item.quantity === 0n
    ? null
    : `${formatPico(rounded((item.gross * MILLION) / item.quantity))} on average`
}

/** Six places are enough to know a price by. */
function rounded(price: bigint): Pico {
  return (((price + 500_000n) / MILLION) * MILLION) as Pico
}

/** Those that alone count what is missing; else estimates, else those around midnight, else all. */
function suspects(item: string, more: bigint, charges: readonly OurCharge[]): readonly OurCharge[] {
  const exact = charges.filter((charge) => more < 0n && countOf(charge, item) === -more)
  const estimated = charges.filter(({ isEstimated }) => isEstimated)
  const near = charges.filter(({ isNearMidnight }) => isNearMidnight)
  return [exact, estimated, near].find((some) => some.length > 0) ?? charges
}

function countOf({ items }: OurCharge, item: string): bigint {
  if (item !== WHOLE) return items.get(item)?.quantity ?? 0n
  return sumOf([...items.values()], ({ quantity }) => quantity)
}

function ourItems(charges: readonly OurCharge[], hasItems: boolean, hasGross: boolean): Map<string, OurItem> {
  const items = new Map<string, OurItem>()
  for (const { items: own, gross, total } of charges)
    for (const [name, item] of own) {
      const net = hasGross || gross === 0n ? item.gross : (item.gross * total) / gross
      addItem(items, hasItems ? name : WHOLE, { ...item, gross: net, price: hasGross ? item.price : null })
    }
  return items
}

function theirItems(
  lines: readonly BillLine[],
  hasItems: boolean,
  hasGross: boolean,
): Map<string, TheirItem> {
  const items = new Map<string, TheirItem>()
  for (const line of lines) {
    const name = hasItems ? (line.item ?? WHOLE) : WHOLE
    const gross = hasGross ? grossOf(line) : line.amount
    const price = hasGross ? line.price : null
    const known = items.get(name)
    if (known === undefined)
      items.set(name, {
        quantity: line.quantity ?? 0n,
        gross,
        price,
        lines: 1,
        hasQuantity: line.quantity !== null,
      })
    else {
      known.quantity += line.quantity ?? 0n
      known.gross += gross
      if (known.price !== price) known.price = null
      known.lines++
      known.hasQuantity &&= line.quantity !== null
    }
  }
  return items
}

/** What the quantity costs at its price, where both are said: what a bill calls its list amount may lack the quota. */
function grossOf({ quantity, price, list, amount }: BillLine): bigint {
  if (quantity !== null && price !== null) return (quantity * price) / MILLION
  return list ?? amount
}

function quantityOr1({ quantity, freeQuantity }: BillLine): bigint {
  return quantity === null || quantity === 0n ? freeQuantity : quantity
}

/** Of what is due after the quota, in percent to two places. */
function shareOf(paid: bigint, due: bigint): string | null {
  if (due === 0n) return null
  const hundredths = (paid * 100_000n + due * 5n) / (due * 10n)
  return `${Number(hundredths) / 100}%`
}

function causeOf(
  kind: CauseKind,
  amount: bigint,
  item: string | null = null,
  theirs: string | null = null,
  ours: string | null = null,
): Cause {
  return {
    kind,
    amount: amount as Pico,
    item: item === WHOLE ? null : item,
    theirs,
    ours,
    requests: [],
    requestCount: 0,
  }
}

function missing(
  kind: 'missing_theirs' | 'missing_ours',
  amount: bigint,
  requests: readonly string[],
): Cause {
  return { ...causeOf(kind, amount), ...listed(requests) }
}

function listed(requests: readonly string[]): Pick<Cause, 'requests' | 'requestCount'> {
  return { requests: requests.slice(0, REQUESTS_MAX), requestCount: requests.length }
}

function nameOf({ id }: OurCharge): string {
  return id
}

function beyond(amount: bigint, allowance: bigint): boolean {
  return amount > allowance || amount < -allowance
}

function sumOf<Value>(values: readonly Value[], amountOf: (value: Value) => bigint): bigint {
  let sum = 0n
  for (const value of values) sum += amountOf(value)
  return sum
}
