// SQLite ledgers on temporary files for tests.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openNodeAppendLog } from '#runtime/node/append-log.ts'
import { openNodeSqlite } from '#runtime/node/sqlite.ts'
import { openSqliteLedger, type SqliteLedger, type SqliteLedgerOptions } from '#store/sqlite/store.ts'
import { realClock } from './real-clock.ts'

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'sluice-ledger-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export function openLedger(path: string, options: Partial<SqliteLedgerOptions> = {}): SqliteLedger {
  const driver = openNodeSqlite(path)
  return openSqliteLedger(driver, {
    clock: realClock,
    schedule: setImmediate,
    makeInstance: () => 'instance-1',
    shipping: false,
    ...options,
    log: options.log ?? openNodeAppendLog(path),
  })
}
