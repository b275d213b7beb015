// Alerts as JSON text, amounts as strings.

import type { BudgetAlert } from '#core/alerts.ts'
import type { Nano } from '#core/money.ts'

export function alertText({ amountNano, spentNano, ...alert }: BudgetAlert): string {
  return JSON.stringify({ ...alert, amountNano: String(amountNano), spentNano: String(spentNano) })
}

/** Reads back what `alertText` wrote. */
export function parseAlert(text: string): BudgetAlert {
  const alert = JSON.parse(text) as BudgetAlert
  return {
    ...alert,
    amountNano: BigInt(alert.amountNano) as Nano,
    spentNano: BigInt(alert.spentNano) as Nano,
  }
}
