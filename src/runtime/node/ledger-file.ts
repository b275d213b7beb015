// The ledger's file at a start: its lock, a look at its health after a crash, a copy of it where it is ill or about to
// be changed. What is stored there is src/store/sqlite's.

import { copyFileSync, existsSync, renameSync, rmSync, statSync } from 'node:fs'
import type { Log } from '#core/telemetry.ts'
import { StoreFileError } from '#store/errors.ts'
import { faultOf } from '#store/fault.ts'
import type { SqlDriver } from '#store/sqlite/driver.ts'
import { lockFile, openNodeSqlite } from './sqlite.ts'

/** A check reads the whole file, some hundred MB a second: a start must not take minutes. */
const CHECKED_BYTES_MAX = 512 * 1024 * 1024

export interface LedgerFile {
  readonly driver: SqlDriver
  /** Where the journal's log lies: beside the database, or where `SLUICE_JOURNAL` says. */
  readonly logPath: string
  /** Keeps a copy of the database as `PATH.schema-N`. @throws StoreFileError when there is no room for it */
  backUp(schema: number): void
  close(): void
}

/** @throws StoreFileError when another process has one of the files, or the database cannot be read */
export function openLedgerFile(path: string, logPath: string, log: Log): LedgerFile {
  // Two gateways on one log would each take the other's segments for its own.
  const lock = logPath === path ? null : lockFile(logPath)
  let driver: SqlDriver | null = null
  try {
    driver = openNodeSqlite(path)
    checkFile(driver, log)
  } catch (error) {
    driver?.close()
    lock?.close()
    throw isCorrupt(error) ? quarantined(path, error) : error
  }
  const opened = driver
  return {
    driver: opened,
    logPath,
    backUp(schema) {
      const copy = `${path}.schema-${schema}`
      if (existsSync(copy)) return
      try {
        // A copy that a crash cut off must not be taken for a whole one.
        rmSync(`${copy}.part`, { force: true })
        opened.prepare('VACUUM INTO ?').run(`${copy}.part`)
        renameSync(`${copy}.part`, copy)
      } catch (cause) {
        rmSync(`${copy}.part`, { force: true })
        throw new StoreFileError(
          `${path} has an older schema, and no copy of it could be made before changing it: ${messageOf(cause)}`,
          { cause },
        )
      }
      log.info('ledger.backed_up', { path: copy, schema })
    },
    close: () => lock?.close(),
  }
}

/** After an orderly end there is nothing to look for. */
function checkFile(driver: SqlDriver, log: Log): void {
  const tables = driver.prepare("SELECT count(*) AS count FROM sqlite_schema WHERE name = 'meta'").get()
  if (tables?.['count'] === 0) return
  const marker = driver.prepare("SELECT value FROM meta WHERE name = 'is_open'").get()
  if (marker?.['value'] !== '1') return
  const bytes = statSync(driver.path, { throwIfNoEntry: false })?.size ?? 0
  if (bytes > CHECKED_BYTES_MAX) return log.warn('ledger.unchecked', { path: driver.path, bytes })
  const [first] = driver.prepare('PRAGMA quick_check(1)').all()
  const found = first === undefined ? 'ok' : Object.values(first)[0]
  if (found !== 'ok') throw new CorruptFileError(String(found).replaceAll(/\s+/g, ' '))
}

class CorruptFileError extends Error {}

function isCorrupt(error: unknown): error is Error {
  if (error instanceof CorruptFileError) return true
  const cause = error instanceof StoreFileError ? error.cause : error
  return cause instanceof Error && faultOf(cause) === 'corrupt'
}

/** The copy is named by the file's time, so that a process that is started again and again makes one. */
function quarantined(path: string, error: Error): StoreFileError {
  const { mtimeMs } = statSync(path)
  const copy = `${path}.corrupt-${new Date(mtimeMs).toISOString().replaceAll(':', '')}`
  let kept = `a copy is kept at ${copy}`
  try {
    for (const suffix of ['', '-wal'])
      if (existsSync(path + suffix) && !existsSync(copy + suffix)) copyFileSync(path + suffix, copy + suffix)
  } catch (cause) {
    kept = `it could not be copied (${messageOf(cause)})`
  }
  return new StoreFileError(
    `${path} is corrupt (${messageOf(error)}); ${kept}. Put a backup in its place, or move it and its -wal file away ` +
      'to begin a new ledger; the log beside it is replayed into either',
    { cause: error },
  )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
