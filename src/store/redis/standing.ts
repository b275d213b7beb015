// How far the ledger in Redis is: the marks of instances, and all that it counts together with them.

import type { ChainableCommander } from 'ioredis'
import type { AdjustmentRow } from '#core/adjustments.ts'
import type { UsageTotals } from '#core/ledger.ts'
import { MILLI } from '../balance-uses.ts'
import { parseAdjustment } from '../row-json.ts'
import { type Standing, sessionName } from '../shipment.ts'
import type { LedgerSnapshot } from '../snapshot.ts'
import { seriesText } from '../usage-report.ts'
import { parseBalances } from './balances.ts'
import type { RedisConnection } from './connection.ts'
import { parseCounters } from './counters.ts'
import { KEYS } from './keys.ts'
import { parseMonths } from './month-text.ts'

/** Hashes read in one go, so that the server does not keep others waiting. */
const HASHES_PER_READ = 64
/** Hours that are read again and again while others count in them; more are done with once. */
const TOUCHED_MAX = 48
const SNAPSHOT_TRIES = 100
const ADJUSTMENTS_AT_ONCE = 1_000

type Fields = Record<string, string>

/** How far an instance's rows are there; it is known as one that ships from here on. */
export async function readStanding(connection: RedisConnection, instance: string): Promise<Standing> {
  // Marks last: what goes by fewer months than these is taken no more, so that these are the last rows before their close.
  const [, meta, months, marks] = await readTogether(connection, (pipeline) => {
    pipeline.zadd(KEYS.instances, 0, instance)
    pipeline.hmget(KEYS.meta, 'life', 'closes')
    pipeline.hgetall(KEYS.months)
    pipeline.hgetall(KEYS.applied(instance))
  })
  const [life = null, name = null] = meta as (string | null)[]
  const byEpoch = Object.entries(marks as Fields).map(
    ([epoch, last]) => [Number(epoch), Number(last)] as const,
  )
  const closed = { name: name ?? '', months: parseMonths(months as Fields) }
  return { life, marks: new Map(byEpoch), closed }
}

export async function readMarks(connection: RedisConnection): Promise<ReadonlyMap<string, number>> {
  const instances = await connection.run((redis) => redis.zrange(KEYS.instances, '0', '-1'))
  const replies = await readTogether(connection, (pipeline) => {
    for (const instance of instances) pipeline.hgetall(KEYS.applied(instance))
  })
  return marksOf(instances, replies as Fields[])
}

/** All that is counted, and by which rows, exactly. @throws StoreUnavailableError */
export async function readSnapshot(connection: RedisConnection): Promise<LedgerSnapshot> {
  // What is read of them before counters and marks is counted in both.
  const adjustments = await readAdjustmentRows(connection)
  let call = await callNumber(connection)
  const hours = await connection.run((redis) => redis.zrange(KEYS.hours, '0', '-1'))
  const sums = new Map<number, ReadonlyMap<string, UsageTotals>>()
  for (let start = 0; start < hours.length; start += HASHES_PER_READ) {
    const chunk = hours.slice(start, start + HASHES_PER_READ).map(Number)
    const hashes = await readTogether(connection, (pipeline) => {
      for (const hourMs of chunk) pipeline.hgetall(KEYS.hour(hourMs))
    })
    for (const [index, hourMs] of chunk.entries()) sums.set(hourMs, sumsOf(hashes[index] as Fields))
  }
  for (let tries = 0; tries < SNAPSHOT_TRIES; tries++) {
    const touched = await touchedSince(connection, call)
    const instances = await connection.run((redis) => redis.zrange(KEYS.instances, '0', '-1'))
    const [before, balances, ...hashes] = await readTogether(connection, (pipeline) => {
      pipeline.hget(KEYS.meta, 'calls')
      pipeline.hgetall(KEYS.balances)
      for (const instance of instances) pipeline.hgetall(KEYS.applied(instance))
      for (const hourMs of touched) pipeline.hgetall(KEYS.hour(hourMs))
      pipeline.zrangebyscore(KEYS.touched, `(${call}`, '+inf')
      pipeline.hget(KEYS.meta, 'calls')
    })
    const after = hashes.pop()
    const moved = hashes.pop() as string[]
    for (const [index, hourMs] of touched.entries())
      sums.set(hourMs, sumsOf((hashes[instances.length + index] ?? {}) as Fields))
    // Nothing was applied between these.
    if (before === after && moved.every((hour) => touched.includes(Number(hour)))) {
      return {
        hours: sums,
        marks: marksOf(instances, hashes as Fields[]),
        balances: parseBalances(balances as Fields).map(({ id, hourMs, quantity }) => ({
          id,
          hourMs,
          milli: Math.round(quantity * MILLI),
        })),
        adjustments,
      }
    }
    if (touched.length > TOUCHED_MAX) call = Number(before ?? 0)
  }
  throw new Error('the ledger in Redis moves too fast to be read as a whole')
}

async function callNumber(connection: RedisConnection): Promise<number> {
  return Number((await connection.run((redis) => redis.hget(KEYS.meta, 'calls'))) ?? 0)
}

/** Hours that were counted in after a call. */
async function touchedSince(connection: RedisConnection, call: number): Promise<number[]> {
  const hours = await connection.run((redis) => redis.zrangebyscore(KEYS.touched, `(${call}`, '+inf'))
  return hours.map(Number)
}

async function readAdjustmentRows(connection: RedisConnection): Promise<readonly AdjustmentRow[]> {
  const rows = new Map<string, AdjustmentRow>()
  let cursor = '0'
  do {
    const [next, pairs] = await connection.run((redis) =>
      redis.hscan(KEYS.adjustments, cursor, 'COUNT', ADJUSTMENTS_AT_ONCE),
    )
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      const row = parseAdjustment(pairs[at + 1] ?? '')
      rows.set(row.id, row)
    }
    cursor = next
  } while (cursor !== '0')
  return [...rows.values()]
}

function sumsOf(fields: Fields): ReadonlyMap<string, UsageTotals> {
  return new Map(parseCounters(fields).map(({ series, totals }) => [seriesText(series), totals]))
}

function marksOf(instances: readonly string[], hashes: readonly Fields[]): ReadonlyMap<string, number> {
  const marks = new Map<string, number>()
  for (const [index, instance] of instances.entries()) {
    for (const [epoch, last] of Object.entries(hashes[index] ?? {}))
      marks.set(sessionName(instance, Number(epoch)), Number(last))
  }
  return marks
}

/** Sends commands together; the first that fails fails all. */
export async function readTogether(
  connection: RedisConnection,
  fill: (pipeline: ChainableCommander) => void,
): Promise<unknown[]> {
  return connection.run(async (redis) => {
    const pipeline = redis.pipeline()
    fill(pipeline)
    const replies = (await pipeline.exec()) ?? []
    return replies.map(([error, reply]) => {
      if (error !== null) throw error
      return reply
    })
  })
}
