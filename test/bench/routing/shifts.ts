// What goes wrong in a run, when and where, drawn from the seed.

import { DRAW, draw } from './random.ts'
import type { SimulatedTarget } from './targets.ts'

const MINUTE_MS = 60_000

export type ShiftKind = 'slow' | 'outage' | 'storm' | 'hang' | 'price'

export interface Shift {
  readonly kind: ShiftKind
  /** Index in the pool. */
  readonly target: number
  readonly startAt: number
  readonly endAt: number
}

export const SLOW_FACTOR = 5
/** Of the attempts during a storm. */
export const STORM_SHARE = 0.8
/** Of the attempts during an outage; the others fail at once. */
export const OUTAGE_HANG_SHARE = 0.5
export const PRICE_FACTOR = 3

const LENGTH_MINUTES: Record<ShiftKind, number> = { slow: 10, outage: 5, storm: 5, hang: 2, price: 60 }

/** Among this many of the cheapest targets, since nobody notices what happens to one that is not used. */
const CHEAP_TARGETS = { usual: 6, extra: 4 }

/** A typical request, for telling cheap targets from dear ones. */
const TYPICAL = { inputTokens: 2000, outputTokens: 100 }

/**
 * Two slow-downs, an outage and a storm, in slots that do not overlap, in an order and on distinct cheap targets that
 * the seed chooses. `isExtra` puts them on the four cheapest, and adds a hang of two minutes and a price that triples on
 * the cheapest two.
 */
export function planShifts(
  targets: readonly SimulatedTarget[],
  seed: number,
  startAt: number,
  lengthMs: number,
  isExtra: boolean,
): readonly Shift[] {
  const cheap = cheapestFirst(targets).slice(0, isExtra ? CHEAP_TARGETS.extra : CHEAP_TARGETS.usual)
  const places = shuffle(cheap, seed, 1)
  const kinds = shuffle<ShiftKind>(['slow', 'slow', 'outage', 'storm'], seed, 2)
  const slotMs = (lengthMs - 3 * MINUTE_MS) / kinds.length
  const shifts = kinds.map((kind, slot): Shift => {
    const shiftMs = Math.min(LENGTH_MINUTES[kind] * MINUTE_MS, slotMs)
    const slackMs = slotMs - shiftMs
    const begin = startAt + 3 * MINUTE_MS + slot * slotMs + slackMs * draw(seed, slot, 0, 3, DRAW.shift)
    return {
      kind,
      target: places[slot % places.length] ?? 0,
      startAt: Math.round(begin),
      endAt: Math.round(begin + shiftMs),
    }
  })
  return isExtra ? [...shifts, ...extraShifts(shifts, cheap, startAt, lengthMs)] : shifts
}

/** The hang comes to the cheapest target in the middle of the longest quiet time; the price to the second cheapest. */
function extraShifts(
  shifts: readonly Shift[],
  cheap: readonly number[],
  startAt: number,
  lengthMs: number,
): readonly Shift[] {
  const edges = [startAt, ...shifts.flatMap((shift) => [shift.startAt, shift.endAt]), startAt + lengthMs]
  let quiet = { startAt, lengthMs: 0 }
  for (let index = 0; index < edges.length; index += 2) {
    const from = edges[index] ?? 0
    const length = (edges[index + 1] ?? 0) - from
    if (length > quiet.lengthMs) quiet = { startAt: from, lengthMs: length }
  }
  const hangMs = Math.min(LENGTH_MINUTES.hang * MINUTE_MS, quiet.lengthMs)
  const hangAt = Math.round(quiet.startAt + (quiet.lengthMs - hangMs) / 2)
  const half = startAt + lengthMs / 2
  return [
    { kind: 'hang', target: cheap[0] ?? 0, startAt: hangAt, endAt: Math.round(hangAt + hangMs) },
    { kind: 'price', target: cheap[1] ?? 0, startAt: toMinute(half), endAt: Number.POSITIVE_INFINITY },
  ]
}

function toMinute(at: number): number {
  return Math.round(at / MINUTE_MS) * MINUTE_MS
}

function cheapestFirst(targets: readonly SimulatedTarget[]): readonly number[] {
  const cost = (target: SimulatedTarget): number =>
    TYPICAL.inputTokens * (target.tiers[0]?.input ?? 0) +
    TYPICAL.outputTokens * (target.tiers[0]?.output ?? 0)
  return targets
    .map((target, index) => ({ index, cost: cost(target) }))
    .sort((left, right) => left.cost - right.cost || left.index - right.index)
    .map(({ index }) => index)
}

function shuffle<T>(values: readonly T[], seed: number, purpose: number): readonly T[] {
  const shuffled = [...values]
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = Math.floor(draw(seed, last, 0, purpose, DRAW.shift) * (last + 1))
    const value = shuffled[last] as T
    shuffled[last] = shuffled[other] as T
    shuffled[other] = value
  }
  return shuffled
}
