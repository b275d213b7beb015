// The figures of one run, and of several seeds together.

import { type FirstHang, type Reaction, readReaction } from './reaction.ts'
import type { RunRecord } from './run-record.ts'

const CALIBRATION_BINS = 20

export interface Summary {
  readonly seed: number
  readonly costCny: number
  /** ÷ the state oracle's at the same seed. */
  readonly costRatio: number
  /** Shares are of 1. */
  readonly attainment: number
  /** NaN without shifts. */
  readonly shiftAttainment: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly retries: number
  readonly hedges: number
  readonly rateLimited: number
  readonly waits: number
  readonly exploredShare: number
  /** CNY per 1,000 requests against the clairvoyant that maximises value. */
  readonly regretCny: number
  readonly failed: number
  readonly failedAvoidably: number
  /** NaN for a policy that predicts nothing. */
  readonly calibrationError: number
  readonly reaction: Reaction
  readonly wallMs: number
  readonly requests: number
  /** null where it was not timed. */
  readonly decisionMicros: { readonly p50: number; readonly p99: number } | null
}

export interface Yardstick {
  readonly stateOracle: RunRecord
  readonly clairvoyant: RunRecord
  /** λ × 1. */
  readonly valueCny: number
}

export function summarise(run: RunRecord, yardstick: Yardstick, wallMs: number): Summary {
  const { stateOracle, clairvoyant, valueCny } = yardstick
  const attainment = attainmentOf(run)
  const extraCny = (run.costCny - clairvoyant.costCny) / run.count
  const missedCny = valueCny * (attainmentOf(clairvoyant) - attainment)
  const sorted = Float64Array.from(run.ttftMs).sort()
  const quantile = (share: number): number => sorted[Math.floor(share * (run.count - 1))] ?? Number.NaN
  return {
    seed: run.world.seed,
    costCny: run.costCny,
    costRatio: run.costCny / stateOracle.costCny,
    attainment,
    shiftAttainment: shiftAttainmentOf(run),
    p50Ms: quantile(0.5),
    p95Ms: quantile(0.95),
    p99Ms: quantile(0.99),
    retries: run.retries,
    hedges: run.hedges,
    rateLimited: run.rateLimited,
    waits: run.waits,
    exploredShare: run.explored / run.count,
    regretCny: (extraCny + missedCny) * 1000,
    failed: sum(run.isFailed),
    failedAvoidably: sum(run.isFailedAvoidably),
    calibrationError: calibrationError(run.predicted, run.predictedMet),
    reaction: readReaction(run, stateOracle),
    wallMs,
    requests: run.count,
    decisionMicros: null,
  }
}

export function attainmentOf(run: RunRecord): number {
  return sum(run.isMet) / run.count
}

function shiftAttainmentOf(run: RunRecord): number {
  let met = 0
  let all = 0
  for (let request = 0; request < run.count; request += 1) {
    if (!run.world.isShifted(run.world.arrivalAt(request))) continue
    all += 1
    met += run.isMet[request] ?? 0
  }
  return met / all
}

/** Mean distance of prediction and truth over equal bins, weighted by how many fell in each. */
export function calibrationError(predicted: readonly number[], met: readonly number[]): number {
  const counts = new Float64Array(CALIBRATION_BINS)
  const promised = new Float64Array(CALIBRATION_BINS)
  const kept = new Float64Array(CALIBRATION_BINS)
  for (const [index, share] of predicted.entries()) {
    const bin = Math.max(0, Math.min(CALIBRATION_BINS - 1, Math.floor(share * CALIBRATION_BINS)))
    counts[bin] = (counts[bin] ?? 0) + 1
    promised[bin] = (promised[bin] ?? 0) + share
    kept[bin] = (kept[bin] ?? 0) + (met[index] ?? 0)
  }
  const distance = promised.reduce((total, share, bin) => total + Math.abs(share - (kept[bin] ?? 0)), 0)
  return predicted.length === 0 ? Number.NaN : distance / predicted.length
}

function sum(values: Uint8Array): number {
  return values.reduce((total, value) => total + value, 0)
}

export interface Spread {
  readonly mean: number
  readonly deviation: number
}

export type Figure = {
  [Name in keyof Summary]: Summary[Name] extends number ? Name : never
}[keyof Summary]

export function spreadOf(runs: readonly Summary[], figure: Figure): Spread {
  const values = runs.map((run) => run[figure])
  const mean = values.reduce((total, value) => total + value, 0) / values.length
  const squares = values.reduce((total, value) => total + (value - mean) ** 2, 0)
  return { mean, deviation: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) }
}

export interface MedianAndMost {
  readonly count: number
  readonly median: number
  readonly most: number
}

export function reactionOf(
  runs: readonly Summary[],
  figure: 'leaveSeconds' | 'returnSeconds' | 'repriceSeconds',
): MedianAndMost {
  const values = runs.flatMap((run) => run.reaction[figure]).sort((left, right) => left - right)
  return {
    count: values.length,
    median: values[Math.floor((values.length - 1) / 2)] ?? Number.NaN,
    most: values.at(-1) ?? Number.NaN,
  }
}

/** The worst against what was allowed. */
export function worstHang(runs: readonly Summary[]): FirstHang | null {
  let worst: FirstHang | null = null
  for (const hang of runs.flatMap((run) => run.reaction.hangs))
    if (worst === null || hang.payers / hang.payersMax > worst.payers / worst.payersMax) worst = hang
  return worst
}
