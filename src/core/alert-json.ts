// An alert as the admin API shows it and as a webhook is told it.

import type { BudgetAlert } from './alerts.ts'
import { formatNano } from './money.ts'

export function alertJson(alert: BudgetAlert, currency: string): Readonly<Record<string, unknown>> {
  return {
    id: alert.id,
    time: isoOf(alert.atMs),
    kind: alert.kind,
    name: alert.name,
    threshold: alert.threshold === 'forecast' ? 'forecast' : Number(alert.threshold),
    spent: formatNano(alert.spentNano),
    budget: formatNano(alert.amountNano),
    currency,
    period_start: isoOf(alert.periodStartMs),
    period_end: isoOf(alert.periodEndMs),
    used_up_at: isoOf(alert.usedUpAtMs),
  }
}

function isoOf(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString()
}
