// A journal whose rows a shipper carries to a shared store, for tests of what may happen on the way.

import { join } from 'node:path'
import { expect } from 'vitest'
import type { LedgerStore } from '#core/ledger.ts'
import { RedisConnection } from '#store/redis/connection.ts'
import { foundEmpty } from '#store/redis/founding.ts'
import { createRedisStore } from '#store/redis/store.ts'
import { createShipper, type ShipperState } from '#store/shipper.ts'
import { attemptRow, HOUR_MS, openAttempt, openRequest, requestRow, START_MS } from './ledger-rows.ts'
import { realClock } from './real-clock.ts'
import { openLedger, temporaryFolder } from './sqlite-ledger.ts'

const EVERYTHING = { groupBy: [], bucket: null, fromMs: null, toMs: null } as const
/** A machine under load takes its time. */
const PATIENCE_MS = 30_000
const POLL_MS = 20

export interface Shipping {
  readonly connection: RedisConnection
  readonly store: LedgerStore
  /** All that the shipper said, oldest first. */
  readonly states: readonly ShipperState[]
  /** Writes requests with one attempt each, in three hours. */
  write(requests: number): void
  /** Writes a few requests at a time until it is stopped. */
  load(): { stop(): Promise<void> }
  until(holds: (state: ShipperState) => boolean, what: string): Promise<void>
  /** Waits until nothing waits, and then compares the store with what was written. */
  expectAllOnce(): Promise<void>
  close(): Promise<void>
}

export interface ShippingOptions {
  readonly url: string
  readonly commandTimeoutMs?: number
}

export function openShipping(options: ShippingOptions): Shipping {
  const folder = temporaryFolder()
  const ledger = openLedger(join(folder.path, 'journal.db'), { shipping: true })
  const connection = new RedisConnection({ commandTimeoutMs: 500, ...options })
  const store = createRedisStore({ connection })
  const states: ShipperState[] = []
  const shipper = createShipper({
    journal: ledger.outbox,
    store,
    found: () => foundEmpty(connection, crypto.randomUUID()),
    // The hour of the rows, so that the shipper does not prune what the tests still look at.
    clock: { ...realClock, nowMs: () => START_MS },
    batchRowsMax: 20,
    onState: (state) => states.push(state),
  })
  let written = 0

  function write(requests: number): void {
    for (let index = 0; index < requests; index += 1) {
      const id = `s${written++}`
      const startedAtMs = START_MS + (index % 3) * HOUR_MS
      ledger.journal.open(
        openRequest({ id, timeMs: startedAtMs }),
        openAttempt({ requestId: id, startedAtMs }),
        () => {},
      )
      ledger.journal.attempt(attemptRow({ requestId: id, startedAtMs }))
      ledger.journal.request(requestRow({ id, timeMs: startedAtMs }), () => {})
    }
    ledger.journal.flush()
  }

  async function until(holds: (state: ShipperState) => boolean, what: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!holds(shipper.state)) {
      if (performance.now() > deadline)
        throw new Error(`not in time: ${what}; the shipper says ${String(shipper.state.error)}`)
      await pause()
    }
  }

  return {
    connection,
    store,
    states,
    write,
    until,
    load() {
      let isOver = false
      const running = (async () => {
        while (!isOver) {
          write(3)
          await pause()
        }
      })()
      return {
        async stop() {
          isOver = true
          await running
        },
      }
    },
    async expectAllOnce() {
      await until((state) => state.rowsWaiting === 0, 'all rows are shipped')
      const { total } = await store.usage(EVERYTHING)
      expect(total).toMatchObject({
        requests: written,
        attempts: written,
        costNano: BigInt(written) * 1_000_000n,
      })
    },
    async close() {
      await shipper.stop(0)
      connection.close()
      ledger.close()
      folder.remove()
    },
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS))
}
