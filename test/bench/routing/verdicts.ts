// Whether a candidate reaches the figures asked of the planner, from the held-out seeds of a set-up.

import type { ContenderKind } from './policies/contender.ts'
import type { Setup } from './setups.ts'
import { type Figure, reactionOf, type Summary, spreadOf } from './summary.ts'

/** One line of the table: a policy at one declared value. */
export interface Row {
  readonly policy: string
  /** Of the contender, without the value. */
  readonly name: string
  readonly kind: ContenderKind
  /** Multiple of λ that it was told; 1 where it has no value. */
  readonly multiple: number
  readonly runs: readonly Summary[]
}

export interface Verdict {
  readonly figure: string
  readonly found: string
  /** null: cannot be told from what was run. */
  readonly isReached: boolean | null
}

const BARS = {
  mixed: { attainmentBelow: 0.01, costRatio: 1.08 },
  'same-model': { attainmentBelow: 0.02, costRatio: 1.06 },
}
const STARVED_TOLERANCE = { attainment: 0.0025, cost: 0.005 }
/** Baselines of papers that no gateway offers: the hardest to beat, and not peer-like. */
const LEARNERS: readonly string[] = ['disc-ucb']
const SHIFT_ATTAINMENT_BELOW = 0.02
const LEAVE_SECONDS_MAX = 10
const RETURN_SECONDS_MAX = 120
const EXPLORED_SHARE_MAX = 0.05
const CALIBRATION_ERROR_MAX = 0.03
const DECISION_MICROS_MAX = { p50: 30, p99: 200 }

const mean = (row: Row, figure: Figure): number => spreadOf(row.runs, figure).mean

/** `rows` of one set-up and of the same seeds; `name` is a candidate's, all of whose values count for dominance. */
export function judge(setup: Setup, rows: readonly Row[], name: string, ceiling: Row): readonly Verdict[] {
  const sweep = rows.filter((row) => row.name === name)
  const row = sweep.find(({ multiple }) => multiple === 1) ?? sweep[0]
  if (row === undefined) return []
  return [
    ...atValueOne(setup, row, ceiling),
    ...dominance(setup, rows, sweep),
    inShifts(row),
    leaving(row),
    returning(row),
    failures(row),
    firstHang(setup, row),
    exploration(rows, row),
    calibration(row),
    speed(row),
  ]
}

function atValueOne({ demand }: Setup, row: Row, ceiling: Row): readonly Verdict[] {
  if (demand !== 'mixed' && demand !== 'same-model') return []
  const bar = BARS[demand]
  const below = mean(ceiling, 'attainment') - mean(row, 'attainment')
  const costRatio = mean(row, 'costRatio')
  return [
    {
      figure: `attainment ≥ state oracle − ${bar.attainmentBelow * 100} points at ≤ ${bar.costRatio} × its cost`,
      found: `${signed(-below)} points at ${costRatio.toFixed(3)} ×`,
      isReached: below <= bar.attainmentBelow && costRatio <= bar.costRatio,
    },
  ]
}

/** For every baseline some declared value that is at least as good on both. */
function dominance({ demand }: Setup, rows: readonly Row[], sweep: readonly Row[]): readonly Verdict[] {
  const baselines = rows.filter(({ kind }) => kind === 'baseline')
  const isStarved = demand === 'starved'
  const slack = isStarved ? STARVED_TOLERANCE : { attainment: 0, cost: 0 }
  const isBeaten = (baseline: Row): boolean =>
    sweep.some(
      (row) =>
        mean(row, 'attainment') >= mean(baseline, 'attainment') - slack.attainment &&
        mean(row, 'costCny') <= mean(baseline, 'costCny') * (1 + slack.cost),
    )
  const standing = baselines.filter((baseline) => !isBeaten(baseline))
  const counted = standing.filter(({ name }) => isStarved || !LEARNERS.includes(name))
  const values = sweep.map(({ multiple }) => multiple).join(', ')
  const names = standing.map(({ policy }) => policy).join(', ')
  return [
    {
      figure: isStarved
        ? 'every baseline is matched for some value, to 0.25 points and 0.5 %'
        : 'every peer-like baseline is dominated for some value',
      found: `${baselines.length - standing.length} of ${baselines.length} at λ × ${values}${names === '' ? '' : `; not ${names}`}`,
      isReached: baselines.length === 0 ? null : counted.length === 0,
    },
  ]
}

function inShifts(row: Row): Verdict {
  const below = mean(row, 'attainment') - mean(row, 'shiftAttainment')
  return {
    figure: 'in-shift attainment within 2 points of overall',
    found: Number.isNaN(below) ? 'no shifts' : `${signed(-below)} points`,
    isReached: Number.isNaN(below) ? null : below <= SHIFT_ATTAINMENT_BELOW,
  }
}

function leaving(row: Row): Verdict {
  const { count, median, most } = reactionOf(row.runs, 'leaveSeconds')
  return {
    figure: `leaves a 5 × slower target in ≤ ${LEAVE_SECONDS_MAX} s median`,
    found: count === 0 ? 'no such target carried traffic' : `${median} s, most ${most} s, of ${count}`,
    isReached: count === 0 ? null : median <= LEAVE_SECONDS_MAX,
  }
}

function returning(row: Row): Verdict {
  const { count, median, most } = reactionOf(row.runs, 'returnSeconds')
  return {
    figure: `returns within ${RETURN_SECONDS_MAX} s of recovery`,
    found: count === 0 ? 'no such target carried traffic' : `median ${median} s, most ${most} s, of ${count}`,
    isReached: count === 0 ? null : most <= RETURN_SECONDS_MAX,
  }
}

function failures(row: Row): Verdict {
  const failed = row.runs.reduce((sum, run) => sum + run.failedAvoidably, 0)
  return {
    figure: 'no failed request while any target is up',
    found: `${failed} in ${row.runs.length} runs`,
    isReached: failed === 0,
  }
}

function firstHang({ isHedging }: Setup, row: Row): Verdict {
  const hangs = row.runs.flatMap((run) => run.reaction.hangs)
  const over = hangs.filter(({ payers, payersMax }) => payers > payersMax)
  return {
    figure: 'a first hang is paid for by ≤ 3 requests, or half a second’s arrivals there',
    found: `${hangs.map(({ payers, payersMax }) => `${payers}/${payersMax.toFixed(0)}`).join(' ')}`,
    isReached: hangs.length === 0 || !isHedging ? null : over.length === 0,
  }
}

function exploration(rows: readonly Row[], row: Row): Verdict {
  const share = mean(row, 'exploredShare')
  const without = rows.find(
    ({ name, multiple }) => name === `${row.name}-no-explore` && multiple === row.multiple,
  )
  const pays = without === undefined ? null : mean(row, 'regretCny') < mean(without, 'regretCny')
  const gain =
    without === undefined
      ? ''
      : `; regret ${mean(row, 'regretCny').toFixed(2)}, without ${mean(without, 'regretCny').toFixed(2)}`
  return {
    figure: 'exploration ≤ 5 %, paying for itself',
    found: `${(share * 100).toFixed(1)} %${gain}`,
    isReached: share > EXPLORED_SHARE_MAX ? false : pays,
  }
}

function calibration(row: Row): Verdict {
  const error = mean(row, 'calibrationError')
  return {
    figure: `calibration error ≤ ${CALIBRATION_ERROR_MAX}`,
    found: Number.isNaN(error) ? 'nothing was predicted' : error.toFixed(3),
    isReached: Number.isNaN(error) ? null : error <= CALIBRATION_ERROR_MAX,
  }
}

/** The fastest run counts: the others shared the machine. */
function speed(row: Row): Verdict {
  const times = row.runs.map((run) => run.decisionMicros).filter((time) => time !== null)
  const p50 = Math.min(...times.map((time) => time.p50))
  const p99 = Math.min(...times.map((time) => time.p99))
  return {
    figure: `a decision takes p50 ≤ ${DECISION_MICROS_MAX.p50} µs and p99 ≤ ${DECISION_MICROS_MAX.p99} µs`,
    found: `p50 ${p50.toFixed(1)} µs, p99 ${p99.toFixed(1)} µs`,
    isReached: times.length === 0 ? null : p50 <= DECISION_MICROS_MAX.p50 && p99 <= DECISION_MICROS_MAX.p99,
  }
}

function signed(share: number): string {
  const points = (share * 100).toFixed(2)
  return share >= 0 ? `+${points}` : points
}

export function formatVerdicts(policy: string, verdicts: readonly Verdict[]): string {
  const mark = (isReached: boolean | null): string =>
    isReached === null ? '  – ' : isReached ? 'pass' : 'MISS'
  const width = Math.max(...verdicts.map(({ figure }) => figure.length)) + 2
  return [
    `  ${policy} against the figures to reach`,
    ...verdicts.map(
      ({ figure, found, isReached }) => `  ${mark(isReached)}  ${figure.padEnd(width)}${found}`,
    ),
  ].join('\n')
}
