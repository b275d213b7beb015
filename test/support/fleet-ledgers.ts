// Journals of several instances over one Redis, one of which archives, without gateways around them.

import { join } from 'node:path'
import type { AdjustmentRow } from '#core/adjustments.ts'
import type { AttemptRow, UsageQuery } from '#core/ledger.ts'
import type { Clock } from '#core/ports.ts'
import { ArchiveKeeper } from '#store/archive-keeper.ts'
import { ArchiveFeed } from '#store/redis/archive-feed.ts'
import { RedisConnection } from '#store/redis/connection.ts'
import { LedgerFounder } from '#store/redis/founder.ts'
import { Mailbox } from '#store/redis/mailbox.ts'
import { createRedisStore, type RedisLedgerStore } from '#store/redis/store.ts'
import { createShipper, type Shipper } from '#store/shipper.ts'
import type { SqliteLedger } from '#store/sqlite/store.ts'
import { attemptRow, openAttempt, openRequest, requestRow } from './ledger-rows.ts'
import { realClock } from './real-clock.ts'
import { openLedger } from './sqlite-ledger.ts'

const PATIENCE_MS = 20_000
const POLL_MS = 20

export interface FleetMember {
  readonly ledger: SqliteLedger
  readonly store: RedisLedgerStore
  /** Ends a request with these attempts. */
  write(id: string, ...attempts: readonly Partial<AttemptRow>[]): void
  adjust(row: AdjustmentRow): void
  /** Goes on shipping, until nothing waits. */
  ship(): Promise<void>
  /** Ships nothing from here on. */
  cutOff(): Promise<void>
  close(): Promise<void>
}

export interface MemberOptions {
  readonly url: string
  readonly folder: string
  readonly name: string
  readonly nowMs: number
  readonly archives?: boolean
}

export function openMember({ url, folder, name, nowMs, archives = false }: MemberOptions): FleetMember {
  const clock: Clock = { ...realClock, nowMs: () => nowMs }
  const ledger = openLedger(join(folder, `${name}.db`), { shipping: true, clock, makeInstance: () => name })
  const connection = new RedisConnection({ url })
  const store = createRedisStore({ connection })
  const { record, outbox, journal } = ledger
  const founder = new LedgerFounder({
    connection,
    clock,
    instance: name,
    weight: () => record.weight(),
    hasShipped: () => outbox.lastSequence > outbox.rowsWaiting,
    snapshot: () => record.snapshot(),
    makeName: () => crypto.randomUUID(),
    onFounded: () => {},
  })
  const keeper = archives
    ? new ArchiveKeeper({
        mode: 'on',
        record,
        feed: new ArchiveFeed(connection, name),
        mailbox: new Mailbox(connection, clock),
        clock,
        rowsWaiting: () => outbox.rowsWaiting,
        attemptsShared: async () => (await store.usage(EVERYTHING)).total.attempts,
        answer: async () => '',
        found: () => founder.found(),
        onHolder: () => {},
        onState: () => {},
        onAdopted: () => {},
        onDisowned: () => {},
        onError: () => {},
      })
    : null
  keeper?.start()
  let shipper: Shipper | null = null
  return {
    ledger,
    store,
    write(id, ...attempts) {
      const { startedAtMs: timeMs = nowMs, key = 'demo', user = 'u-17' } = attempts[0] ?? {}
      const who = { key, user }
      for (const [index, fields] of attempts.entries()) {
        const row = { requestId: id, attempt: index + 1, ...fields }
        journal.open(openRequest({ id, timeMs, ...who }), openAttempt(row), () => {})
        journal.attempt(attemptRow(row))
      }
      journal.request(requestRow({ id, timeMs, ...who }), () => {})
      journal.flush()
    },
    adjust: (row) => void ledger.adjust([row]),
    async ship() {
      shipper ??= createShipper({
        journal: outbox,
        store,
        found: () => founder.found(),
        clock,
        keep: () => ({ beforeMs: 0, archivedSequence: 0 }),
        onState: () => {},
      })
      await holds(() => outbox.rowsWaiting === 0)
    },
    async cutOff() {
      await shipper?.stop(0)
      shipper = null
    },
    async close() {
      await shipper?.stop(0)
      await keeper?.stop()
      connection.close()
      ledger.close()
    },
  }
}

export const EVERYTHING: UsageQuery = { groupBy: [], bucket: null, fromMs: null, toMs: null }

export async function holds(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${condition}`)
    await new Promise<void>((resolve) => setTimeout(resolve, POLL_MS))
  }
}
