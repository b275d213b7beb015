// The ledger of a gateway that does not run, for commands: its file is locked as a gateway would lock it.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { StoreFileError } from '#store/errors.ts'
import type { SqlDriver } from '#store/sqlite/driver.ts'
import { openSqliteLedger, type SqliteLedger } from '#store/sqlite/store.ts'
import { openNodeAppendLog } from './append-log.ts'
import { pathOfStore } from './ledger.ts'
import type { Environment } from './read-config.ts'
import { lockFile, openNodeSqlite } from './sqlite.ts'
import { clock } from './system.ts'

export interface StoppedLedger {
  readonly path: string
  readonly ledger: SqliteLedger
  readonly driver: SqlDriver
  close(): void
}

/**
 * `url`: of the store, which must be a file that there is.
 * @throws StoreFileError when a gateway has it, when the last one did not end well, or when there is none
 */
export function openStoppedLedger(url: string, env: Environment): StoppedLedger {
  const journalPath = env['SLUICE_JOURNAL']
  const path = pathOfStore(url, journalPath)
  if (path === null || !url.startsWith('sqlite:'))
    throw new StoreFileError(
      `${url.replace(/\/\/[^@/]*@/, '//…@')} is no file: ask a running gateway with --url`,
    )
  if (!existsSync(path)) throw new StoreFileError(`there is no ${path}`)
  const logPath = journalPath ?? path
  const lock = logPath === path ? null : lockFile(logPath)
  let driver: SqlDriver | null = null
  try {
    driver = openNodeSqlite(path)
    refuseInterrupted(driver, path)
    const ledger = openSqliteLedger(driver, {
      clock,
      log: openNodeAppendLog(logPath),
      schedule: setImmediate,
      makeInstance: () => 'command',
      shipping: false,
    })
    return {
      path,
      ledger,
      driver,
      close() {
        ledger.close()
        lock?.close()
      },
    }
  } catch (error) {
    driver?.close()
    lock?.close()
    throw error
  }
}

/** A new file, for what is moved there. */
export function makeStoppedLedger(path: string): StoppedLedger {
  const driver = openNodeSqlite(path)
  const ledger = openSqliteLedger(driver, {
    clock,
    log: openNodeAppendLog(path),
    schedule: setImmediate,
    makeInstance: () => randomBytes(8).toString('hex'),
    shipping: false,
  })
  return { path, ledger, driver, close: () => ledger.close() }
}

/** What was left open then is booked by a gateway's start, which knows what it may have cost. */
function refuseInterrupted(driver: SqlDriver, path: string): void {
  const tables = driver.prepare("SELECT count(*) AS count FROM sqlite_schema WHERE name = 'meta'").get()
  if (tables?.['count'] === 0) throw new StoreFileError(`${path} holds no ledger`)
  if (driver.prepare("SELECT value FROM meta WHERE name = 'is_open'").get()?.['value'] !== '1') return
  throw new StoreFileError(
    `the last gateway on ${path} did not end well: start it and stop it once, so that it books what was under way`,
  )
}
