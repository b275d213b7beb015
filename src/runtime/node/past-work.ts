// What a running gateway does with its past: rating it anew, and holding a bill beside it.

import type { Reconcile } from '#core/bill.ts'
import type { Rerate } from '#core/rerate.ts'
import type { Live } from '#pipeline/live.ts'
import type { NodeLedger } from './node-ledger.ts'
import { reconcileLedger } from './reconcile.ts'
import { type RerateOptions, rerateLedger } from './rerate.ts'
import { clock } from './system.ts'

export interface PastWorkOptions {
  readonly live: () => Live
  readonly priced: RerateOptions['priced']
}

export function pastWork(
  ledger: NodeLedger,
  { live, priced }: PastWorkOptions,
): { readonly rerate: Rerate; readonly reconcile: Reconcile } {
  const { corrections, store } = ledger
  return {
    reconcile: (ask, onProgress) =>
      reconcileLedger({ onThread: ledger.reconcile, store, live }, ask, onProgress),
    rerate(ask, onProgress) {
      const nowMs = (): number => clock.nowMs()
      return rerateLedger({ corrections, onThread: ledger.rerate, store, nowMs, priced }, ask, onProgress)
    },
  }
}
