// A ledger in Redis that several instances share: what is shipped there, who archives it, and how all of it is asked.

import type { LedgerBatch } from '#core/ledger.ts'
import { createFleetStore } from '#store/fleet-store.ts'
import { createRedisAlerts } from '#store/redis/alerts.ts'
import { ArchiveFeed } from '#store/redis/archive-feed.ts'
import { RedisConnection } from '#store/redis/connection.ts'
import { LedgerFounder } from '#store/redis/founder.ts'
import { createRedisKeyStore } from '#store/redis/key-store.ts'
import { createRedisPurses } from '#store/redis/purses.ts'
import { createRedisStore } from '#store/redis/store.ts'
import { createShipper } from '#store/shipper.ts'
import { openArchive } from './archive.ts'
import { openFleetMonths } from './fleet-months.ts'
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
import { careForRedis, claimInstance } from './redis-care.ts'
import { clock } from './system.ts'

/** How long a stop waits for Redis to take the last rows; what is left ships at the next start. */
const FLUSH_MS = 3_000
const DAY_MS = 86_400_000
/** What a purse has not answered by then was lost; requests wait for a part of it. */
const PURSE_TIMEOUT_MS = 1_000

export function withRedis(opened: OpenedLedger, options: LedgerOptions): NodeLedger {
  const { ledger } = opened
  const connection = new RedisConnection({ url: options.url })
  const { settings } = options
  const store = createRedisStore({
    connection,
    rowsMs: settings.redisRowsMs,
    keptDays: Math.ceil(settings.retentionMs / DAY_MS),
    onTrimmed: (_, unarchived) => {
      if (unarchived === 0) return
      options.metrics.rowsUnarchived(unarchived)
      options.log.warn('archive.rows_missed', { rows: unarchived })
    },
  })
  const keys = createRedisKeyStore({ connection, makeLife: makeName })
  const care = careForRedis(connection, options.metrics, options.log)
  const { instance, epoch } = ledger
  const claim = claimInstance(
    connection,
    { path: opened.path, instance, epoch },
    options.metrics,
    options.log,
  )
  const purses = createRedisPurses({ url: options.url, commandTimeoutMs: PURSE_TIMEOUT_MS })
  const founder = new LedgerFounder({
    connection,
    clock,
    instance,
    weight: () => ledger.record.weight(),
    hasShipped: () => ledger.outbox.lastSequence > ledger.outbox.rowsWaiting,
    snapshot: () => ledger.record.snapshot(),
    makeName,
    onFounded: (from, attempts) => options.log.warn('store.founded', { from, attempts }),
  })
  const feed = new ArchiveFeed(connection, instance)
  const archive = openArchive({ ...options, ledger, connection, feed, store, founder })
  const months = openFleetMonths({
    ledger,
    shared: store.months,
    isArchive: archive.isCurrent,
    presence: () => feed.presence(),
    ask: archive.ask,
    log: options.log,
  })
  let wasUp: boolean | null = null
  let charge = async (_batch: LedgerBatch): Promise<void> => {
    throw new Error('budgets are not open yet')
  }
  let whenShipped = async (): Promise<void> => undefined
  const shipper = createShipper({
    journal: ledger.outbox,
    store,
    charges: (batch) => charge(batch),
    clock,
    mayShip: claim.mayShip,
    found: () => founder.found(),
    keep: archive.keep,
    onLost: (rows) => {
      options.metrics.rowsLost(rows)
      options.log.error('store.rows_lost', { rows })
    },
    onState(state) {
      options.metrics.storeUp(state.isUp)
      options.metrics.journal(state.rowsWaiting, state.oldestAgeMs)
      if (state.isUp === wasUp) return
      wasUp = state.isUp
      if (state.isUp) options.log.info('store.up', { rows_waiting: state.rowsWaiting })
      else options.log.error('store.down', { rows_waiting: state.rowsWaiting, message: String(state.error) })
    },
  })
  const onThread = pastOnThread(opened)
  return {
    journal: ledger.journal,
    store: createFleetStore({
      shared: store,
      own: ledger.store,
      months: months.book,
      isArchive: archive.isCurrent,
      catchUp: archive.catchUp,
      sharedFromMs: () => feed.requestsFromMs(),
      ownFromMs: () => ledger.record.requestsFromMs,
      ownRowsFromMs: () => ledger.record.rowsFromMs,
      presence: () => feed.presence(),
      ask: archive.ask,
      running: archive.running,
      isUp: () => shipper.state.isUp,
    }),
    balances: async () => [...(await ledger.store.balances()), ...(await store.balances())],
    isShared: true,
    ready: care.ready,
    keys: { store: keys, secret: (proposed) => keys.secret(proposed) },
    fleet: {
      instance,
      epoch,
      outbox: ledger.outbox,
      purses,
      marks: () => store.marks(),
      spent: archive.spent,
      chargeTo(to) {
        charge = to
      },
      whenShipped(run) {
        whenShipped = run
      },
    },
    corrections: correctionsOf(ledger, store),
    alerts: { book: ledger.alerts, fleet: createRedisAlerts(connection, instance) },
    // The ledger of record is a file; others ask it for one request after the other.
    get rerate() {
      return archive.isCurrent() ? onThread.rerate : null
    },
    get reconcile() {
      return archive.isCurrent() ? onThread.reconcile : null
    },
    recover: opened.recover,
    describe: `redis, journal ${options.journalPath ?? JOURNAL_PATH}`,
    trouble: () => troubleOf(ledger),
    async close() {
      const left = await shipper.stop(FLUSH_MS)
      if (left > 0) options.log.warn('store.rows_left', { rows: left })
      await whenShipped()
      await months.close(left)
      await archive.close()
      purses.close()
      care.close()
      await claim.release()
      connection.close()
      await opened.close()
    },
  }
}
