// The instance's ledger by store URL: a local SQLite journal always; it is the ledger itself, or its rows are
// shipped to Redis.

import { randomInt } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRedisUrl } from '#core/store-url.ts'
import type { StoreFault } from '#store/fault.ts'
import { openSqliteLedger, type SqliteLedger } from '#store/sqlite/store.ts'
import { openNodeAppendLog } from './append-log.ts'
import { startCheckpointer } from './checkpointer.ts'
import { checkAfterCrash, keepWithin } from './ledger-care.ts'
import { openLedgerFile } from './ledger-file.ts'
import {
  correctionsOf,
  JOURNAL_PATH,
  type LedgerOptions,
  makeName,
  type NodeLedger,
  type OpenedLedger,
  pastOnThread,
  troubleOf,
} from './node-ledger.ts'
import { withRedis } from './redis-ledger.ts'
import { openReports } from './reports.ts'
import { backgroundClock, clock } from './system.ts'
import { atTurnEnd } from './turn-end.ts'

const TICK_MS = 1_000
/** Two copies of a journal go on in one epoch once in so many times; a file can be opened millions of times. */
const EPOCH_STEP_MAX = 2 ** 29

/** @throws StoreFileError when the files cannot be used */
export function openLedger(options: LedgerOptions): NodeLedger {
  const isRedis = isRedisUrl(options.url)
  const opened = open(options, isRedis)
  return isRedis ? withRedis(opened, options) : alone(opened, options)
}

function open(options: LedgerOptions, isRedis: boolean): OpenedLedger {
  const { metrics, log, settings } = options
  const path =
    pathOfStore(options.url, options.journalPath) ?? join(mkdtempSync(join(tmpdir(), 'sluice-')), 'ledger.db')
  const logPath = isRedis || options.journalPath === undefined ? path : options.journalPath
  const file = openLedgerFile(path, logPath, log)
  const reports = openReports(path)
  let ledger: SqliteLedger
  try {
    const appendLog = openNodeAppendLog(logPath)
    ledger = openSqliteLedger(file.driver, {
      clock,
      log: appendLog,
      schedule: (run) => atTurnEnd('journal', run),
      makeInstance: makeName,
      epochStep: () => 1 + randomInt(EPOCH_STEP_MAX),
      shipping: isRedis,
      durability: settings.durability,
      backUp: file.backUp,
      reports: reports.report,
    })
    for (const { segment, bytesUnread } of appendLog.damage) {
      metrics.journalBytesUnread(bytesUnread)
      log.error('journal.damaged', { path: `${logPath}.log.${segment}`, bytes_unread: bytesUnread })
    }
  } catch (error) {
    file.driver.close()
    file.close()
    throw error
  }
  // Nothing has been refused yet: a start must not look like an outage.
  metrics.storeUp(true)
  const checkpointer = startCheckpointer({
    path,
    ledger,
    onError: (error) => log.error('journal.checkpoint_failed', { message: error.message }),
    onState: (bytes, ageMs) => metrics.writeAheadLog(bytes, ageMs),
  })
  if (ledger.wasInterrupted) checkAfterCrash({ ledger, reports, metrics, log })
  const { retentionMs } = settings
  const stops = [keepWithin({ ledger, log, retentionMs, isRedis, clock: backgroundClock })]
  return {
    path,
    ledger,
    reports,
    stops,
    checkpointer,
    recover(estimate) {
      const recovered = ledger.recover(estimate)
      metrics.usageRecovered(recovered)
      if (recovered > 0) log.warn('journal.recovered', { attempts: recovered })
    },
    async close() {
      for (const stop of stops) stop()
      await reports.close()
      await checkpointer.stop()
      ledger.close()
      file.close()
    },
  }
}

/** The database of this instance, by which its other files are called; null: in memory. */
export function pathOfStore(url: string, journalPath: string | undefined): string | null {
  if (url === 'memory:') return null
  return isRedisUrl(url) ? (journalPath ?? JOURNAL_PATH) : url.replace(/^sqlite:(\/\/(?=\/))?/, '')
}

/** Where the secret of a store is kept that was given none: beside its file. null: nowhere, it forgets anyway. */
export function secretPath(url: string, journalPath: string | undefined): string | null {
  const path = pathOfStore(url, journalPath)
  return path === null ? null : `${path}.secret`
}

function alone(opened: OpenedLedger, options: LedgerOptions): NodeLedger {
  const { ledger } = opened
  let fault: StoreFault | null = null
  const timer = setInterval(() => {
    options.metrics.storeUp(ledger.journal.failure === null)
    options.metrics.journal(ledger.journal.pendingRows, 0)
    const now = troubleOf(ledger)?.fault ?? null
    if (now === fault) return
    fault = now
    if (now === null) options.log.info('store.up')
    else options.log.error('store.down', { fault: now, message: ledger.journal.failure?.message })
  }, TICK_MS)
  timer.unref()
  return {
    journal: ledger.journal,
    store: ledger.store,
    balances: () => ledger.store.balances(),
    isShared: false,
    describe: `sqlite ${opened.path}`,
    trouble: () => troubleOf(ledger),
    keys: { store: ledger.keys, secret: null },
    ready: Promise.resolve(),
    fleet: null,
    corrections: correctionsOf(ledger, ledger.store),
    alerts: { book: ledger.alerts, fleet: null },
    ...pastOnThread(opened),
    recover: opened.recover,
    async close() {
      clearInterval(timer)
      await opened.close()
    },
  }
}
