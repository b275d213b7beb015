// A ledger in Redis that has no life: it is new, was flushed, or its server came back empty. One of those who need it
// writes it anew from a snapshot, and everybody's rows beyond that follow by themselves.

import type { AdjustmentRow } from '#core/adjustments.ts'
import type { UsageTotals } from '#core/ledger.ts'
import { positionOf } from '../cursor.ts'
import { StoreUnavailableError } from '../errors.ts'
import { adjustmentText } from '../row-json.ts'
import type { FoundingSnapshot } from '../snapshot.ts'
import { addTotals, DAY_MS, dayStartMs, listOfTotals, NO_TOTALS } from '../usage-report.ts'
import type { RedisConnection } from './connection.ts'
import { MEASURES } from './counters.ts'
import { COUNTERS_KEPT_DAYS, KEYS } from './keys.ts'
import { monthField, monthText, totalField } from './month-text.ts'

/** Who writes says so at least as often. */
const LOCK_MS = 15_000
/** Fields of one call. */
const FIELDS_AT_ONCE = 5_000
const TTL_SECONDS = (COUNTERS_KEPT_DAYS * DAY_MS) / 1_000

/** Begins a ledger with nothing, unless somebody has begun one. What an older version has left stays. */
export async function foundEmpty(connection: RedisConnection, founder: string): Promise<void> {
  const isOurs = await lock(connection, founder)
  if (isOurs) await writeLife(connection, founder)
}

/** True: from now on only `founder` may write; false: another one does, or has done. */
export async function lock(connection: RedisConnection, founder: string): Promise<boolean> {
  const held = await connection.run((redis) => redis.set(KEYS.founding, founder, 'PX', LOCK_MS, 'NX'))
  if (held === 'OK') return true
  return (await connection.run((redis) => redis.get(KEYS.founding))) === founder
}

/** Nothing but what an older version, which knew no life, has written. */
export async function isOlderVersions(connection: RedisConnection): Promise<boolean> {
  return connection.run(async (redis) => {
    const [hours, founding] = [await redis.exists(KEYS.hours), await redis.hexists(KEYS.meta, 'founding')]
    return hours === 1 && founding === 0
  })
}

/** Writes a ledger anew. @throws StoreUnavailableError, also when another one has taken over meanwhile */
export async function refound(
  connection: RedisConnection,
  founder: string,
  snapshot: FoundingSnapshot,
): Promise<void> {
  const write = writer(connection, founder)
  // What an unfinished one has left.
  await write(KEYS.balances, 'hash', [])
  const stale = await connection.run((redis) => redis.zrange(KEYS.hours, '0', '-1'))
  for (const hour of stale) {
    await write(KEYS.hour(Number(hour)), 'hash', [])
    await write(KEYS.day(dayStartMs(Number(hour))), 'hash', [])
  }
  await write(KEYS.hours, 'set', [])
  const days = new Map<number, Map<string, UsageTotals>>()
  for (const [hourMs, sums] of snapshot.hours) {
    await write(KEYS.hour(hourMs), 'hash', fieldsOf(sums), TTL_SECONDS)
    const dayMs = dayStartMs(hourMs)
    const day = days.get(dayMs) ?? new Map<string, UsageTotals>()
    for (const [series, totals] of sums) day.set(series, addTotals(day.get(series) ?? NO_TOTALS, totals))
    days.set(dayMs, day)
  }
  for (const [dayMs, sums] of days) await write(KEYS.day(dayMs), 'hash', fieldsOf(sums), TTL_SECONDS)
  const hours = [...snapshot.hours.keys()].flatMap((hourMs) => [String(hourMs), String(hourMs)])
  await write(KEYS.hours, 'set', hours)
  const uses = snapshot.balances.flatMap(({ id, hourMs, milli }) => [`${hourMs} ${id}`, String(milli)])
  await write(KEYS.balances, 'hash', uses)
  await writeAdjustments(write, snapshot.adjustments)
  await writeMarks(write, snapshot.marks)
  await writeMonths(connection, founder, snapshot.months)
  await writeLife(connection, founder)
}

type Write = (
  key: string,
  kind: 'hash' | 'set',
  pairs: readonly string[],
  ttlSeconds?: number,
) => Promise<void>

function writer(connection: RedisConnection, founder: string): Write {
  return async (key, kind, pairs, ttlSeconds = 0) => {
    for (let at = 0; at === 0 || at < pairs.length; at += FIELDS_AT_ONCE) {
      await connection.run((redis) => redis.pexpire(KEYS.founding, LOCK_MS))
      const part = pairs.slice(at, at + FIELDS_AT_ONCE)
      await step(connection, founder, key, [kind, at === 0 ? '1' : '0', ttlSeconds, ...part])
    }
  }
}

async function writeLife(connection: RedisConnection, founder: string): Promise<void> {
  await step(connection, founder, KEYS.meta, ['life', '0', 0, founder])
}

async function step(
  connection: RedisConnection,
  founder: string,
  key: string,
  values: readonly (string | number)[],
): Promise<void> {
  const done = await connection.script('refound-3', [KEYS.founding, KEYS.meta, key], [founder, ...values])
  if (done !== 1) throw new StoreUnavailableError('another instance writes the ledger in Redis anew')
}

function fieldsOf(sums: ReadonlyMap<string, UsageTotals>): readonly string[] {
  const fields: string[] = []
  for (const [series, totals] of sums) {
    for (const [index, count] of listOfTotals(totals).entries()) {
      if (count !== 0 && count !== 0n) fields.push(`${MEASURES.charAt(index)}${series}`, String(count))
    }
  }
  return fields
}

async function writeAdjustments(write: Write, rows: readonly AdjustmentRow[]): Promise<void> {
  await write(
    KEYS.adjustments,
    'hash',
    rows.flatMap((row) => [row.id, adjustmentText(row)]),
  )
  const places = rows.flatMap(({ requestId, timeMs, id }) => {
    const position = positionOf(timeMs, id)
    return requestId === null
      ? [`t:${position}`, '0']
      : [`t:${position}`, '0', `r:${requestId}\t${position}`, '0']
  })
  await write(KEYS.adjustmentIndex, 'set', places)
}

/** Beside what is there: a close is never taken back. */
async function writeMonths(
  connection: RedisConnection,
  founder: string,
  months: FoundingSnapshot['months'],
): Promise<void> {
  for (const { closed, table } of months) {
    const { month, total } = closed
    const fields = [monthField(month), monthText(closed)]
    if (total !== null && table !== null) {
      fields.push(totalField(month), total)
      await step(connection, founder, KEYS.monthTables, ['hash', '0', 0, month, table])
    }
    await step(connection, founder, KEYS.months, ['hash', '0', 0, ...fields])
  }
  if (months.length > 0)
    await step(connection, founder, KEYS.meta, ['hash', '0', 0, 'closes', crypto.randomUUID()])
}

async function writeMarks(write: Write, marks: ReadonlyMap<string, number>): Promise<void> {
  const byInstance = new Map<string, string[]>()
  for (const [session, sequence] of marks) {
    const colon = session.lastIndexOf(':')
    const instance = session.slice(0, colon)
    const pairs = byInstance.get(instance) ?? []
    pairs.push(session.slice(colon + 1), String(sequence))
    byInstance.set(instance, pairs)
  }
  for (const [instance, pairs] of byInstance) await write(KEYS.applied(instance), 'hash', pairs, TTL_SECONDS)
  await write(
    KEYS.instances,
    'set',
    [...byInstance.keys()].flatMap((instance) => [instance, '0']),
  )
}
