// What was used of balances ↔ the fields of one hash: `HOUR ID` → thousandths. apply-10.lua writes them.

import type { BalanceUsed } from '#core/ledger.ts'
import { MILLI } from '../balance-uses.ts'

export function parseBalances(fields: Readonly<Record<string, string>>): readonly BalanceUsed[] {
  return Object.entries(fields).map(([field, milli]) => {
    const space = field.indexOf(' ')
    return {
      id: field.slice(space + 1),
      hourMs: Number(field.slice(0, space)),
      quantity: Number(milli) / MILLI,
    }
  })
}
