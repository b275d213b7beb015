// What was used of balances, by hour: a table that moves with the rows, so that a start need not read them.

import type { BalanceUsed } from '#core/ledger.ts'
import { type BalanceMilli, BalanceSums, MILLI } from '../balance-uses.ts'
import type { SqlDriver, SqlStatement } from './driver.ts'
import type { Migration } from './migrations.ts'
import { number, text } from './row-checks.ts'

/** Rows of a balance are as many as the hours that it lasted. They outlive the rows of requests. */
export const BALANCE_MIGRATION: Migration = {
  number: 10,
  sql: `
-- What attempts that began in an hour used of a balance, in thousandths. Never pruned: a quota is not given twice.
CREATE TABLE balance_use (
  id TEXT NOT NULL,
  hour_ms INTEGER NOT NULL,
  milli INTEGER NOT NULL,
  PRIMARY KEY (id, hour_ms)
) STRICT, WITHOUT ROWID;
`,
}

/** Gathers the uses of a transaction and writes them at its end. */
export class BalanceCounts {
  readonly #sums = new BalanceSums()
  readonly #add: SqlStatement

  constructor(driver: SqlDriver) {
    this.#add = driver.prepare(`INSERT INTO balance_use (id, hour_ms, milli) VALUES (?, ?, ?)
      ON CONFLICT (id, hour_ms) DO UPDATE SET milli = milli + excluded.milli`)
  }

  add(hourMs: number, uses: readonly BalanceMilli[]): void {
    for (const use of uses) this.#sums.add(hourMs, use)
  }

  write(): void {
    for (const { id, hourMs, milli } of this.#sums.entries()) this.#add.run(id, hourMs, milli)
  }

  clear(): void {
    this.#sums.clear()
  }
}

export function readBalances(driver: SqlDriver): readonly BalanceUsed[] {
  const rows = driver.prepare('SELECT id, hour_ms, milli FROM balance_use ORDER BY id, hour_ms').all()
  return rows.map((row) => ({
    id: text(row, 'id'),
    hourMs: number(row, 'hour_ms'),
    quantity: number(row, 'milli') / MILLI,
  }))
}
