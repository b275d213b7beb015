// Parts of a price that hold at the same time although each says when it ends: which of them was meant nobody can say.

import type { PriceEntry, PriceTimeBand } from '#core/price.ts'
import { parseHours } from './bands.ts'
import { parseValidity, type Validity } from './instants.ts'

interface Dated {
  readonly effective_from?: string
  readonly effective_to?: string
}

/**
 * Whether both say when they end and one begins before the other has ended. Where one of them is open, the order is
 * meant: the latest start of rows wins, and the first that holds of the parts of a row.
 */
export function overlap(one: Dated, other: Dated): boolean {
  if (one.effective_to === undefined || other.effective_to === undefined) return false
  return share(validityOf(one), validityOf(other))
}

function validityOf({ effective_from: from, effective_to: to }: Dated): Validity {
  return parseValidity(from, to)
}

function share(one: Validity, other: Validity): boolean {
  return one.fromMs < other.toMs && other.fromMs < one.toMs
}

/** `ever to 2026-10-01`. */
export function spanText({ effective_from: from = 'ever', effective_to: to = 'for ever' }: Dated): string {
  return `${from} to ${to}`
}

/** The first two parts of an entry that are in each other's way; null: there are none. */
export function problemOfOverlap(entry: PriceEntry): string | null {
  const bands = pairOf(entry.time_bands ?? [], clash)
  if (bands !== null) {
    const [one, other] = bands
    return `time bands ${one.index} (${hoursText(one.part)}) and ${other.index} (${hoursText(other.part)}) overlap`
  }
  const discounts = pairOf(entry.discounts ?? [], overlap)
  if (discounts !== null) return pairText('discounts', discounts)
  const items = pairOf(entry.items ?? [], (one, other) => one.item === other.item && overlap(one, other))
  return items === null ? null : pairText(`items ${items[0].part.item}`, items)
}

interface Placed<Part> {
  readonly index: number
  readonly part: Part
}

function pairOf<Part>(
  parts: readonly Part[],
  isPair: (one: Part, other: Part) => boolean,
): readonly [Placed<Part>, Placed<Part>] | null {
  for (const [index, part] of parts.entries()) {
    const before = parts.slice(0, index).findIndex((other) => isPair(other, part))
    const other = parts[before]
    if (other !== undefined)
      return [
        { index: before, part: other },
        { index, part },
      ]
  }
  return null
}

function pairText(name: string, [one, other]: readonly [Placed<Dated>, Placed<Dated>]): string {
  return `${name} ${one.index} (${spanText(one.part)}) and ${other.index} (${spanText(other.part)}) overlap`
}

function hoursText({ days, start, end, timezone }: PriceTimeBand): string {
  return `${days} ${start} to ${end} ${timezone}`
}

const DAY_MINUTES = 24 * 60
const WEEK_MINUTES = 7 * DAY_MINUTES

const WEEKDAYS: Readonly<Record<PriceTimeBand['days'], readonly number[]>> = {
  all: [0, 1, 2, 3, 4, 5, 6],
  'mon-fri': [1, 2, 3, 4, 5],
  'sat-sun': [0, 6],
}

/** Zones apart are compared as their clocks stand then; the summer's and the winter's difference may differ. */
const SEASONS_MS = [Date.UTC(2026, 0, 15), Date.UTC(2026, 6, 15)]

/** Whether some minute of the week lies in both, while both hold. */
function clash(one: PriceTimeBand, other: PriceTimeBand): boolean {
  if (!share(validityOf(one), validityOf(other))) return false
  const differences =
    one.timezone === other.timezone ? [0] : SEASONS_MS.map((atMs) => minutesApart(one, other, atMs))
  return differences.some((difference) =>
    spansOf(one, 0).some((own) =>
      spansOf(other, difference).some((theirs) => turns.some((turn) => meet(own, theirs, turn))),
    ),
  )
}

interface Minutes {
  readonly from: number
  readonly to: number
}

/** The end of one week is the beginning of the next. */
const turns = [-WEEK_MINUTES, 0, WEEK_MINUTES]

function meet(one: Minutes, other: Minutes, turn: number): boolean {
  return one.from < other.to + turn && other.from + turn < one.to
}

function spansOf(band: PriceTimeBand, shift: number): readonly Minutes[] {
  const { startMinute, endMinute, days } = parseHours(band)
  const length = endMinute > startMinute ? endMinute - startMinute : endMinute + DAY_MINUTES - startMinute
  return WEEKDAYS[days].map((weekday) => {
    const from = weekday * DAY_MINUTES + startMinute + shift
    return { from, to: from + length }
  })
}

/** How much later it is on the clock of the one than on that of the other. */
function minutesApart(one: PriceTimeBand, other: PriceTimeBand, atMs: number): number {
  const [own, theirs] = [one, other].map((band) => {
    const { day, minuteOfDay } = parseHours(band).zone(atMs)
    return day * DAY_MINUTES + minuteOfDay
  })
  return (own ?? 0) - (theirs ?? 0)
}
