// The holds of one attempt. A request has one lane for its attempts, one after the other; what runs beside it has its own.

import type { Grant } from '#core/admission.ts'
import type { HeldMoney } from '#pricing/ceiling.ts'

export interface Lane {
  /** null: nothing limits it, or it was not admitted yet. */
  grant: Grant | null
  /** What a budget holds for the running attempt; null: no budget counts it. */
  held: HeldMoney | null
}

export function openLane(grant: Grant | null = null): Lane {
  return { grant, held: null }
}
