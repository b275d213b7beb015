// Closed months of a fleet as one instance sees them: Redis says which, each instance keeps the reports too, and the
// archive has them before a close is answered.

import type { MonthBook } from '#core/month-close.ts'
import type { Log } from '#core/telemetry.ts'
import type { ArchiveQuestion } from '#store/archive-words.ts'
import type { ArchivePresence } from '#store/redis/archive-feed.ts'
import type { RedisMonths } from '#store/redis/months.ts'
import type { SqliteLedger } from '#store/sqlite/store.ts'
import { clock } from './system.ts'

/** An instance hears of a close within two seconds. */
const HEARD_MS = 4_000
const ASK_MS = 6_000
const POLL_MS = 100
const LOOK_MS = 15_000
const SAY_MS = 1_000

export interface FleetMonthOptions {
  readonly ledger: SqliteLedger
  readonly shared: RedisMonths
  readonly isArchive: () => boolean
  readonly presence: () => Promise<ArchivePresence>
  readonly ask: (question: ArchiveQuestion, waitMs: number) => Promise<unknown>
  readonly log: Log
}

export interface FleetMonths {
  readonly book: MonthBook
  /** `rowsLeft`: those that the next start ships. */
  close(rowsLeft: number): Promise<void>
}

export function openFleetMonths(options: FleetMonthOptions): FleetMonths {
  const { ledger, shared, isArchive, presence, ask, log } = options
  const { outbox, journal, instance } = ledger
  const unsaid = (error: unknown): void => log.debug('months.unsaid', { message: String(error) })
  const say = (): void => {
    shared.say(instance, outbox.rowsWaiting + journal.pendingRows, clock.nowMs()).catch(unsaid)
  }
  const timers = [
    setInterval(say, SAY_MS),
    setInterval(() => void syncReports(ledger, shared).catch(unsaid), LOOK_MS),
  ]
  for (const timer of timers) timer.unref()

  /** One that is away takes it over when it comes back. */
  async function tellArchive(month: string, hasReport: boolean): Promise<void> {
    try {
      if (isArchive()) await holdsMonth(ledger, shared, month, hasReport)
      else if ((await presence()) === 'there') await ask({ kind: 'month', month, hasReport }, ASK_MS)
    } catch (error) {
      log.warn('months.untold', { month, message: String(error) })
    }
  }

  return {
    book: {
      async list() {
        const months = await shared.list()
        if (months.every(({ total }) => total !== null)) return months
        // A Redis that has lost a report gets it before somebody makes another one.
        await syncReports(ledger, shared)
        return shared.list()
      },
      async close(month) {
        const isNew = await shared.close(month)
        await tellArchive(month.month, false)
        return isNew
      },
      async keep(month, total, table) {
        await shared.keep(month, total, table)
        await tellArchive(month, true)
      },
      table: (month) => shared.table(month),
      waiting: () => shared.waiting(),
    },
    async close(rowsLeft) {
      for (const timer of timers) clearInterval(timer)
      if (rowsLeft === 0) await shared.leave(instance).catch(unsaid)
    },
  }
}

/** True as soon as this instance counts by the close of a month, and has its report. */
export async function holdsMonth(
  ledger: SqliteLedger,
  shared: RedisMonths,
  month: string,
  hasReport: boolean,
): Promise<boolean> {
  const endMs = clock.monotonicMs() + HEARD_MS
  do {
    if (hasReport) await syncReports(ledger, shared)
    const own = (await ledger.store.months?.list())?.find((known) => known.month === month)
    if (own !== undefined && (!hasReport || own.total !== null)) return true
    await new Promise<void>((resolve) => void clock.after(POLL_MS, resolve))
  } while (clock.monotonicMs() < endMs)
  return false
}

/** Each side gets the reports that only the other one has. @throws StoreUnavailableError */
async function syncReports({ store: { months: own } }: SqliteLedger, shared: RedisMonths): Promise<void> {
  if (own === undefined) return
  const [here, there] = [await own.list(), await shared.list()]
  for (const { month, total } of here) {
    const other = there.find((known) => known.month === month)
    if (total === null) {
      const report = await shared.report(month)
      if (report !== null) await own.keep(month, report.total, report.table)
    } else if (other?.total === null) {
      const table = await own.table(month)
      if (table !== null) await shared.keep(month, total, table)
    }
  }
}
