// What operators are told of budgets before they are used up.

import type { ScopeKind } from './admission.ts'
import type { Nano } from './money.ts'

/** Percents of a budget, and `forecast`: at the present pace it will be used up before its period ends. */
export const ALERT_THRESHOLDS = ['50', '80', '100', 'forecast'] as const
export type AlertThreshold = (typeof ALERT_THRESHOLDS)[number]

export interface BudgetAlert {
  /** Of budget, amount, period and threshold: the same on every instance, so that it is told once. */
  readonly id: string
  readonly atMs: number
  readonly kind: ScopeKind
  readonly name: string
  readonly threshold: AlertThreshold
  readonly amountNano: Nano
  readonly spentNano: Nano
  /** Epoch ms; null: the budget is for life. */
  readonly periodStartMs: number | null
  readonly periodEndMs: number | null
  /** When it is used up at the present pace; null: no pace is known, or it is used up. */
  readonly usedUpAtMs: number | null
}

export interface KeptAlert extends BudgetAlert {
  /** When the webhook took it; null: not yet, or there is none. */
  readonly deliveredAtMs: number | null
}

export interface AlertPage {
  readonly rows: readonly KeptAlert[]
  readonly nextCursor: string | null
}

/** Alerts of this instance, kept so that none is told twice. */
export interface AlertBook {
  /** Newest first. @throws RangeError when the cursor is none of ours. */
  list(limit: number, cursor: string | null): AlertPage
  /** False: it was told before. */
  add(alert: BudgetAlert): boolean
  /** Those that no webhook has taken, oldest first. */
  undelivered(sinceMs: number, rowsMax: number): readonly KeptAlert[]
  delivered(id: string, atMs: number): void
  /** Forgets what is older. */
  prune(beforeMs: number): void
}

/** Alerts of all instances that share a store. */
export interface FleetAlerts {
  /** Whether this instance is to tell it: none has said so before. */
  claim(alert: BudgetAlert): Promise<boolean>
  delivered(id: string, atMs: number): Promise<void>
  /** Newest first. @throws RangeError when the cursor is none of ours. */
  list(limit: number, cursor: string | null): Promise<AlertPage>
}
