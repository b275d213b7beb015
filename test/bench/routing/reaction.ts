// How quickly a policy left what had become slow and came back to what had recovered, from its first choices.

import type { RunRecord } from './run-record.ts'
import type { Shift } from './shifts.ts'

/** A target that carried less is not missed. */
const SHARE_MIN = 0.1
const BEFORE_MS = 60_000
const LEFT_WINDOW_MS = 10_000
const LEFT_REQUESTS_MIN = 5
const RETURN_WINDOW_MS = 60_000
/** From here on a state oracle has settled. */
const SETTLED_MS = 30_000
const STEP_MS = 1000
const SEARCH_MS_MAX = 600_000
const HANG_WINDOW_MS = 20_000

export interface Reaction {
  /** Per slow-down of a target that carried at least a tenth of the requests: until its share was down to half. */
  readonly leaveSeconds: readonly number[]
  /** The same after a price rise. */
  readonly repriceSeconds: readonly number[]
  /** Per recovery of such a target: the end of the first 60 s in which it had half its share again. */
  readonly returnSeconds: readonly number[]
  readonly hangs: readonly FirstHang[]
}

export interface FirstHang {
  /** First attempts there in the first 20 s that missed the SLO. */
  readonly payers: number
  /** What may be asked for: 3, or half a second's arrivals there. */
  readonly payersMax: number
}

/** `ceiling` is the state oracle's run of the same seed: where it stays, staying is no fault. */
export function readReaction(run: RunRecord, ceiling: RunRecord): Reaction {
  const leaveSeconds: number[] = []
  const repriceSeconds: number[] = []
  const returnSeconds: number[] = []
  const hangs: FirstHang[] = []
  for (const shift of run.world.shifts) {
    if (shift.kind === 'outage' || shift.kind === 'hang') hangs.push(readHang(run, shift))
    if (shareOf(run, shift.target, shift.startAt - BEFORE_MS, shift.startAt) < SHARE_MIN) continue
    if (shift.kind === 'slow') leaveSeconds.push(timeToLeave(run, ceiling, shift))
    else if (shift.kind === 'price') repriceSeconds.push(timeToLeave(run, ceiling, shift))
    if (shift.endAt + 2 * RETURN_WINDOW_MS < run.world.endAt)
      returnSeconds.push(timeToReturn(run, ceiling, shift))
  }
  return { leaveSeconds, repriceSeconds, returnSeconds, hangs }
}

function timeToLeave(run: RunRecord, ceiling: RunRecord, { target, startAt, endAt }: Shift): number {
  const before = shareOf(run, target, startAt - BEFORE_MS, startAt)
  const end = Math.min(endAt, startAt + SEARCH_MS_MAX)
  const enough = Math.max(before / 2, shareOf(ceiling, target, startAt + SETTLED_MS, end))
  for (let at = startAt; at < end; at += STEP_MS)
    if (shareOf(run, target, at, windowEnd(run, at)) <= enough) return (at - startAt) / 1000
  return (end - startAt) / 1000
}

function windowEnd(run: RunRecord, at: number): number {
  const first = lowerBound(run, at)
  const fifth = run.world.arrivalAt(Math.min(run.count - 1, first + LEFT_REQUESTS_MIN))
  return Math.max(at + LEFT_WINDOW_MS, fifth)
}

function timeToReturn(run: RunRecord, ceiling: RunRecord, { target, startAt, endAt }: Shift): number {
  const before = shareOf(run, target, startAt - BEFORE_MS, startAt)
  const lastAt = Math.min(endAt + SEARCH_MS_MAX, run.world.endAt - RETURN_WINDOW_MS)
  for (let at = endAt; at <= lastAt; at += STEP_MS) {
    const enough = Math.min(before, shareOf(ceiling, target, at, at + RETURN_WINDOW_MS)) / 2
    if (shareOf(run, target, at, at + RETURN_WINDOW_MS) >= enough)
      return (at + RETURN_WINDOW_MS - endAt) / 1000
  }
  return SEARCH_MS_MAX / 1000
}

function readHang(run: RunRecord, { target, startAt }: Shift): FirstHang {
  let payers = 0
  for (let index = lowerBound(run, startAt - HANG_WINDOW_MS); index < run.count; index += 1) {
    if (run.world.arrivalAt(index) >= startAt + HANG_WINDOW_MS) break
    const at = run.firstAt[index] ?? Number.NaN
    const isFirst = run.firstTarget[index] === target && at >= startAt && at < startAt + HANG_WINDOW_MS
    if (isFirst && run.isMet[index] === 0) payers += 1
  }
  const perSecond = countOf(run, target, startAt - BEFORE_MS, startAt).hits / (BEFORE_MS / 1000)
  return { payers, payersMax: Math.max(3, perSecond / 2) }
}

/** Of the requests that arrived in [from, to), the share whose first attempt went to the target. */
function shareOf(run: RunRecord, target: number, from: number, to: number): number {
  const { hits, all } = countOf(run, target, from, to)
  return all === 0 ? 0 : hits / all
}

function countOf(run: RunRecord, target: number, from: number, to: number): { hits: number; all: number } {
  let hits = 0
  let all = 0
  for (let index = lowerBound(run, from); index < run.count; index += 1) {
    if (run.world.arrivalAt(index) >= to) break
    all += 1
    if (run.firstTarget[index] === target) hits += 1
  }
  return { hits, all }
}

/** Index of the first request that arrived at `at` or later. */
function lowerBound(run: RunRecord, at: number): number {
  let low = 0
  let high = run.count
  while (low < high) {
    const middle = (low + high) >> 1
    if (run.world.arrivalAt(middle) < at) low = middle + 1
    else high = middle
  }
  return low
}
