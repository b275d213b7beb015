// Adjustments in every store; in the SQLite file also on their way to a shared one.

import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { UsageQuery } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { openNodeSqliteReader } from '#runtime/node/sqlite.ts'
import { createMemoryStore } from '#store/memory.ts'
import { createRedisStore } from '#store/redis/store.ts'
import { batchOfShipment } from '#store/shipment.ts'
import { checkCounters } from '#store/sqlite/counter-check.ts'
import { adjustmentRow, attemptRow, openAttempt, openRequest, requestRow } from '../support/ledger-rows.ts'
import { startRedis } from '../support/redis-server.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'
import { adjustmentsContract } from './adjustments.contract.ts'

const EVERYTHING: UsageQuery = { groupBy: [], bucket: null, fromMs: null, toMs: null }

adjustmentsContract('memory', async () => ({ store: createMemoryStore(), close: async () => {} }))

adjustmentsContract('SQLite', async () => {
  const folder = temporaryFolder()
  const { store } = openLedger(join(folder.path, 'ledger.db'))
  return {
    store,
    async close() {
      await store.close()
      folder.remove()
    },
  }
})

adjustmentsContract('Redis', async () => {
  const server = await startRedis()
  const store = createRedisStore({ url: server.url })
  return {
    store,
    async close() {
      await store.close()
      await server.stop()
    },
  }
})

describe('adjustments that an instance makes', () => {
  function temporaryFile(): string {
    const folder = temporaryFolder()
    onTestFinished(() => folder.remove())
    return join(folder.path, 'ledger.db')
  }

  test('count once by their id, and are there after a start', async () => {
    const path = temporaryFile()
    const ledger = openLedger(path)
    expect(ledger.adjust([adjustmentRow({}), adjustmentRow({}), adjustmentRow({ id: 'adj-2' })])).toBe(2)
    expect(ledger.adjust([adjustmentRow({ amountNano: 5n as Nano })])).toBe(0)
    expect((await ledger.store.usage(EVERYTHING)).total.adjustmentNano).toBe(-500_000n)
    ledger.close()
    const again = openLedger(path)
    expect((await again.store.usage(EVERYTHING)).total.adjustmentNano).toBe(-500_000n)
    expect((await again.store.adjustments({ limit: 5, cursor: null })).rows).toHaveLength(2)
    again.close()
  })

  test('are counted after a crash, and counters say what the rows say', async () => {
    const path = temporaryFile()
    const ledger = openLedger(path)
    ledger.adjust([adjustmentRow({})])
    await ledger.store.usage(EVERYTHING)
    ledger.adjust([adjustmentRow({ id: 'adj-2' })])
    // What a reader sees now is what a crash would leave.
    const reader = openNodeSqliteReader(path)
    const groups = reader.prepare('SELECT count(*) AS rows FROM attempt_group').get()
    const counted = reader.prepare('SELECT sum(adjustment_nano) AS nano FROM usage_hour').get()
    expect([groups?.['rows'], counted?.['nano']]).toEqual([2, -250_000])
    await ledger.store.usage(EVERYTHING)
    expect(checkCounters(reader, { fromMs: 0 }, () => undefined)).toEqual({ hoursMs: [], daysMs: [] })
    expect(reader.prepare('SELECT sum(adjustment_nano) AS nano FROM rollup_day').get()?.['nano']).toBe(
      -500_000,
    )
    reader.close()
    ledger.close()
  })

  test('refuse what is no amount, all of a call', () => {
    const ledger = openLedger(temporaryFile())
    const wrong = adjustmentRow({ id: 'adj-2', amountNano: (2n ** 60n) as Nano })
    expect(() => ledger.adjust([adjustmentRow({}), wrong])).toThrow('amounts')
    expect(ledger.adjust([adjustmentRow({})])).toBe(1)
    ledger.close()
  })

  test('are shipped in the order of all rows, once, also over a start', async () => {
    const path = temporaryFile()
    const ledger = openLedger(path, { shipping: true })
    const shared = createMemoryStore()
    const end = (id: string): void => {
      ledger.journal.open(openRequest({ id }), openAttempt({ requestId: id }), () => undefined)
      ledger.journal.attempt(attemptRow({ requestId: id }))
      ledger.journal.request(requestRow({ id }), () => undefined)
      ledger.journal.flush()
    }
    end('a')
    ledger.adjust([adjustmentRow({}), adjustmentRow({})])
    end('b')
    ledger.adjust([adjustmentRow({ id: 'adj-2' })])
    expect(ledger.outbox.rowsWaiting).toBe(6)
    const kinds: string[] = []
    for (let shipment = ledger.outbox.unshipped(4); kinds.length < 5 && shipment !== null; ) {
      const batch = batchOfShipment(shipment)
      kinds.push(...batch.rows.map(({ kind }) => kind))
      await shared.apply(batch)
      await shared.apply(batch)
      ledger.outbox.shipped(shipment)
      shipment = ledger.outbox.unshipped(4)
    }
    expect(kinds).toEqual(['attempt', 'request', 'adjustment', 'attempt', 'request'])
    expect(ledger.outbox.oldestWaitingAtMs()).not.toBeNull()
    ledger.close()
    const again = openLedger(path, { shipping: true })
    again.adjust([adjustmentRow({ id: 'adj-3' })])
    for (let left = again.outbox.unshipped(9); left !== null; left = again.outbox.unshipped(9)) {
      await shared.apply(batchOfShipment(left))
      again.outbox.shipped(left)
    }
    expect(again.outbox.rowsWaiting).toBe(0)
    expect((await shared.usage(EVERYTHING)).total).toMatchObject({ attempts: 2, adjustmentNano: -750_000n })
    again.close()
  })
})
