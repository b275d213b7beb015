// SQLite files on Node. What is stored there is src/store/sqlite's.

import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { StoreFileError } from '#store/errors.ts'
import type { SqlDriver } from '#store/sqlite/driver.ts'

const IN_MEMORY = ':memory:'
/** Only foreign tools (a backup, a shell) can hold the file; the event loop must not wait long for them. */
const BUSY_TIMEOUT_MS = 250
/** Of new files. Rows are appended, a few hundred at once: fewer, larger pages cost the least for each. */
const PAGE_BYTES = 8_192
const READER_BUSY_TIMEOUT_MS = 2_000

/**
 * Opens a file for this process alone, making it and its folder when missing; `:memory:` needs no file.
 * The right to it is an exclusive transaction on `PATH.lock` beside it, which the operating system releases
 * however the process ends, and which keeps no reader of PATH out.
 * @throws StoreFileError when another process has it or it cannot be opened.
 */
export function openNodeSqlite(path: string): SqlDriver {
  if (path === IN_MEMORY) return driverOf(path, openDatabase(path, BUSY_TIMEOUT_MS), null)
  const lock = lockFile(path)
  try {
    return driverOf(path, openDatabase(path, BUSY_TIMEOUT_MS), lock)
  } catch (error) {
    lock.close()
    throw error
  }
}

/**
 * Takes the right to the files of this path for as long as the process lives; `PATH.lock` says so to others.
 * @throws StoreFileError when another process has it
 */
export function lockFile(path: string): { close(): void } {
  try {
    mkdirSync(dirname(path), { recursive: true })
  } catch (cause) {
    throw new StoreFileError(`cannot make the folder of ${path}: ${messageOf(cause)}`, { cause })
  }
  return takeLock(path)
}

/** Opens an existing file for reading, beside the process that owns it. @throws StoreFileError */
export function openNodeSqliteReader(path: string): SqlDriver {
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: READER_BUSY_TIMEOUT_MS })
    return driverOf(path, database, null)
  } catch (cause) {
    throw new StoreFileError(`cannot read ${path}: ${messageOf(cause)}`, { cause })
  }
}

function openDatabase(path: string, timeout: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout })
  try {
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}`)
    database.exec('PRAGMA journal_mode = WAL')
    return database
  } catch (cause) {
    database.close()
    throw new StoreFileError(`cannot open ${path}: ${messageOf(cause)}`, { cause })
  }
}

function takeLock(path: string): DatabaseSync {
  let lock: DatabaseSync | null = null
  try {
    lock = new DatabaseSync(`${path}.lock`, { timeout: 0 })
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (cause) {
    lock?.close()
    if (isBusy(cause)) {
      throw new StoreFileError(
        `${path} is used by another Sluice process: stop that one, or give this one a file of its own`,
        { cause },
      )
    }
    throw new StoreFileError(`cannot open ${path}.lock: ${messageOf(cause)}`, { cause })
  }
}

function driverOf(path: string, database: DatabaseSync, lock: { close(): void } | null): SqlDriver {
  const prepare = (sql: string): StatementSync => database.prepare(sql)
  // Made on first use: a reader may not be allowed to begin a write.
  let control: { begin: StatementSync; commit: StatementSync; rollback: StatementSync } | null = null
  return {
    path,
    exec: (sql) => database.exec(sql),
    prepare: (sql) => {
      const statement = prepare(sql)
      return statement as StatementSync & { run(...values: SQLInputValue[]): { changes: number | bigint } }
    },
    transaction(run) {
      control ??= {
        begin: prepare('BEGIN IMMEDIATE'),
        commit: prepare('COMMIT'),
        rollback: prepare('ROLLBACK'),
      }
      control.begin.run()
      try {
        run()
        control.commit.run()
      } catch (error) {
        // A full disk or an I/O error may have rolled back already.
        if (database.isTransaction) control.rollback.run()
        throw error
      }
    },
    close() {
      database.close()
      lock?.close()
    },
  }
}

function isBusy(error: unknown): boolean {
  // SQLITE_BUSY; node:sqlite puts SQLite's number into errcode.
  return error instanceof Error && 'errcode' in error && Number(error.errcode) % 256 === 5
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
