// The table of a set-up. No judgement here.

import { type Figure, type MedianAndMost, reactionOf, spreadOf, worstHang } from './summary.ts'
import type { Row } from './verdicts.ts'

interface Column {
  readonly head: string
  readonly width: number
  readonly cell: (row: Row) => string
}

const mean = (row: Row, figure: Figure): number => spreadOf(row.runs, figure).mean
const seconds = (row: Row, figure: 'p50Ms' | 'p95Ms' | 'p99Ms'): string => {
  const value = mean(row, figure) / 1000
  return Number.isFinite(value) ? value.toFixed(value < 10 ? 2 : 1) : '∞'
}

const COLUMNS: readonly Column[] = [
  { head: 'cost ¥', width: 9, cell: (row) => mean(row, 'costCny').toFixed(2) },
  { head: '(sd)', width: 7, cell: (row) => `(${spreadOf(row.runs, 'costCny').deviation.toFixed(2)})` },
  { head: '×state', width: 8, cell: (row) => mean(row, 'costRatio').toFixed(3) },
  { head: 'SLO %', width: 8, cell: (row) => percent(mean(row, 'attainment'), 2) },
  { head: '(sd)', width: 7, cell: (row) => `(${percent(spreadOf(row.runs, 'attainment').deviation, 2)})` },
  { head: 'shifts', width: 8, cell: (row) => percent(mean(row, 'shiftAttainment'), 1) },
  {
    head: 'TTFT p50/95/99 s',
    width: 18,
    cell: (row) => `${seconds(row, 'p50Ms')}/${seconds(row, 'p95Ms')}/${seconds(row, 'p99Ms')}`,
  },
  { head: 'retries', width: 8, cell: (row) => count(mean(row, 'retries')) },
  { head: '429', width: 6, cell: (row) => count(mean(row, 'rateLimited')) },
  { head: 'hedges', width: 7, cell: (row) => count(mean(row, 'hedges')) },
  { head: 'explored', width: 9, cell: (row) => percent(mean(row, 'exploredShare'), 1) },
  { head: 'regret', width: 8, cell: (row) => mean(row, 'regretCny').toFixed(2) },
  { head: 'leave s', width: 10, cell: (row) => spanOf(reactionOf(row.runs, 'leaveSeconds')) },
  { head: 'return s', width: 10, cell: (row) => spanOf(reactionOf(row.runs, 'returnSeconds')) },
  { head: 'hang', width: 7, cell: hangOf },
  { head: 'failed', width: 9, cell: failures },
  { head: 'ECE', width: 7, cell: (row) => known(mean(row, 'calibrationError'), 3) },
]

export const LEGEND = `cost ¥ per run; ×state: ÷ the cost of state-oracle-λ; shifts: attainment while a target is amiss; explored: share of
requests; regret: ¥ per 1,000 requests against oracle-λ; leave, return: median (max) over all seeds, return is the end of
the first 60 s with half the share; hang: most requests that paid for the first 20 s of an outage or hang (allowed);
failed: per run, and of those the ones while a target was up; ECE: calibration error over 20 bins`

export function formatTable(title: string, rows: readonly Row[]): string {
  const nameWidth = Math.max(16, ...rows.map((row) => row.policy.length)) + 1
  const line = (name: string, cells: readonly string[]): string =>
    `  ${name.padEnd(nameWidth)}${cells.map((cell, index) => cell.padStart(COLUMNS[index]?.width ?? 0)).join('')}`
  const head = line(
    'policy',
    COLUMNS.map((column) => column.head),
  )
  const body = rows.map((row) =>
    line(
      row.policy,
      COLUMNS.map((column) => column.cell(row)),
    ),
  )
  return [title, head, ...body].join('\n')
}

function percent(share: number, digits: number): string {
  return Number.isNaN(share) ? '-' : (share * 100).toFixed(digits)
}

function count(value: number): string {
  return String(Math.round(value))
}

function known(value: number, digits: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(digits)
}

function spanOf({ count: many, median, most }: MedianAndMost): string {
  return many === 0 ? '-' : `${Math.round(median)} (${Math.round(most)})`
}

function hangOf(row: Row): string {
  const worst = worstHang(row.runs)
  return worst === null ? '-' : `${worst.payers} (${Math.floor(worst.payersMax)})`
}

function failures(row: Row): string {
  const failed = mean(row, 'failed')
  const avoidable = mean(row, 'failedAvoidably')
  return failed === 0 ? '0' : `${failed.toFixed(1)}/${avoidable.toFixed(1)}`
}
