// Loaded into a gateway under test (`--import`): ends it as SIGKILL does at the N-th passing of a named point of its
// way, which SLUICE_CRASH_AT names as POINT:N. The gateway itself has no such hooks: its classes are wrapped from outside.

import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { isMainThread } from 'node:worker_threads'
import { AdmissionDesk } from '#store/admission/desk.ts'
import { LedgerBook } from '#store/sqlite/book.ts'
import { SqliteJournal } from '#store/sqlite/journal.ts'
import { LogWriter } from '#store/sqlite/log-writer.ts'

export const CRASH_POINTS = [
  /** What the attempt may cost is held; nothing is written. */
  'after_reserve',
  /** The open row is on the disk; the upstream was not called. */
  'after_open',
  /** Lines are made and not written. */
  'before_commit',
  /** The request is on the disk; its client has not seen the end. */
  'after_commit_before_ack',
  /** Ended requests are in the log and not in the tables. */
  'before_book',
  /** In the tables, and not in the counters. */
  'before_roll_up',
  /** A new segment of the log is half written. */
  'during_rotate',
] as const
export type CrashPoint = (typeof CRASH_POINTS)[number]

const [point, count = '1'] = (process.env['SLUICE_CRASH_AT'] ?? '').split(':')
let left = Number(count)

/** True: this is the passing at which the process ends. */
function isNow(passed: CrashPoint): boolean {
  return passed === point && --left === 0
}

function crash(): void {
  process.kill(process.pid, 'SIGKILL')
  // The signal is on its way; nothing more is done until it is there.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000)
}

function pass(passed: CrashPoint): void {
  if (isNow(passed)) crash()
}

if (isMainThread && point !== '') {
  const { open } = AdmissionDesk.prototype
  AdmissionDesk.prototype.open = function (...args) {
    const grant = open.apply(this, args)
    const begin = grant.begin.bind(grant)
    grant.begin = (ask) => {
      const refusal = begin(ask)
      if (refusal === null) pass('after_reserve')
      return refusal
    }
    return grant
  }
  const journal = SqliteJournal.prototype
  const { open: openRow, request } = journal
  journal.open = function (row, attempt, written) {
    openRow.call(this, row, attempt, (error) => {
      pass('after_open')
      written(error)
    })
  }
  journal.request = function (row, committed) {
    request.call(this, row, (error) => {
      pass('after_commit_before_ack')
      committed(error)
    })
    if (isNow('during_rotate')) rotateHalf(this)
  }
  const { write } = LogWriter.prototype
  LogWriter.prototype.write = function () {
    if (this.pendingRows > 0) pass('before_commit')
    return write.call(this)
  }
  const { transaction, rollUp } = LedgerBook.prototype
  LedgerBook.prototype.transaction = function (run) {
    pass('before_book')
    transaction.call(this, run)
  }
  LedgerBook.prototype.rollUp = function () {
    if (this.isRollUpDue) pass('before_roll_up')
    rollUp.call(this)
  }
}

function rotateHalf(journal: SqliteJournal): void {
  const writeSync = fs.writeSync as unknown as (file: number, bytes: Uint8Array, offset: number) => number
  fs.writeSync = ((file: number, bytes: Uint8Array) => {
    writeSync(file, bytes.subarray(0, bytes.length >> 1), 0)
    crash()
    return 0
  }) as unknown as typeof fs.writeSync
  syncBuiltinESMExports()
  journal.rotate()
  crash()
}
