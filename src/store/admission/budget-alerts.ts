// Which alerts a budget's state calls for: a pure function of what is spent, the amount and the clock.

import type { Budget, BudgetPeriod, Scope } from '#core/admission.ts'
import { ALERT_THRESHOLDS, type AlertThreshold, type BudgetAlert } from '#core/alerts.ts'
import type { Nano } from '#core/money.ts'
import { periodAt } from './periods.ts'

/** Of a period must have passed before its pace says anything: a twentieth. */
const PACE_AFTER_SHARE = 20

interface Period {
  /** null: since ever, for ever. */
  readonly startMs: number | null
  readonly endMs: number | null
  /** Whether money spent so far says how it will go on. */
  readonly hasPace: boolean
}

/** All that is called for now, told or not. */
export function alertsFor(scope: Scope, spentNano: bigint, nowMs: number): readonly BudgetAlert[] {
  const { budget } = scope
  if (budget === null || budget.amountNano <= 0n) return []
  const period = periodOf(budget.period, nowMs)
  const usedUpAtMs = usedUpAt(budget, spentNano, period, nowMs)
  return ALERT_THRESHOLDS.filter((threshold) => isCalledFor(threshold, budget, spentNano, usedUpAtMs)).map(
    (threshold) => ({
      id: `${scope.id} ${budget.amountNano} ${period.startMs ?? 'life'} ${threshold}`,
      atMs: nowMs,
      kind: scope.kind,
      name: scope.name,
      threshold,
      amountNano: budget.amountNano,
      spentNano: spentNano as Nano,
      periodStartMs: period.startMs,
      periodEndMs: period.endMs,
      usedUpAtMs,
    }),
  )
}

function isCalledFor(
  threshold: AlertThreshold,
  { amountNano }: Budget,
  spentNano: bigint,
  usedUpAtMs: number | null,
): boolean {
  if (threshold === 'forecast') return usedUpAtMs !== null
  return spentNano * 100n >= amountNano * BigInt(threshold)
}

/** The last so many days have neither beginning nor end: alerts come once in so many days, and without a pace. */
function periodOf(period: BudgetPeriod, nowMs: number): Period {
  if (period.kind === 'life') return { startMs: null, endMs: null, hasPace: false }
  if (period.kind === 'rolling') {
    const startMs = Math.floor(nowMs / period.lengthMs) * period.lengthMs
    return { startMs, endMs: startMs + period.lengthMs, hasPace: false }
  }
  return { ...periodAt(period, nowMs), hasPace: true }
}

/** On a straight line from the period's beginning through now; null: not before the period ends. */
function usedUpAt(
  { amountNano }: Budget,
  spentNano: bigint,
  { startMs, endMs, hasPace }: Period,
  nowMs: number,
): number | null {
  if (!hasPace || startMs === null || endMs === null) return null
  const elapsedMs = nowMs - startMs
  if (elapsedMs * PACE_AFTER_SHARE < endMs - startMs || spentNano <= 0n || spentNano >= amountNano)
    return null
  const usedUpAtMs = startMs + Number((BigInt(elapsedMs) * amountNano) / spentNano)
  return usedUpAtMs < endMs ? usedUpAtMs : null
}
